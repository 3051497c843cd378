"""Signatures beside datasketch's, in one process; first that they are equally good."""

import re
import statistics
from pathlib import Path

import numpy as np
from datasketch import MinHash, MinHashLSH

from rpt_core.artifacts.digest import stable_id
from rpt_core.corpus.dedup.duplicates import DuplicateFinder
from rpt_core.corpus.dedup.minhash import SCHEME, SEED, signatures
from rpt_core.corpus.dedup.sketch import sketch
from rpt_core.corpus.text.words import shingles, split_words
from tests.benchmarks.corpus.planted import ALIKE, BANDS, NUM, ROWS, jaccard, texts
from tests.benchmarks.table import Table, clocked, race, speeds

WORD = re.compile(r"\w+")


def short_shingles(documents: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The word 5-grams of all documents as our signatures take them: 32-bit hashes, and offsets."""
    hashes, offsets = shingles(split_words(documents), 5)
    return (hashes >> np.uint64(32)).astype(np.uint32), offsets


def signed(documents: list[str], num: int) -> np.ndarray:
    """From texts to signatures."""
    return signatures(*short_shingles(documents), num)


def peer_shingles(text: str) -> list[bytes]:
    """Word 5-grams as people write them for datasketch."""
    words = WORD.findall(text.lower())
    return [" ".join(words[i : i + 5]).encode() for i in range(len(words) - 4)]


def finder_of(documents: list[str], folder: Path) -> DuplicateFinder:
    """Our finder, with everything taken in and nothing resolved."""
    finder = DuplicateFinder(folder, NUM, ALIKE)
    ids = [stable_id(str(number)) for number in range(len(documents))]
    for first in range(0, len(documents), 500):
        part = documents[first : first + 500]
        finder.add(sketch(ids[first : first + 500], [0] * len(part), part, split_words(part), NUM))
    return finder


def lsh_of(sketches: list[MinHash]) -> MinHashLSH:
    """The peer's index over all sketches."""
    index = MinHashLSH(num_perm=NUM, params=(BANDS, ROWS))
    for number, made in enumerate(sketches):
        index.insert(number, made)
    return index


def quality(documents: list[str], folder: Path) -> list[str]:
    """Recall and precision at J >= 0.8 of both sides, and the error of the signatures; what is not equal.

    Ours are the clusters it ends with, so a pair of a chain counts from J >= 0.75 on.
    """
    truth = jaccard(documents)
    alike = {pair for pair, value in truth.items() if value >= ALIKE}
    cluster = finder_of(documents, folder).resolve().cluster.tolist()
    ours = {pair for pair in truth if cluster[pair[0]] == cluster[pair[1]]}
    sketches = MinHash.bulk(map(peer_shingles, documents), num_perm=NUM, seed=SEED, scheme=SCHEME)
    index = lsh_of(sketches)
    theirs = {(a, b) for a, one in enumerate(sketches) for b in index.query(one) if b < a}
    recall, peer_recall = len(ours & alike) / len(alike), len(theirs & alike) / len(alike)
    precision = sum(truth[pair] >= 0.75 for pair in ours) / len(ours)
    peer_precision = sum(truth.get(pair, 0) >= 0.75 for pair in theirs) / len(theirs)
    made = signed(documents, NUM)
    errors = [float((made[a] == made[b]).mean()) - value for (a, b), value in truth.items()]
    theory = statistics.fmean(value * (1 - value) / NUM for value in truth.values()) ** 0.5
    error = statistics.fmean(value**2 for value in errors) ** 0.5
    print(
        f"{len(alike)} pairs at J >= 0.8: recall {recall:.3f} (datasketch {peer_recall:.3f}), precision "
        f"{precision:.3f} ({peer_precision:.3f}); error of a signature {error / theory:.2f} of the theory's"
    )
    wrong = [] if recall >= max(0.95, peer_recall - 0.02) else [f"recall {recall:.3f}"]
    wrong += [] if precision >= max(0.99, peer_precision) else [f"precision {precision:.3f}"]
    return wrong + ([] if error <= 1.1 * theory else [f"signature error {error / theory:.2f}"])


def beside_datasketch(table: Table, folder: Path, rounds: int) -> None:
    """Texts to signatures, and hashes to signatures, in 128 permutations; what the table asks of them."""
    table.unequal += quality(texts(600), folder / "quality")
    documents = texts(1000)
    size = sum(map(len, documents)) / 1e6
    hashes, offsets = short_shingles(documents)
    rows = [hashes[offsets[i] : offsets[i + 1]].tolist() for i in range(len(documents))]
    sides = {
        "text to 128 permutations": (
            6.0,
            lambda: signed(documents, 128),
            lambda: MinHash.bulk(map(peer_shingles, documents), num_perm=128, scheme=SCHEME),
        ),
        "signature of given hashes": (
            3.0,
            lambda: signatures(hashes, offsets, 128),
            lambda: MinHash.bulk(rows, num_perm=128, scheme=SCHEME, hashfunc=int),
        ),
    }
    for measure, (target, ours, peer) in sides.items():
        seconds = race(clocked(ours), clocked(peer), rounds)
        table.add(speeds(measure, seconds, size, "datasketch bulk", target))
