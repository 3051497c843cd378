"""What a thing is, what made it, what it came from."""
