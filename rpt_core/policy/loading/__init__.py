"""What is checked before a foreign model's weights are believed."""
