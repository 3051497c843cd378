"""Who shares a band with whom: our bands on disk beside datasketch's index, from equal signatures.

The peer's sketches are made beforehand and not charged; charged are its inserts and queries, and of ours
everything from the signatures to the clusters, files included. First both must name the same clusters.
Memory is the peak of a fresh process, which for the peer holds one sketch at a time beside its index.

    python -m tests.benchmarks.corpus.grouping --peak ours 50000
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from datasketch import MinHash, MinHashLSH

from rpt_core.corpus.dedup.bands import Bands
from rpt_core.corpus.dedup.clusters import Clusters
from rpt_core.corpus.dedup.minhash import SCHEME, SEED
from rpt_core.corpus.dedup.sketch import band_hashes
from tests.benchmarks.corpus.planted import BANDS, NUM, ROWS
from tests.benchmarks.resident import peak_bytes
from tests.benchmarks.table import Row, Table

BATCH = 2048
NUM_TIMED, NUM_PEAK = 50_000, 100_000
"""Signatures grouped against time, and against memory."""


def batches(num: int) -> Iterator[np.ndarray]:
    """Signatures of so many rows; a tenth copy an earlier row of their batch, but for some slots."""
    for start in range(0, num, BATCH):
        rng = np.random.default_rng(start)
        drawn = rng.integers(0, 1 << 32, (min(BATCH, num - start), NUM), np.uint32)
        copies = rng.choice(np.arange(1, len(drawn)), len(drawn) // 10, replace=False)
        changed = rng.random((len(copies), NUM)) < rng.choice([0.0, 0.05, 0.2, 0.4], (len(copies), 1))
        drawn[copies] = np.where(changed, drawn[copies], drawn[rng.integers(0, copies)])
        yield drawn


def sketch(row: np.ndarray) -> MinHash:
    """The peer's object around a signature."""
    return MinHash(num_perm=NUM, seed=SEED, scheme=SCHEME, hashvalues=row)


def ours(num: int, folder: Path) -> np.ndarray:
    """The cluster of every row."""
    bands = Bands(folder, BANDS)
    for batch in batches(num):
        bands.add(band_hashes(batch))
    rank = np.arange(num)
    clusters = Clusters(rank)
    for buckets in bands.buckets(rank, np.ones(num, np.bool_)):
        clusters.unite(*buckets.pairs())
    return clusters.roots()


def theirs(num: int) -> np.ndarray:
    """The same by the peer's index; its candidates are united as ours are."""
    index = MinHashLSH(num_perm=NUM, params=(BANDS, ROWS))
    for number, row in enumerate(row for batch in batches(num) for row in batch):
        index.insert(number, sketch(row))
    clusters = Clusters(np.arange(num))
    for number, row in enumerate(row for batch in batches(num) for row in batch):
        found = np.array(index.query(sketch(row)), np.int64)
        clusters.unite(np.full(len(found), number), found)
    return clusters.roots()


def seconds(num: int, rounds: int) -> tuple[float, float, bool]:
    """Medians of ours and the peer's processor seconds, alternating, and whether the clusters are equal."""
    given = list(batches(num))
    sketches = [sketch(row) for batch in given for row in batch]
    taken: tuple[list[float], list[float]] = ([], [])
    rank = np.arange(num)
    for _ in range(rounds + 1):
        with tempfile.TemporaryDirectory() as name:
            started = time.process_time()
            bands = Bands(Path(name), BANDS)
            for batch in given:
                bands.add(band_hashes(batch))
            clusters = Clusters(rank)
            for buckets in bands.buckets(rank, np.ones(num, np.bool_)):
                clusters.unite(*buckets.pairs())
            mine = clusters.roots()
            taken[0].append(time.process_time() - started)
        started = time.process_time()
        index = MinHashLSH(num_perm=NUM, params=(BANDS, ROWS))
        for number, made in enumerate(sketches):
            index.insert(number, made)
        found = [index.query(made) for made in sketches]
        taken[1].append(time.process_time() - started)
    peer = Clusters(rank)
    peer.unite(np.repeat(rank, [len(row) for row in found]), np.concatenate(found).astype(np.int64))
    medians = [statistics.median(side[1:]) for side in taken]
    return medians[0], medians[1], bool(np.array_equal(mine, peer.roots()))


def beside_datasketch(table: Table, rounds: int) -> None:
    """Time and memory of grouping beside the peer's index, and whether the clusters are equal."""
    mine, theirs, equal = seconds(NUM_TIMED, rounds)
    table.unequal += [] if equal else ["grouping gives other clusters than datasketch"]
    peer = f"datasketch LSH {theirs:.2f} s"
    table.add(Row(f"grouping {NUM_TIMED:,} signatures", f"{mine:.3f} s", peer, theirs / mine, 10))
    (start, ours), (_, peak) = (_peaks(side) for side in ("ours", "theirs"))
    print(
        f"of the peaks {start:.0f} MiB are Python and libraries: "
        f"without, {(ours - start) / (peak - start):.3f}"
    )
    measure, peer = f"peak memory of grouping {NUM_PEAK:,}", f"datasketch LSH {peak:.0f} MiB"
    table.add(Row(measure, f"{ours:.0f} MiB", peer, ours / peak, 0.2, at_most=True))


def _peaks(side: str) -> list[float]:
    """MiB of a fresh process before it begins, and at most."""
    command = [sys.executable, "-m", "tests.benchmarks.corpus.grouping", "--peak", side, str(NUM_PEAK)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [int(word) / 2**20 for word in done.stdout.split()]


def main() -> None:
    """Print the peak of one side in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peak", nargs=2, metavar=("SIDE", "ROWS"), required=True)
    side, num = parser.parse_args().peak
    before = peak_bytes()
    with tempfile.TemporaryDirectory() as name:
        if side == "ours":
            ours(int(num), Path(name))
        elif side == "theirs":
            theirs(int(num))
    print(before, peak_bytes())


if __name__ == "__main__":
    main()
