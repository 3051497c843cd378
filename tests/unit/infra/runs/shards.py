"""What the processes of a pool do in tests; they import this module and nothing else of ours."""

import os
import signal
import time
from pathlib import Path


def fragile(folder: Path, dies_on: int, times: int, item: int) -> int:
    """The item's square; a shard that takes its process with it some times."""
    (folder / f"{item}-{os.getpid()}-{time.monotonic_ns()}").touch()
    if item == dies_on and len(list(folder.glob(f"{item}-*"))) <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return item * item


def refuses(item: int) -> int:
    """The item, unless it is two."""
    if item == 2:
        raise ValueError("two is no good")
    return item
