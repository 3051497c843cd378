"""Packs of problems with one exact answer."""
