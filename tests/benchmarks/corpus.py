"""De-duplication beside datasketch, and the clean-up by step; first that the results are equally good.

Seconds are processor time of one process, rounds alternate between the sides, the first is discarded and
medians are shown. Quality is checked against exact Jaccard by brute force before any time is taken. Exits
with 1 when a result is not equal in quality or a target is missed.

    python -m tests.benchmarks.corpus [--data FOLDER] [--rounds 5] [--memory]
"""

import argparse
import functools
import json
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from datasketch import MinHash, MinHashLSH

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Ref
from rpt_core.corpus import decontaminate, segments, shards, tables, wikipedia
from rpt_core.corpus import documents as documents_stage
from rpt_core.corpus import ingest as ingest_stage
from rpt_core.corpus import prepare as prepare_stage
from rpt_core.corpus.dedup import DuplicateFinder
from rpt_core.corpus.minhash import SCHEME, SEED, signatures
from rpt_core.corpus.recipe import IngestRecipe, PrepareRecipe
from rpt_core.corpus.rows import stable_id
from rpt_core.corpus.sketch import sketch
from rpt_core.corpus.sources import find_sources
from rpt_core.corpus.streams import open_chunks
from rpt_core.corpus.words import shingles, split_words
from tests.benchmarks import grouping

NUM, BANDS, ROWS = 112, 14, 8
LSH_ROWS = 50_000, 100_000
"""Signatures grouped against time, and against memory."""
TARGETS = {"text to signature": 6.0, "signature of hashes": 3.0, "clean-up, MB/s": 1.2}
"""Times faster than the peer at least; the last is a speed."""
WORD = re.compile(r"\w+")


def texts(num: int) -> list[str]:
    """Documents of 500 words drawn by Zipf's law, a fifth of them near-copies of an earlier one."""
    rng = np.random.default_rng(0)
    vocabulary = np.array([f"w{i:x}" for i in range(30_000)])
    weights = 1 / np.arange(1, len(vocabulary) + 1)
    out: list[list[str]] = []
    for number in range(num):
        if number % 5 == 4:
            words = list(out[rng.integers(len(out))])
            for place in np.flatnonzero(rng.random(len(words)) < rng.choice([0.0, 0.005, 0.01, 0.02, 0.05])):
                words[place] = str(rng.choice(vocabulary))
        else:
            words = rng.choice(vocabulary, 500, p=weights / weights.sum()).tolist()
        out.append(words)
    return [" ".join(words) for words in out]


def race(
    name: str, ours: Callable[[], object], peer: Callable[[], object], rounds: int, size: float
) -> float:
    """Medians of both, alternating; prints them and returns how many times faster ours is."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for run, seconds in zip((ours, peer), taken, strict=True):
            started = time.process_time()
            run()
            seconds.append(time.process_time() - started)
    mine, theirs = (statistics.median(seconds[1:]) for seconds in taken)
    print(f"{name:28} {size / mine:9.2f} MB/s {size / theirs:9.2f} MB/s {theirs / mine:7.1f} times")
    return theirs / mine


def peer_shingles(text: str) -> list[bytes]:
    """Word 5-grams as people write them for datasketch."""
    words = WORD.findall(text.lower())
    return [" ".join(words[i : i + 5]).encode() for i in range(len(words) - 4)]


def quality(documents: list[str], folder: Path) -> list[str]:
    """Recall and precision at J >= 0.8 of both sides, and the error of the signatures; what is not equal."""
    hashes, offsets = shingles(split_words(documents), 5)
    sets = [set(hashes[offsets[i] : offsets[i + 1]].tolist()) for i in range(len(documents))]
    pairs = [(a, b) for a in range(len(sets)) for b in range(a) if not sets[a].isdisjoint(sets[b])]
    jaccard = {
        pair: len(sets[pair[0]] & sets[pair[1]]) / len(sets[pair[0]] | sets[pair[1]]) for pair in pairs
    }
    alike = {pair for pair, value in jaccard.items() if value >= 0.8}
    cluster = resolved(documents, folder)
    ours = {pair for pair in pairs if cluster[pair[0]] == cluster[pair[1]]}
    sketches = MinHash.bulk(map(peer_shingles, documents), num_perm=NUM, seed=SEED, scheme=SCHEME)
    index = lsh_of(sketches)
    theirs = {(a, b) for a, made in enumerate(sketches) for b in index.query(made) if b < a}
    recall, peer_recall = len(ours & alike) / len(alike), len(theirs & alike) / len(alike)
    precision = sum(jaccard[pair] >= 0.75 for pair in ours) / len(ours)
    peer_precision = sum(jaccard.get(pair, 0) >= 0.75 for pair in theirs) / len(theirs)
    short = (hashes >> np.uint64(32)).astype(np.uint32)
    signed = signatures(short, offsets, NUM)
    errors = [float((signed[a] == signed[b]).mean()) - value for (a, b), value in jaccard.items()]
    theory = statistics.fmean(value * (1 - value) / NUM for value in jaccard.values()) ** 0.5
    error = statistics.fmean(value**2 for value in errors) ** 0.5
    print(
        f"{len(alike)} pairs at J >= 0.8: recall {recall:.3f} (datasketch {peer_recall:.3f}), precision "
        f"{precision:.3f} ({peer_precision:.3f}); error of a signature {error / theory:.2f} of the theory's"
    )
    wrong = [] if recall >= max(0.95, peer_recall - 0.02) else [f"recall {recall:.3f}"]
    wrong += [] if precision >= max(0.99, peer_precision) else [f"precision {precision:.3f}"]
    return wrong + ([] if error <= 1.1 * theory else [f"signature error {error / theory:.2f}"])


def lsh_of(sketches: list[MinHash]) -> MinHashLSH:
    """The peer's index over all sketches."""
    index = MinHashLSH(num_perm=NUM, params=(BANDS, ROWS))
    for number, made in enumerate(sketches):
        index.insert(number, made)
    return index


