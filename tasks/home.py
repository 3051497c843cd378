"""What this machine's user works on: the state folder, and the store that ``RPT_STORE`` may name instead."""

import os
from pathlib import Path

from infra.local.state import made_state_folder
from infra.storage.store import Store


def home() -> Path:
    """The state folder, absolute; made when absent.

    Raises:
        RecipeError: it cannot be made.
    """
    return made_state_folder()


def open_store() -> Store:
    """The object store of this machine's user.

    Raises:
        StoreError: ``RPT_STORE`` is no store of ours, or it cannot be opened.
    """
    folder = home()
    return Store(os.environ.get("RPT_STORE", "") or str(folder / "store"), folder / "cache")
