"""The corpus card: what a corpus holds, dropped and cannot tell."""
