"""The project's dependencies as pip reads them, with those of extras: ``python requirements.py EXTRA...``.

An image installs them before the code is there, so that the layer of libraries stays while the code changes.
"""

import sys
import tomllib
from pathlib import Path


def main() -> None:
    """Print one requirement a line."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for line in [*project["dependencies"], *(line for name in sys.argv[1:] for line in extras[name])]:
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
