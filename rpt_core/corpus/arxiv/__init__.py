"""arXiv: e-prints and their metadata."""
