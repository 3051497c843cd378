"""What pytest must not import: modules that need an environment of their own."""

collect_ignore = ["trl_side.py"]
