"""Text in, better text out, every drop explained."""
