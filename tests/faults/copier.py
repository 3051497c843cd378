"""Copies an artifact between stores, as `rpt copy` does: a program of its own, to be killed.

python -m tests.faults.copier SOURCE TARGET CACHE KIND/FINGERPRINT
"""

import sys
from pathlib import Path

from infra.storage.copy import copy, to_copy
from infra.storage.store import Store


def main() -> None:
    source, target, cache, named = sys.argv[1:]
    here, there = Store(source, Path(cache)), Store(target, Path(cache))
    for each in copy(to_copy(here.find(named), here), here, there):
        print(each.manifest.artifact.short, each.is_new, flush=True)


if __name__ == "__main__":
    main()
