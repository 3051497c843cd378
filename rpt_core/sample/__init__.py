"""The built-in sample world, written in the real file formats."""
