"""A language model scores documents; what becomes of a low score is decided when a corpus is prepared."""
