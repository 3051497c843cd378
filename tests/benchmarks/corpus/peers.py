"""Races with peers that need an environment of their own: datatrove, rensa, text-dedup, presidio's patterns.

A process in ``.venv-peers`` or ``.venv-text-dedup`` (`make peers`) does their part. First it is asked whether
results are equally good: near-duplicates by each side's own signatures against exact Jaccard.
"""

import json
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import numpy as np

from rpt_core.corpus.dedup.minhash import signatures
from tests.benchmarks.corpus import personal
from tests.benchmarks.corpus.planted import ALIKE, BANDS, NUM, ROWS, Pair, chance_errors, jaccard, texts
from tests.benchmarks.corpus.signing import signed
from tests.benchmarks.table import Table, clocked, race, speeds

PYTHON = Path(".venv-peers/bin/python")
PYTHON_TEXT_DEDUP = Path(".venv-text-dedup/bin/python")
JOBS = {
    "signature": PYTHON,
    "kernel": PYTHON,
    "text_dedup": PYTHON_TEXT_DEDUP,
    "rensa": PYTHON,
    "personal": PYTHON,
}
"""What the peers are asked for, and where it runs."""
SIGNERS = {"signature": "datatrove", "rensa": "rensa", "text_dedup": "text-dedup"}
"""Jobs that end with signatures, and whose they are."""


class Peer:
    """The process of the other side."""

    def __init__(self, python: Path) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [python, Path(__file__).with_name("peer_side.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()
        self._folder.cleanup()

    def ask(self, job: str, documents: list[str]) -> tuple[float, np.ndarray]:
        """Processor seconds of one job, and what it found."""
        given, out = (Path(self._folder.name) / name for name in ("texts.json", "found.npy"))
        given.write_text(json.dumps(documents))
        asked = json.dumps({"job": job, "texts": str(given), "out": str(out)})
        self._process.stdin.write(f"{asked}\n")
        self._process.stdin.flush()
        while (line := self._process.stdout.readline()) and not line.startswith('{"seconds"'):
            pass
        if not line:
            raise RuntimeError(f"the peers' process ended at {job}; its own words are above")
        return json.loads(line)["seconds"], np.load(out)


def near(made: np.ndarray) -> set[Pair]:
    """Pairs that share a band."""
    found = set()
    for band in range(BANDS):
        buckets: dict[bytes, list[int]] = {}
        for number, row in enumerate(np.ascontiguousarray(made[:, band * ROWS : (band + 1) * ROWS])):
            buckets.setdefault(row.tobytes(), []).append(number)
        found |= {(a, b) for bucket in buckets.values() for a in bucket for b in bucket if b < a}
    return found


def quality(peers: dict[str, Peer], documents: list[str]) -> list[str]:
    """Recall and precision at J >= 0.8 of LSH alone, by each side's signatures; whose are better than ours.

    Bands miss pairs by chance, and take in others by chance, on either side. Ours are worse when they are
    behind by more than two standard errors of the difference of two such draws.
    """
    truth = jaccard(documents)
    alike = {pair for pair, value in truth.items() if value >= ALIKE}
    made = {"ours": signed(documents, NUM)}
    made |= {SIGNERS[job]: peer.ask(job, documents)[1][:, :NUM] for job, peer in peers.items()}
    found = {name: near(rows) for name, rows in made.items()}
    told = {name: (len(hit & alike) / len(alike), len(hit & alike) / len(hit)) for name, hit in found.items()}
    errors = chance_errors(truth, len(found["ours"]))
    shown = "; ".join(f"{name} {recall:.3f}, {precision:.3f}" for name, (recall, precision) in told.items())
    print(f"{len(alike)} pairs at J >= 0.8, recall and precision of LSH alone: {shown}")
    print(f"a standard error of their differences: {errors[0]:.3f}, {errors[1]:.3f}")
    ours = told.pop("ours")
    return [
        f"LSH of {name} finds better than ours"
        for name, theirs in told.items()
        if any(mine < other - 2 * error for mine, other, error in zip(ours, theirs, errors, strict=True))
    ]


def kernel_input(peer: Peer, documents: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The peer's own shingle hashes, cut to the 32 bits our scheme takes."""
    flat = peer.ask("shingles", documents)[1]
    num = int(flat[0])
    offsets = np.concatenate([[0], np.cumsum(flat[1 : num + 1])]).astype(np.int64)
    return (flat[num + 1 :] >> np.uint64(32)).astype(np.uint32), offsets


def absent(python: Path) -> str:
    """What is said of a race that this Python would run."""
    return f"{python.parent.parent} is not there; `make peers` makes it"


def beside_peers(table: Table, data: Path | None, rounds: int, num_documents: int) -> None:
    """Every race whose environment is there; of the others the table is told."""
    documents = texts(num_documents)
    with ExitStack() as stack:
        there = [python for python in set(JOBS.values()) if python.exists()]
        processes = {python: stack.enter_context(Peer(python)) for python in there}
        peers = {job: processes[python] for job, python in JOBS.items() if python in processes}
        table.not_run += [f"{job}: {absent(JOBS[job])}" for job in JOBS if job not in peers]
        table.unequal += quality({job: peers[job] for job in SIGNERS if job in peers}, documents)
        races = {job: peer for job, peer in peers.items() if job != "personal"}
        _races(table, races, documents, rounds)
        if "personal" in peers:
            personal.beside_presidio(table, data, peers["personal"].ask)


def _races(table: Table, peers: dict[str, Peer], documents: list[str], rounds: int) -> None:
    size = sum(map(len, documents)) / 1e6
    hashes, offsets = kernel_input(peers["kernel"], documents) if "kernel" in peers else (None, None)
    sides = {
        "signature": ("text to 112 permutations", "datatrove", 60.0, lambda: signed(documents, NUM)),
        "kernel": (
            "kernel, on datatrove's hashes",
            "datatrove",
            10.0,
            lambda: signatures(hashes, offsets, NUM),
        ),
        "text_dedup": ("text to 112 permutations", "text-dedup", 15.0, lambda: signed(documents, NUM)),
        "rensa": ("text to 128 permutations", "regex + rensa", 3.0, lambda: signed(documents, 128)),
    }
    for job, peer in peers.items():
        measure, name, target, ours = sides[job]
        seconds = race(clocked(ours), lambda job=job, peer=peer: peer.ask(job, documents)[0], rounds)
        table.add(speeds(measure, seconds, size, name, target))
