"""Order: one flow a file."""
