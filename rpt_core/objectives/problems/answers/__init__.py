"""Reading and comparing short answers: numbers, expressions, lists, units, words."""
