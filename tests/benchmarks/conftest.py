"""What pytest must not import: modules that need an environment of their own."""

collect_ignore = ["corpus/datatrove_filters_side.py", "corpus/datatrove_side.py", "trl_side.py"]
