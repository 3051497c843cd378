r"""Prepare, or ingest, in one process and in two: wall time of the whole stage, on real text.

For ``prepare``, documents of ten paragraphs each are drawn from a folder of real texts, so that prose,
sentences and languages cost what they do and few documents are duplicates; for ``ingest``, the folder itself
is read, copied until its files give so much text. Both runs must write the same tables. Rounds alternate.
Two processes cannot be faster where others hold the second core, so what others took is told beside each run.

A spawned process imports the main module again, and a stage's own (``tasks.train_main``) is a light one: so
this one imports a stage's code only where it is called, or each process would spend six seconds on it.

    python -m tests.benchmarks.corpus.speedup --data FOLDER/text [--stage prepare] \
        [--megabytes 30] [--rounds 3]
"""

import argparse
import json
import math
import os
import random
import resource
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from infra.runs.workers import workers
from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Ref
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe

PARAGRAPHS = 10
PARAGRAPH_CHARS_MIN = 80


def paragraphs(data: Path, folder: Path) -> list[str]:
    """All paragraphs of what ingest reads in a folder."""
    import pyarrow.parquet as pq

    from rpt_core.corpus.ingest import ingest

    ingest(IngestRecipe(data=str(data)), LocalBuild({}, folder / "out", folder / "scratch"))
    texts = pq.read_table(folder / "out" / "documents.parquet", columns=["text"])["text"].to_pylist()
    found = (part.strip() for text in texts for part in text.split("\n\n"))
    return [part for part in found if len(part) >= PARAGRAPH_CHARS_MIN]


def ingested(data: Path, folder: Path, megabytes: float) -> Path:
    """So many megabytes of drawn documents, after ingest."""
    from rpt_core.corpus.ingest import ingest

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


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds: the wall's, this process's and its ended children's on processors, and all processes'."""

    wall: float
    mine: float
    machine: float

    @classmethod
    def now(cls) -> Self:
        """What they show."""
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        jiffies = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]]
        busy = sum(jiffies) - jiffies[3] - jiffies[4]  # all but idle and waiting for a disk
        mine = sum(one.ru_utime + one.ru_stime for one in used)
        return cls(time.monotonic(), mine, busy / os.sysconf("SC_CLK_TCK"))

    def since(self, then: Self) -> Self:
        """What has passed."""
        return type(self)(self.wall - then.wall, self.mine - then.mine, self.machine - then.machine)


def prepared(documents: Path, out: Path, num: int) -> Clocks:
    """What prepare takes in so many processes, starting and ending them included."""
    from rpt_core.corpus.prepare import prepare

    before = Clocks.now()
    with workers(Placement(workers=num)) as mapper:
        build = LocalBuild({"documents": documents}, out / "out", out / "scratch", mapper=mapper)
        prepare(PrepareRecipe(documents=Ref(ref="documents")), build)
    return Clocks.now().since(before)


def copied(data: Path, folder: Path, megabytes: float) -> Path:
    """The folder's files, as often as they give so many megabytes of text."""
    import pyarrow.parquet as pq

    from rpt_core.corpus.ingest import ingest

    once = ingest(IngestRecipe(data=str(data)), LocalBuild({}, folder / "once", folder / "scratch"))
    num_chars = sum(map(len, pq.read_table(folder / "once" / "documents.parquet")["text"].to_pylist()))
    times = math.ceil(megabytes * 1e6 / num_chars)
    for number in range(times):
        shutil.copytree(data, folder / "given" / str(number))
    print(f"{once.rows.kept * times:,} documents, {num_chars * times / 1e6:.1f} million characters")
    return folder / "given"


def taken_in(given: Path, out: Path, num: int) -> Clocks:
    """What ingest takes in so many processes, starting and ending them included."""
    from rpt_core.corpus.ingest import ingest

    before = Clocks.now()
    with workers(Placement(workers=num)) as mapper:
        ingest(IngestRecipe(data=str(given)), LocalBuild({}, out / "out", out / "scratch", mapper=mapper))
    return Clocks.now().since(before)


STAGES = {"prepare": (ingested, prepared), "ingest": (copied, taken_in)}


def main() -> None:
    """Race one process with two."""
    import pyarrow.parquet as pq

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--stage", choices=STAGES, default="prepare")
    parser.add_argument("--megabytes", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    taken: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make, run = STAGES[options.stage]
        given = make(options.data, folder, options.megabytes)
        for number in range(options.rounds):
            tables = {}
            for num, side in taken.items():
                out = folder / f"{number}-{num}"
                spent = run(given, out, num)
                side.append(spent.wall)
                others = (spent.machine - spent.mine) / spent.wall
                print(
                    f"{num} processes: {spent.wall:.1f} s by the wall, {spent.mine:.1f} s on processors; "
                    f"others took {others:.2f} cores",
                    flush=True,
                )
                paths = sorted((out / "out").glob("*.parquet"))
                tables[num] = [(path.name, pq.read_table(path)) for path in paths]
            if tables[1] != tables[2]:
                sys.exit("two processes write other tables than one")
    one, two = (statistics.median(side) for side in taken.values())
    print(f"medians: {one:.1f} s and {two:.1f} s, {one / two:.2f} times")


if __name__ == "__main__":
    main()
