"""The corpus beside its peers: one table of every race, its ratio and its target.

First every race asks whether results are equally good; then rounds alternate between the sides, the
first is discarded, and medians are shown: processor seconds of one process, and the wall clock for the whole
de-duplication. What takes minutes runs when asked for, a peer when its environment is there (`make peers`),
and the table says what did not run. Exits with 1 when a result is not equal in quality or a target is missed,
and with 3 when all that ran is well and something did not run.

    python -m tests.benchmarks.corpus [--data FOLDER] [--rounds 5] [--whole] [--memory] [--only PART ...]
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import memory
from tests.benchmarks.corpus import cleanup, filters, grouping, peers, signing, whole
from tests.benchmarks.table import Table

PARTS = {
    "signing": "signatures beside datasketch: --only leaves them out",
    "grouping": "grouping beside datasketch: --only leaves it out",
    "peers": "signatures beside datatrove, rensa and text-dedup, personal data: --only leaves them out",
    "filters": "filters and sentences beside datatrove: --only leaves them out",
    "cleanup": "clean-up of the real Wikipedia folder: --only leaves it out",
    "whole": "whole de-duplication beside datatrove, minutes: --whole",
    "memory": "growth of memory with the input, minutes: --memory",
}
"""What the table is made of, in its order, and what is said of a part that did not run."""


def _clean_up(table: Table, data: Path | None, folder: Path, rounds: int) -> None:
    if data:
        cleanup.by_step(table, data / "wikipedia", folder, rounds)
    else:
        table.not_run.append("clean-up of the real Wikipedia folder: --data names no folder of real data")


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder of real data (RPT_TEST_DATA)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--documents", type=int, default=400, help="documents the peers sign")
    parser.add_argument("--whole", action="store_true", help="also whole de-duplication (minutes)")
    parser.add_argument("--whole-documents", type=int, default=50_000)
    parser.add_argument("--whole-rounds", type=int, default=1)
    parser.add_argument("--memory", action="store_true", help="also the growth of memory (minutes)")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}")
    options = parser.parse_args()
    on_request = {"whole": options.whole, "memory": options.memory}
    wanted = options.only or [part for part in PARTS if on_request.get(part, True)]
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    table = Table()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts: dict[str, Callable[[], None]] = {
            "signing": lambda: signing.beside_datasketch(table, folder, options.rounds),
            "grouping": lambda: grouping.beside_datasketch(table, options.rounds),
            "peers": lambda: peers.beside_peers(table, options.data, options.rounds, options.documents),
            "filters": lambda: filters.beside_datatrove(table, options.data, folder, options.rounds),
            "cleanup": lambda: _clean_up(table, options.data, folder, options.rounds),
            "whole": lambda: whole.beside_datatrove(
                table, folder, options.whole_documents, options.whole_rounds
            ),
            "memory": lambda: memory.growth(table),
        }
        for part, what in PARTS.items():
            if part in wanted:
                parts[part]()
            else:
                table.not_run.append(what)
    sys.exit(table.end())


if __name__ == "__main__":
    main()
