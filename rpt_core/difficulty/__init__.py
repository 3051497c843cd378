"""How hard every token is to guess, under a proxy model."""
