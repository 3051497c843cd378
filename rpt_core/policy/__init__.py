"""Hold a language model, the document trunk, and draw continuations."""
