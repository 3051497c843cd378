"""What pytest must not import: modules that need an environment of their own."""

collect_ignore = ["datatrove_filters_side.py", "datatrove_side.py", "trl_side.py"]
