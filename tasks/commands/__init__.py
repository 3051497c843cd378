"""What the commands that ask or read do with the store."""
