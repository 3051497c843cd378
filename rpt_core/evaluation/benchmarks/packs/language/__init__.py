"""Packs that ask plain text itself."""
