"""A study read from its outcomes: gathered, taken from files, judged and shown."""
