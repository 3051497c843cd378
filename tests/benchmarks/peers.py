"""Races with peers that need an environment of their own: datatrove, rensa, presidio's patterns.

A process in ``.venv-peers`` (`make peers`) does their part; processor seconds, rounds alternating, the
first discarded, medians. Whether results are equally good is asked first: near-duplicates by each side's
own signatures against exact Jaccard, personal data against gold spans. Exits with 1 when ours are worse or a
target is missed.

    python -m tests.benchmarks.peers [--python .venv-peers/bin/python] [--data FOLDER] [--rounds 5]
"""

import argparse
import gzip
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np

from rpt_core.corpus.minhash import signatures
from rpt_core.corpus.pii import find
from rpt_core.corpus.words import shingles, split_words
from tests.benchmarks.corpus import texts

TARGETS = {"signature": 60.0, "kernel": 10.0, "rensa": 3.0}
"""Times faster at least."""
TYPES = {"EMAIL": "EMAIL_ADDRESS", "CARD": "CREDIT_CARD", "IBAN": "IBAN_CODE", "IP": "IP_ADDRESS"}


class Peers:
    """The process of the other side."""

    def __init__(self, python: Path, folder: Path) -> None:
        self._folder = folder
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

    def ask(self, job: str, documents: list[str]) -> tuple[float, np.ndarray]:
        """Processor seconds of one job, and what it found."""
        given, out = self._folder / "texts.json", self._folder / "found.npy"
        given.write_text(json.dumps(documents))
        asked = json.dumps({"job": job, "texts": str(given), "out": str(out)})
        self._process.stdin.write(f"{asked}\n")
        self._process.stdin.flush()
        while (line := self._process.stdout.readline()) and not line.startswith('{"seconds"'):
            pass
        if not line:
            sys.exit(f"the peers' process ended at {job}; its own words are above")
        return json.loads(line)["seconds"], np.load(out)


def ours(documents: list[str], num: int) -> np.ndarray:
    hashes, offsets = shingles(split_words(documents), 5)
    return signatures((hashes >> np.uint64(32)).astype(np.uint32), offsets, num)


