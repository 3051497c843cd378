"""Our whole de-duplication of a folder of JSON lines in two processes: read, sign, resolve, write what stays.

    python -m tests.benchmarks.corpus.whole_side FOLDER OUT SCRATCH

The finder and the pool are the ones a stage uses. A shard is a range of a file's bytes, so texts are read
where they are signed, and no text travels between processes. Prints the seconds of every part.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from infra.runs.workers import workers
from rpt_core.artifacts.digest import stable_id
from rpt_core.artifacts.placement import Placement
from rpt_core.corpus.dedup.duplicates import KEPT, DuplicateFinder
from rpt_core.corpus.dedup.sketch import Sketches, sketch
from rpt_core.corpus.text.words import split_words
from tests.benchmarks.corpus.planted import ALIKE, NUM

SHARD_BYTES = 2 << 20
WORKERS = 2


@dataclass(frozen=True, slots=True)
class Shard:
    """Some lines of a file: from one line's first byte to another's."""

    path: Path
    start: int
    end: int

    def lines(self) -> list[bytes]:
        """The lines, each with its end."""
        with self.path.open("rb") as stream:
            stream.seek(self.start)
            return stream.read(self.end - self.start).splitlines(keepends=True)


def shards(folder: Path) -> Iterator[Shard]:
    """All files of a folder, cut between lines."""
    for path in sorted(folder.glob("*.jsonl")):
        size, start = path.stat().st_size, 0
        with path.open("rb") as stream:
            while start < size:
                stream.seek(min(start + SHARD_BYTES, size))
                stream.readline()
                yield Shard(path, start, stream.tell())
                start = stream.tell()


def signed(shard: Shard) -> Sketches:
    """What the finder needs to know of a shard's rows."""
    rows = [json.loads(line) for line in shard.lines()]
    ids, texts = [stable_id(row["id"]) for row in rows], [row["text"] for row in rows]
    return sketch(ids, [0] * len(rows), texts, split_words(texts), NUM)


def written(out: Path, shard_and_kept: tuple[Shard, bytes]) -> None:
    """Copy the lines of a shard that stay."""
    shard, kept = shard_and_kept
    lines = [line for line, stays in zip(shard.lines(), kept, strict=True) if stays]
    (out / f"{shard.path.stem}-{shard.start:012d}.jsonl").write_bytes(b"".join(lines))


def main() -> None:
    """Do all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("folder", "out", "scratch"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True)
    clock = [time.monotonic()]
    with workers(Placement(workers=WORKERS)) as mapper:
        finder = DuplicateFinder(options.scratch, NUM, ALIKE)
        given, sizes = list(shards(options.folder)), []
        for sketches in mapper(signed, given):
            finder.add(sketches)
            sizes.append(len(sketches.ids_D))
        clock.append(time.monotonic())
        kept = finder.resolve().verdict == KEPT
        clock.append(time.monotonic())
        parts = np.split(kept, np.cumsum(sizes)[:-1])
        for _ in mapper(
            partial(written, options.out), zip(given, (part.tobytes() for part in parts), strict=True)
        ):
            pass
        clock.append(time.monotonic())
    names = ("signatures", "resolve", "write")
    print(json.dumps(dict(zip(names, np.diff(clock).tolist(), strict=True))))


if __name__ == "__main__":
    main()
