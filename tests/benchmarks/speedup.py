"""Prepare in one process and in two: wall time of the whole stage, on documents made of real paragraphs.

Documents of ten paragraphs each are drawn from a folder of real texts, so that prose, sentences and languages
cost what they do and few documents are duplicates. Both runs must write the same tables. Rounds alternate.

    python -m tests.benchmarks.speedup --data FOLDER/text [--megabytes 30] [--rounds 3]
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from infra.workers import workers
from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Ref
from rpt_core.corpus.ingest import ingest
from rpt_core.corpus.prepare import prepare
from rpt_core.corpus.recipe import IngestRecipe, PrepareRecipe

PARAGRAPHS = 10
PARAGRAPH_CHARS_MIN = 80


def paragraphs(data: Path, folder: Path) -> list[str]:
    """All paragraphs of what ingest reads in a folder."""
    ingest(IngestRecipe(data=str(data)), LocalBuild({}, folder / "out", folder / "scratch"))
    texts = pq.read_table(folder / "out" / "documents.parquet", columns=["text"])["text"].to_pylist()
    found = (part.strip() for text in texts for part in text.split("\n\n"))
    return [part for part in found if len(part) >= PARAGRAPH_CHARS_MIN]


def ingested(data: Path, folder: Path, megabytes: float) -> Path:
    """So many megabytes of drawn documents, after ingest."""
    rng = random.Random(0)
    drawn_from = paragraphs(data, folder / "real")
    (folder / "given").mkdir()
    size = number = 0
    with (folder / "given" / "rows.jsonl").open("w") as stream:
        while size < megabytes * 1e6:
            text = "\n\n".join(rng.sample(drawn_from, PARAGRAPHS))
            stream.write(json.dumps({"id": number, "title": str(number), "text": text}) + "\n")
            size, number = size + len(text), number + 1
    ingest(IngestRecipe(data=str(folder / "given")), LocalBuild({}, folder / "out", folder / "scratch"))
    print(f"{number:,} documents, {size / 1e6:.1f} million characters")
    return folder / "out"


def seconds(documents: Path, out: Path, num: int) -> float:
    """Wall seconds of prepare in so many processes, starting them included."""
    started = time.monotonic()
    with workers(Placement(workers=num)) as mapper:
        build = LocalBuild({"documents": documents}, out / "out", out / "scratch", mapper=mapper)
        prepare(PrepareRecipe(documents=Ref(ref="documents")), build)
    return time.monotonic() - started


def main() -> None:
    """Race one process with two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--megabytes", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    taken: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        documents = ingested(options.data, folder, options.megabytes)
        for number in range(options.rounds):
            tables = {}
            for num, side in taken.items():
                out = folder / f"{number}-{num}"
                load = os.getloadavg()[0]
                side.append(seconds(documents, out, num))
                print(f"{num} processes: {side[-1]:.1f} s, load average before {load:.1f}", flush=True)
                paths = sorted((out / "out").glob("*.parquet"))
                tables[num] = [(path.name, pq.read_table(path)) for path in paths]
            if tables[1] != tables[2]:
                sys.exit("two processes write other tables than one")
    one, two = (statistics.median(side) for side in taken.values())
    print(f"medians: {one:.1f} s and {two:.1f} s, {one / two:.2f} times")


if __name__ == "__main__":
    main()
