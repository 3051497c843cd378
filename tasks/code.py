"""What made an artifact besides its recipe: a digest of our own source, and the versions around it."""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rpt_core.artifacts.digest import files_digest

_PACKAGES = ("torch", "transformers", "tokenizers", "pyarrow", "datasketch", "prefect", "mlflow", "numpy")


@cache
def code_digest() -> str:
    """SHA-256 over the project's Python files, hex."""
    root = Path(__file__).parent.parent
    packages = ("flows", "infra", "rpt_core", "tasks")
    return files_digest(root, (path for name in packages for path in sorted((root / name).rglob("*.py"))))


@cache
def environment() -> dict[str, str]:
    """Versions that a reader of an old artifact will ask for."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found
