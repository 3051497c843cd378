"""Filtering and sentence splitting of a folder of JSON lines beside datatrove: processor time of one process.

The documents are English: articles our ingest makes of real dumps, and unedited web text; one file for both
sides. Each side is a command of its own and reads, filters, splits what it keeps and counts; neither removes
duplicates, masks or writes documents. The sides' rules differ, so what they keep differs: before any speed
both must have read the same characters and account for the same documents, and the table of who drops what is
printed, with the reasons each side gives.

Datatrove's language filter downloads a fastText model; where there is no network it gets one of the public
model's size (16 dimensions, 2 million buckets) that is trained here on the documents themselves.
"""

import json
import statistics
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from rpt_core.artifacts.build import LocalBuild
from rpt_core.corpus.ingest import ingest
from rpt_core.recipes.corpus import IngestRecipe
from tests.benchmarks.corpus.peers import PYTHON, absent
from tests.benchmarks.table import Row, Table

SIDES = {
    "ours": [sys.executable, "-m", "tests.benchmarks.corpus.filters_side"],
    "datatrove": [str(PYTHON), str(Path(__file__).with_name("datatrove_filters_side.py"))],
}
GIVEN = ("wikipedia/enwiki-*.bz2", "text/ewt-web-documents.part.jsonl.gz")
TARGET = 1.0
"""Times datatrove's speed: not slower."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a side's command prints at its end."""

    seconds: float
    """Of processor time, from the first document read to the last one counted; imports are not charged."""
    num_chars: int
    """Characters read."""
    kept: dict[str, int]
    """Sentences of every document kept, by its id."""
    dropped: dict[str, str]
    """Reason of every document dropped, by its id."""


def written(data: Path, folder: Path) -> tuple[Path, int]:
    """Ingest real files, write the documents as JSON lines, and return the folder and their characters."""
    given = folder / "given"
    given.mkdir(parents=True)
    num_chars = 0
    with (given / "documents.jsonl").open("w") as stream:
        for number, path in enumerate(sorted(path for some in GIVEN for path in data.glob(some))):
            out = folder / f"ingested-{number}"
            ingest(IngestRecipe(data=str(path)), LocalBuild({}, out, folder / f"scratch-{number}"))
            for row in pq.read_table(out / "documents.parquet").to_pylist():
                num_chars += len(row["text"])
                stream.write(json.dumps({"id": row["doc_id"], "text": row["text"], "row": row}) + "\n")
    return given, num_chars


def run(side: str, given: Path) -> Told:
    """One run of a side's command."""
    done = subprocess.run([*SIDES[side], str(given)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{side} failed:\n{done.stderr[-3000:]}")
    return Told(**json.loads(done.stdout.splitlines()[-1]))


def beside_datatrove(table: Table, data: Path | None, folder: Path, rounds: int) -> None:
    """Both sides alternately on the documents of real dumps; medians, the first round discarded."""
    if data is None:
        table.not_run.append("filters beside datatrove: --data names no folder of real data")
        return
    if not PYTHON.exists():
        table.not_run.append(f"filters beside datatrove: {absent(PYTHON)}")
        return
    given, num_chars = written(data, folder / "filters")
    told: dict[str, list[Told]] = {side: [] for side in SIDES}
    for _ in range(rounds + 1):
        for side in SIDES:
            told[side].append(run(side, given))
    last = {side: runs[-1] for side, runs in told.items()}
    for side, one in last.items():
        if one.num_chars != num_chars or one.kept.keys() & one.dropped.keys():
            table.unequal.append(f"{side} read {one.num_chars:,} of {num_chars:,} characters")
    if last["ours"].kept.keys() | last["ours"].dropped.keys() != (
        last["datatrove"].kept.keys() | last["datatrove"].dropped.keys()
    ):
        table.unequal.append("the sides do not account for the same documents")
    _print_drops(last)
    mine, theirs = (
        statistics.median(num_chars / 1e6 / one.seconds for one in runs[1:]) for runs in told.values()
    )
    measure = f"read, filter and split {num_chars / 1e6:.1f} M characters"
    table.add(Row(measure, f"{mine:.2f} M/s", f"datatrove {theirs:.3g} M/s", mine / theirs, TARGET))


def _print_drops(last: dict[str, Told]) -> None:
    """Who keeps and drops what, and why."""
    ours, theirs = last.values()
    both, neither = (
        len(ours.kept.keys() & theirs.kept.keys()),
        len(ours.dropped.keys() & theirs.dropped.keys()),
    )
    print(
        f"kept by both {both}, by us alone {len(ours.kept) - both}, by datatrove alone "
        f"{len(theirs.kept) - both}, by neither {neither}"
    )
    for side, one in last.items():
        reasons = ", ".join(f"{reason} {num}" for reason, num in Counter(one.dropped.values()).most_common())
        print(
            f"{side}: {sum(one.kept.values()):,} sentences in {len(one.kept)} documents; dropped: {reasons}"
        )
