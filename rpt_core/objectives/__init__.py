"""How to pose a question and how to reward an answer."""
