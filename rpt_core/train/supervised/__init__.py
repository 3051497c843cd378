"""Supervised training: base, cold start, SFT and the judge."""