def finder_of(documents: list[str], folder: Path) -> DuplicateFinder:
    """Our finder, with everything taken in and nothing resolved."""
    finder = DuplicateFinder(folder, NUM, 0.8)
    ids = [stable_id(str(number)) for number in range(len(documents))]
    for first in range(0, len(documents), 500):
        part = documents[first : first + 500]
        finder.add(sketch(ids[first : first + 500], [0] * len(part), part, split_words(part), NUM))
    return finder


def resolved(documents: list[str], folder: Path) -> list[int]:
    """The cluster of every document."""
    return finder_of(documents, folder).resolve().cluster.tolist()


class Steps:
    """Processor seconds by step: functions of the two stages, each charged for what no inner one takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._since = 0.0

    def timed(self, stack: ExitStack, owner: object, name: str, step: str) -> None:
        """Charge a function to a step until the stack closes."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def charged(*args: Any, **kwargs: Any) -> Any:
            self._switch()
            self._open.append(step)
            try:
                return function(*args, **kwargs)
            finally:
                self._switch()
                self._open.pop()

        stack.enter_context(mock.patch.object(owner, name, charged))

    def _switch(self) -> None:
        now = time.process_time()
        if self._open:
            self.seconds[self._open[-1]] = self.seconds.get(self._open[-1], 0.0) + now - self._since
        self._since = now


STEPS = (
    (ingest_stage, "ingest", "read: unpack, cut into pages, write"),
    (wikipedia, "parse_page", "read: XML"),
    (wikipedia, "to_text", "read: wikitext to prose"),
    (prepare_stage, "prepare", "prepare: the rest"),
    (shards, "normalise", "prepare: normal form"),
    (shards, "_filtered", "prepare: measure, language, filter"),
    (shards, "sketch", "prepare: words, signatures, n-grams"),
    (shards, "split_words", "prepare: words, signatures, n-grams"),
    (decontaminate.Contamination, "scan", "prepare: words, signatures, n-grams"),
    (documents_stage.DuplicateFinder, "resolve", "prepare: duplicates"),
    (segments, "learn", "prepare: Punkt learns"),
    (shards, "mask", "prepare: personal data"),
    (segments.Splitter, "split", "prepare: sentences"),
    (tables.TableWriter, "_flush", "prepare: Parquet"),
)


def clean_up(data: Path, folder: Path) -> tuple[float, dict[str, float]]:
    """Both stages over a folder: MB of unpacked input per processor second, and the seconds by step."""
    steps = Steps()
    with ExitStack() as stack:
        for owner, name, step in STEPS:
            steps.timed(stack, owner, name, step)
        started = time.process_time()
        ingest_stage.ingest(IngestRecipe(data=str(data)), LocalBuild({}, folder / "a", folder / "b"))
        build = LocalBuild({"documents": folder / "a"}, folder / "c", folder / "d")
        prepare_stage.prepare(PrepareRecipe(documents=Ref(ref="documents")), build)
        seconds = time.process_time() - started
    return raw_megabytes(data) / seconds, steps.seconds


def raw_megabytes(data: Path) -> float:
    """What the files of a folder hold, unpacked, in MB."""
    return sum(len(piece) for source in find_sources(data) for piece in open_chunks(source.path)) / 1e6


def clean_ups(data: Path, folder: Path, rounds: int) -> float:
    """The clean-up several times, the first discarded: medians, whole and by step."""
    runs = []
    for number in range(rounds + 1):
        runs.append(clean_up(data, folder / f"clean-{number}"))
        shutil.rmtree(folder / f"clean-{number}")
    speeds = [speed for speed, _ in runs[1:]]
    found = statistics.median(speeds)
    print(
        f"clean-up of {raw_megabytes(data):.1f} MB: {found:.2f} MB/s of processor time "
        f"({min(speeds):.2f} to {max(speeds):.2f} in {rounds} rounds)"
    )
    for step in runs[0][1]:
        print(f"    {step:40} {statistics.median(steps[step] for _, steps in runs[1:]):6.2f} s")
    return found


