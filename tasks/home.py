"""What this machine's user works on: the state folder, and the store that ``RPT_STORE`` may name instead."""

import os
import re
from pathlib import Path

from infra.state import made_state_folder
from infra.store import Store
from rpt_core.errors import RecipeError

_SLIP = re.compile(r"\w{2,}:/?(?!/)")
"""``s3:bucket`` and ``s3:/bucket``: a folder of that name is not what was meant."""


def home() -> Path:
    """The state folder, absolute; made when absent.

    Raises:
        RecipeError: it cannot be made.
    """
    return made_state_folder()


def open_store() -> Store:
    """The object store of this machine's user.

    Raises:
        RecipeError: ``RPT_STORE`` names neither a folder nor the address of a store.
        StoreError: the store cannot be opened.
    """
    folder = home()
    return Store(_store_address() or str(folder / "store"), folder / "cache")


def _store_address() -> str:
    address = os.environ.get("RPT_STORE", "")
    protocol = address.partition("://")[0].lower() if "://" in address else ""
    if (
        (_SLIP.match(address) and not protocol)
        or protocol not in {"", "file", "s3"}
        or address.endswith("://")
    ):
        raise RecipeError(
            f"RPT_STORE={_shown(address)!r} names no store of ours; write a folder, file:///FOLDER or "
            "s3://BUCKET/PREFIX, or leave it out for the store in the state folder."
        )
    return address


def _shown(address: str) -> str:
    """The address without what stands before an ``@``: passwords are not for the screen."""
    head, slashes, rest = address.rpartition("://")
    return (head + slashes + rest.rpartition("@")[2])[:200]
