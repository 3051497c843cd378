"""``python -m flows``, and what the installed ``rpt`` calls."""

from flows.cli.__main__ import main

if __name__ == "__main__":
    main()
