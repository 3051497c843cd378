"""Where this machine keeps its state: ``./.rpt`` or ``RPT_HOME``; ``RPT_STORE`` may name another store."""

import os
from pathlib import Path

from infra.store import Store


def home() -> Path:
    """The state folder, absolute; made when absent."""
    folder = Path(os.environ.get("RPT_HOME") or ".rpt").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def open_store() -> Store:
    """The object store of this machine's user."""
    folder = home()
    return Store(os.environ.get("RPT_STORE") or str(folder / "store"), folder / "cache")