def lsh(rounds: int) -> list[str]:
    """Grouping of many signatures beside the peer's index; what is unequal or missed."""
    mine, theirs, equal = grouping.seconds(LSH_ROWS[0], rounds)
    print(
        f"grouping {LSH_ROWS[0]:,} signatures: {mine:.3f} s and {theirs:.3f} s of processor time, "
        f"{theirs / mine:.1f} times; clusters {'equal' if equal else 'NOT equal'}"
    )
    command = [sys.executable, "-m", "tests.benchmarks.grouping", "--peak"]
    peaks = {}
    for side in ("ours", "theirs"):
        done = subprocess.run([*command, side, str(LSH_ROWS[1])], check=True, capture_output=True, text=True)
        peaks[side] = [int(word) / 2**20 for word in done.stdout.split()]
    (start, ours), (_, peer) = peaks["ours"], peaks["theirs"]
    print(
        f"grouping {LSH_ROWS[1]:,} signatures, peak memory: {ours:.0f} MiB and {peer:.0f} MiB, of which "
        f"{start:.0f} MiB are Python and libraries: {ours / peer:.2f}, without these "
        f"{(ours - start) / (peer - start):.3f}"
    )
    missed = [] if equal else ["other clusters than datasketch"]
    missed += [] if theirs >= 10 * mine else [f"grouping {theirs / mine:.1f} < 10"]
    return missed + ([] if 5 * ours <= peer else [f"grouping's memory {ours / peer:.2f} > 0.2"])


def peak_bytes(num: int) -> int:
    """Both stages over so many written documents, then this process's largest resident size."""
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        with (folder / "data" / "rows.jsonl").open("w") as stream:
            for number in range(num):
                words = " ".join(
                    rng.choice(("stone", "river", "old", "of", "the", f"n{number}")) for _ in range(300)
                )
                stream.write(json.dumps({"id": number, "title": str(number), "text": f"{words}."}) + "\n")
        clean_up(folder / "data", folder)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def memory() -> list[str]:
    """Peak memory over an input and one ten times as large, each in a fresh process."""
    command = [sys.executable, "-m", "tests.benchmarks.corpus", "--peak-of"]
    small, large = (
        int(
            subprocess.run([*command, str(num)], check=True, capture_output=True, text=True).stdout.split()[
                -1
            ]
        )
        for num in (2_000, 20_000)
    )
    print(f"peak memory: {small / 2**20:.0f} MiB, input ten times as large {large / 2**20:.0f} MiB")
    allowed = small + max(0.05 * small, 20 << 20)
    return [] if large <= allowed else [f"memory grows by {(large - small) / 2**20:.0f} MiB"]


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of dumps for the clean-up")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="also the growth of memory (minutes)")
    parser.add_argument("--peak-of", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak_of:
        print(peak_bytes(options.peak_of))
        return
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        missed += quality(texts(600), folder / "quality")
        documents = texts(1000)
        size = sum(map(len, documents)) / 1e6
        print(f"{'':28} {'ours':>14} {'datasketch':>14}")
        faster = {
            "text to signature": race(
                "text to signature",
                lambda: signatures(*_short(documents), 128),
                lambda: MinHash.bulk(map(peer_shingles, documents), num_perm=128, scheme=SCHEME),
                options.rounds,
                size,
            )
        }
        hashes, offsets = _short(documents)
        rows = [hashes[offsets[i] : offsets[i + 1]].tolist() for i in range(len(documents))]
        faster["signature of hashes"] = race(
            "signature of hashes",
            lambda: signatures(hashes, offsets, 128),
            lambda: MinHash.bulk(rows, num_perm=128, scheme=SCHEME, hashfunc=int),
            options.rounds,
            size,
        )
        sketches = MinHash.bulk(map(peer_shingles, documents), num_perm=NUM, scheme=SCHEME)
        finder = finder_of(documents, folder / "groups")
        race(
            "grouping, ours compares too",
            finder.resolve,
            lambda: list(map(lsh_of(sketches).query, sketches)),
            options.rounds,
            size,
        )
        missed += lsh(options.rounds)
        if options.data:
            faster["clean-up, MB/s"] = clean_ups(options.data, folder, options.rounds)
    missed += [
        f"{name} {value:.2f} < {TARGETS[name]}" for name, value in faster.items() if value < TARGETS[name]
    ]
    missed += memory() if options.memory else []
    if missed:
        sys.exit("missed: " + "; ".join(missed))


def _short(documents: list[str]) -> tuple[np.ndarray, np.ndarray]:
    hashes, offsets = shingles(split_words(documents), 5)
    return (hashes >> np.uint64(32)).astype(np.uint32), offsets


if __name__ == "__main__":
    main()
