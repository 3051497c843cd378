"""What a recipe's stages need of a machine."""