def near(signed: np.ndarray, rows: int) -> set[tuple[int, int]]:
    """Pairs that share a band of so many slots."""
    found = set()
    for band in range(signed.shape[1] // rows):
        buckets: dict[bytes, list[int]] = {}
        for number, row in enumerate(np.ascontiguousarray(signed[:, band * rows : (band + 1) * rows])):
            buckets.setdefault(row.tobytes(), []).append(number)
        found |= {(a, b) for bucket in buckets.values() for a in bucket for b in bucket if b < a}
    return found


def quality(peers: Peers, documents: list[str]) -> list[str]:
    """Recall at J >= 0.8 and precision at J >= 0.5 of LSH alone, by each side's signatures (14 x 8).

    LSH misses pairs by chance, at a similarity J with probability (1 - J^8)^14 on either side; recalls are
    unequal when ours is behind by more than two standard errors of a difference of two such draws.
    """
    hashes, offsets = shingles(split_words(documents), 5)
    sets = [set(hashes[offsets[i] : offsets[i + 1]].tolist()) for i in range(len(documents))]
    jaccard = {
        (a, b): len(sets[a] & sets[b]) / len(sets[a] | sets[b])
        for a in range(len(sets))
        for b in range(a)
        if not sets[a].isdisjoint(sets[b])
    }
    alike = {pair for pair, value in jaccard.items() if value >= 0.8}
    told = []
    for signed in (
        ours(documents, 112),
        peers.ask("signature", documents)[1],
        peers.ask("rensa", documents)[1],
    ):
        found = near(signed[:, :112], 8)
        precise = sum(jaccard.get(pair, 0.0) >= 0.5 for pair in found) / max(len(found), 1)
        told.append((len(found & alike) / len(alike), precise))
    (recall, precision), *others = told
    print(
        f"{len(alike)} pairs at J >= 0.8, LSH alone: recall {recall:.3f}, precision {precision:.3f}; "
        + "; ".join(
            f"{name} {r:.3f}, {p:.3f}" for name, (r, p) in zip(("datatrove", "rensa"), others, strict=True)
        )
    )
    missed = np.array([(1 - jaccard[pair] ** 8) ** 14 for pair in alike])
    error = float(np.sqrt(2 * np.sum(missed * (1 - missed)))) / len(alike)
    worse = recall < max(r for r, _ in others) - 2 * error or precision < max(p for _, p in others) - 0.02
    return ["signatures of ours find worse"] if worse else []


def race(peers: Peers, job: str, mine: Callable[[], object], documents: list[str], rounds: int) -> float:
    """Medians of both sides, alternating; how many times faster ours is."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        started = time.process_time()
        mine()
        taken[0].append(time.process_time() - started)
        taken[1].append(peers.ask(job, documents)[0])
    fast, slow = (statistics.median(side[1:]) for side in taken)
    size = sum(map(len, documents)) / 1e6
    print(f"{job:12} {size / fast:9.2f} MB/s {size / slow:9.3f} MB/s {slow / fast:8.1f} times")
    return slow / fast


def kernel_input(peers: Peers, documents: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The peer's own shingle hashes, cut to the 32 bits our scheme takes."""
    flat = peers.ask("shingles", documents)[1]
    num = int(flat[0])
    offsets = np.concatenate([[0], np.cumsum(flat[1 : num + 1])]).astype(np.int64)
    return (flat[num + 1 :] >> np.uint64(32)).astype(np.uint32), offsets


def personal(peers: Peers, data: Path) -> list[str]:
    """Precision and recall by type on gold spans, beside presidio's patterns; a hit lies in a gold span."""
    (path,) = (data / "pii").glob("synth_dataset_v2*")
    samples = json.loads(gzip.decompress(path.read_bytes()))
    documents = [sample["full_text"] for sample in samples]
    started = time.process_time()
    mine = [
        (number, TYPES[hit.name], hit.start, hit.end)
        for number, text in enumerate(documents)
        for hit in find(text)
        if hit.name in TYPES
    ]
    seconds = time.process_time() - started
    peer_seconds, rows = peers.ask("personal", documents)
    names = list(TYPES.values())
    theirs = [(int(n), names[int(kind)], int(start), int(end)) for n, kind, start, end in rows]
    gold = {
        (number, span["entity_type"], span["start_position"], span["end_position"])
        for number, sample in enumerate(samples)
        for span in sample["spans"]
        if span["entity_type"] in names
    }
    num = Counter(kind for _, kind, _, _ in gold)
    worse = []
    for kind in names:
        shown = []
        for found in (mine, theirs):
            hits = [hit for hit in found if hit[1] == kind]
            met = {
                span for span in gold for hit in hits
                if span[:2] == hit[:2] and span[2] <= hit[3] - 1 and hit[2] <= span[3] - 1
            }  # fmt: skip
            right = sum(
                any(s[:2] == h[:2] and s[2] <= h[3] - 1 and h[2] <= s[3] - 1 for s in gold) for h in hits
            )
            shown.append((right / max(len(hits), 1), len(met) / num[kind]))
        print(
            f"{kind:14} {num[kind]:4} gold: precision {shown[0][0]:.3f}, recall {shown[0][1]:.3f}; presidio "
            f"{shown[1][0]:.3f}, {shown[1][1]:.3f}"
        )
        worse += [kind] if any(a < b for a, b in zip(*shown, strict=True)) else []
    print(f"personal data: {seconds:.2f} s, all types of ours; presidio's four {peer_seconds:.2f} s")
    return [f"presidio finds {', '.join(worse)} better"] if worse else []


def main() -> None:
    """Ask whether results are equal, then race."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--python", type=Path, default=Path(".venv-peers/bin/python"))
    parser.add_argument("--data", type=Path, help="the folder of real data, for gold spans of personal data")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--documents", type=int, default=400)
    options = parser.parse_args()
    if not options.python.exists():
        sys.exit(f"{options.python} does not exist; `make peers` makes the peers' environment.")
    with tempfile.TemporaryDirectory() as name, Peers(options.python, Path(name)) as peers:
        documents = texts(options.documents)
        peers.ask("ready", documents)
        missed = quality(peers, documents)
        missed += personal(peers, options.data) if options.data else []
        if not missed:
            hashes, offsets = kernel_input(peers, documents)
            sides = {
                "signature": lambda: ours(documents, 112),
                "kernel": lambda: signatures(hashes, offsets, 112),
                "rensa": lambda: ours(documents, 128),
            }
            for job, mine in sides.items():
                times = race(peers, job, mine, documents, options.rounds)
                missed += [] if times >= TARGETS[job] else [f"{job} {times:.1f} < {TARGETS[job]:.0f}"]
    if missed:
        sys.exit("missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
