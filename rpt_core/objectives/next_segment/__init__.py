"""Next-segment reasoning with a generative reward (RLPT)."""
