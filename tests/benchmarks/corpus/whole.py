"""Whole de-duplication of a folder of JSON lines in two processes beside datatrove: wall time.

Both sides are commands of their own and are timed from start to end, imports and processes included. Both
read the same files and write JSON lines of what stays, on this machine's disk. What stays is compared
before the race's row is told.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks.corpus.peers import PYTHON, absent
from tests.benchmarks.corpus.planted import ALIKE, Pair, chance_errors, jaccard, texts, write
from tests.benchmarks.table import Row, Table

SIDES = {
    "ours": [sys.executable, "-m", "tests.benchmarks.corpus.whole_side"],
    "datatrove": [str(PYTHON), str(Path(__file__).with_name("datatrove_side.py"))],
}
FILES = 2
"""Datatrove gives a file to one task."""


def removed(folder: Path, num: int) -> set[int]:
    """Numbers of the documents that did not stay."""
    paths = folder.glob("*.jsonl")
    stayed = [int(json.loads(line)["id"]) for path in paths for line in path.read_bytes().splitlines()]
    assert len(stayed) == len(set(stayed)), "a document was written twice"
    return set(range(num)) - set(stayed)


def scores(gone: set[int], alike: Iterable[Pair]) -> tuple[float, float]:
    """Share of the alike pairs of which not both stay, and of the removed that are alike to another."""
    pairs = list(alike)
    found = sum(a in gone or b in gone for a, b in pairs)
    doubles = {number for pair in pairs for number in pair}
    return found / len(pairs), len(gone & doubles) / len(gone)


def run(side: str, folder: Path, scratch: Path) -> tuple[float, dict[str, float], Path]:
    """Wall seconds of a side's command, the seconds of its parts, and where it wrote."""
    out = scratch / "out"
    shutil.rmtree(scratch, ignore_errors=True)
    command = [*SIDES[side], str(folder), str(out), str(scratch / "scratch")]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    if done.returncode:
        raise RuntimeError(f"{side} failed:\n{done.stderr}")
    return seconds, json.loads(done.stdout.splitlines()[-1]), out


def beside_datatrove(table: Table, folder: Path, num: int, rounds: int) -> None:
    """Both sides alternately; the medians of their wall times, and first whether they remove as well."""
    if not PYTHON.exists():
        table.not_run.append(f"whole de-duplication: {absent(PYTHON)}")
        return
    documents = texts(num)
    write(documents, folder / "given", FILES)
    taken: dict[str, list[float]] = {side: [] for side in SIDES}
    gone: dict[str, set[int]] = {}
    for _ in range(rounds):
        for side in SIDES:
            load = os.getloadavg()[0]
            seconds, parts, out = run(side, folder / "given", folder / side)
            taken[side].append(seconds)
            gone[side] = removed(out, num)
            shown = ", ".join(f"{name} {part:.1f}" for name, part in parts.items())
            print(
                f"{side}: {seconds:.1f} s of wall time ({shown}), load average before {load:.1f}", flush=True
            )
    table.unequal += _worse(gone, jaccard(documents))
    mine, theirs = (statistics.median(side) for side in taken.values())
    measure = f"whole de-duplication of {num:,} documents, wall"
    table.add(Row(measure, f"{mine:.1f} s", f"datatrove {theirs:.1f} s", theirs / mine, 5))


def _worse(gone: dict[str, set[int]], truth: dict[Pair, float]) -> list[str]:
    """Prints recall and precision of both sides; what of ours is worse than chance explains."""
    alike = [pair for pair, value in truth.items() if value >= ALIKE]
    told = {side: scores(found, alike) for side, found in gone.items()}
    for side, (recall, precision) in told.items():
        print(f"{side} removed {len(gone[side]):,}: recall {recall:.4f}, precision {precision:.4f}")
    (recall, precision), (peer_recall, peer_precision) = told.values()
    error, _ = chance_errors(truth, 1)
    print(f"{len(alike):,} pairs at J >= 0.8; a standard error of the difference of recalls {error:.4f}")
    worse = ["recall of the whole de-duplication"] if recall < peer_recall - 2 * error else []
    return worse + (["precision of the whole de-duplication"] if precision < peer_precision else [])
