"""Language models that are asked: behind an address, or held here; and the patience with either."""
