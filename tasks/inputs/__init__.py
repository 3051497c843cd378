"""What a recipe names from outside, as content: data, models, e-prints."""
