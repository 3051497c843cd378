"""Validators in an environment of their own, ``.venv-infra`` (``sh infra/setup_infra.sh``)."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv-infra" / "bin"


def tool(name: str) -> str:
    """The path of one; skips the test by name where it is not installed."""
    if not (FOLDER / name).exists():
        pytest.skip(f"no {name} here: sh infra/setup_infra.sh installs it (make test-infra does)")
    return str(FOLDER / name)
