"""What a recipe needs before it is run: memory, operations, hours; pure arithmetic, no torch."""
