"""LaTeX as text, read as TeX reads it: macros, conditions, files, units, literals."""
