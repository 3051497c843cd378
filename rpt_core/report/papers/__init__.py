"""What the three papers claim, what was found of it here, and which recipe makes their tables."""
