"""Duplicates, near-duplicates and what held-out problems leaked."""
