"""Tokenizers: what they can write, their templates, and whether they come back."""
