"""The store this machine's user works on: in the state folder, unless ``RPT_STORE`` names another."""

import os

from infra.local.state import made_state_folder
from infra.storage.store import Store


def open_store() -> Store:
    """The object store of this machine's user.

    Raises:
        RecipeError: the state folder cannot be made.
        StoreError: ``RPT_STORE`` is no store of ours, or it cannot be opened.
    """
    folder = made_state_folder()
    return Store(os.environ.get("RPT_STORE", "") or str(folder / "store"), folder / "cache")
