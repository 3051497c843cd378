"""What made an artifact besides its recipe: a digest of our own source, and the versions around it."""

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("torch", "transformers", "tokenizers", "pyarrow", "datasketch", "prefect", "mlflow", "numpy")


@cache
def code_digest() -> str:
    """SHA-256 over the project's Python files, hex."""
    root = Path(__file__).parent.parent
    whole = hashlib.sha256()
    for package in ("flows", "infra", "rpt_core", "tasks"):
        for path in sorted((root / package).rglob("*.py")):
            whole.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()


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
