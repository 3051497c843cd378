"""The plugin among these files is loaded by name, never as a module of tests."""

collect_ignore = ["trace.py"]
