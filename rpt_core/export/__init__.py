"""A model taken out of the store: its card, the questions it was trained on, and their reward."""
