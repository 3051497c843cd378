"""Exact and near-duplicates: which rows say the same, and which one of them stays.

Signatures and shingles lie in flat files, so memory does not grow with the text. For every band the
rows are sorted by its hash; a run of equal hashes is a bucket. In a bucket the row of the lowest rank is
compared with all others (a star, never all pairs), exactly, by Jaccard of their shingle sets; rows unlike
it form the next star. Edges are united; of a cluster the row of the lowest rank stays.

Rank is the order of (source priority, id). No step looks at the order of arrival, so another order
of input, another batch size or several workers give the same result.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpt_core.corpus.minhash import U32, signatures
from rpt_core.corpus.words import U64, Words, mix64, shingles

SHINGLE_WORDS = 5
ROWS_PER_BAND = 8
"""14 bands of 8 rows find a pair of similarity 0.8 with probability 0.92, one of 0.5 with 0.05."""
PARTITION_BYTES = 64 << 20
"""Band hashes sorted at once; a corpus with more is sorted by ranges of the hash, one after another."""
STARS_MAX = 64
"""Stars per bucket; a bucket with more is boilerplate, counted and left as it is."""

KEPT, EXACT, NEAR, SAME_ID = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Resolution:
    """What became of every row, in order of arrival."""

    verdict: NDArray[np.uint8]
    """KEPT, EXACT, NEAR or SAME_ID."""
    cluster: NDArray[np.int64]
    """Row that stands for the cluster: its lowest rank."""
    num_pairs: int
    """Candidate pairs compared exactly."""
    num_edges: int
    """Of these, pairs alike enough."""
    num_capped: int
    """Buckets left after ``STARS_MAX`` stars."""


class DuplicateFinder:
    """Collects rows batch by batch, then resolves them all."""

    def __init__(self, folder: Path, num_permutations: int, jaccard: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._num = num_permutations
        self._bands = max(1, num_permutations // ROWS_PER_BAND)
        self._jaccard = jaccard
        self._signatures_path = folder / "signatures.u32"
        self._shingles_path = folder / "shingles.u32"
        self._ids: list[NDArray[np.uint8]] = []
        self._texts: list[U64] = []
        self._guards: list[U64] = []
        self._priorities: list[NDArray[np.int32]] = []
        self._num_shingles: list[NDArray[np.int64]] = []
        for path in (self._signatures_path, self._shingles_path):
            path.write_bytes(b"")

    def add(
        self,
        ids: list[str],
        priorities: list[int],
        text_hashes: NDArray[np.uint64],
        words: Words,
        guards: U64 | None = None,
    ) -> None:
        """Take in a batch.

        Args:
            ids: Hex ids of 32 digits; the order between equals of one priority.
            priorities: Smaller stays.
            text_hashes: Shape (D, 2), 128 bits of every text.
            words: Their words.
            guards: Rows of one cluster are duplicates only when these agree (a problem's answer).
        """
        hashes, offsets = shingles(words, SHINGLE_WORDS)
        short = (hashes >> np.uint64(32)).astype(np.uint32)
        with self._signatures_path.open("ab") as stream:
            signatures(short, offsets, self._num).tofile(stream)
        with self._shingles_path.open("ab") as stream:
            short.tofile(stream)
        self._ids.append(np.frombuffer(bytes.fromhex("".join(ids)), np.uint8).reshape(-1, 16))
        self._texts.append(text_hashes.reshape(-1, 2))
        self._guards.append(guards if guards is not None else np.zeros(len(ids), np.uint64))
        self._priorities.append(np.asarray(priorities, np.int32))
        self._num_shingles.append(np.diff(offsets))

    def resolve(self) -> Resolution:
        """Verdict and cluster of every row taken in."""
        if not self._ids:
            none = np.zeros(0, np.int64)
            return Resolution(none.astype(np.uint8), none, 0, 0, 0)
        ids = np.concatenate(self._ids).view(">u8").astype(np.uint64)
        order = np.lexsort((ids[:, 1], ids[:, 0], np.concatenate(self._priorities)))
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        search = _Search(self, rank, np.concatenate(self._num_shingles))
        parents = _Forest(rank)
        texts, guards = np.concatenate(self._texts), np.concatenate(self._guards)
        for first, second in _equal_rows(ids, order):
            parents.unite(first, second)
        for first, second in _equal_rows(texts, order):
            parents.unite(first, second)
        for first, second in search.edges():
            parents.unite(first, second)
        cluster = parents.roots()
        verdict = _verdicts(cluster, guards, ids, texts, rank)
        return Resolution(verdict, cluster, search.num_pairs, search.num_edges, search.num_capped)

    def band(self, band: int, rows: slice) -> U64:
        """The hash of one band of some rows."""
        held = np.memmap(self._signatures_path, np.uint32, "r").reshape(-1, self._num)
        return band_hash(held[rows, band * ROWS_PER_BAND : (band + 1) * ROWS_PER_BAND])


def band_hash(part: U32) -> U64:
    """One 64-bit hash per row of a band's columns."""
    out = np.full(len(part), np.uint64(part.shape[1]))
    with np.errstate(over="ignore"):
        for column in range(part.shape[1]):
            out = mix64(out + part[:, column].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return out


class _Search:
    """Candidate pairs out of the bands, compared exactly."""

    def __init__(
        self, finder: DuplicateFinder, rank: NDArray[np.int64], num_shingles: NDArray[np.int64]
    ) -> None:
        self._finder = finder
        self._rank = rank
        self._offsets = np.concatenate([[0], np.cumsum(num_shingles)])
        self._filled = num_shingles > 0
        self._sets: dict[int, U32] = {}
        self._unlike: set[tuple[int, int]] = set()
        self.num_pairs = self.num_edges = self.num_capped = 0

    def edges(self) -> Iterator[tuple[int, int]]:
        self._shingles = (
            np.memmap(self._finder._shingles_path, np.uint32, "r")
            if self._offsets[-1]
            else np.zeros(0, np.uint32)
        )
        for band in range(self._finder._bands):
            for bucket in self._buckets(band):
                yield from self._stars(bucket)

    def _buckets(self, band: int) -> Iterator[NDArray[np.int64]]:
        """Rows of equal hash, every bucket in order of rank; one range of the hash in memory at a time."""
        num = len(self._rank)
        parts = max(1, -(-num * 16 // PARTITION_BYTES))
        for part in range(parts):
            rows, hashes = self._partition(band, part, parts)
            order = np.lexsort((self._rank[rows], hashes))
            rows, hashes = rows[order], hashes[order]
            borders = np.flatnonzero(np.diff(hashes)) + 1
            starts, ends = np.append(0, borders), np.append(borders, len(hashes))
            for i in np.flatnonzero(ends - starts > 1):
                yield rows[starts[i] : ends[i]]

    def _partition(self, band: int, part: int, parts: int) -> tuple[NDArray[np.int64], U64]:
        """Rows whose hash lies in one of ``parts`` equal ranges."""
        found_rows, found_hashes = [], []
        step = 1 << 20
        for start in range(0, len(self._rank), step):
            rows = np.arange(start, min(start + step, len(self._rank)))
            hashes = self._finder.band(band, slice(start, start + step))
            keep = self._filled[rows]
            if parts > 1:
                keep &= (hashes >> np.uint64(32)) * np.uint64(parts) >> np.uint64(32) == np.uint64(part)
            found_rows.append(rows[keep])
            found_hashes.append(hashes[keep])
        return np.concatenate(found_rows), np.concatenate(found_hashes)

    def _stars(self, bucket: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        rest = [int(row) for row in bucket]
        for _ in range(STARS_MAX):
            centre, unlike = rest[0], []
            for row in rest[1:]:
                if self._alike(centre, row):
                    yield centre, row
                else:
                    unlike.append(row)
            rest = unlike
            if len(rest) < 2:
                return
        self.num_capped += 1

    def _alike(self, first: int, second: int) -> bool:
        pair = (first, second)
        if pair in self._unlike:
            return False
        self.num_pairs += 1
        a, b = self._set(first), self._set(second)
        shared = len(np.intersect1d(a, b, assume_unique=True))
        alike = shared >= self._finder._jaccard * (len(a) + len(b) - shared)
        self.num_edges += alike
        if not alike and len(self._unlike) < 1_000_000:
            self._unlike.add(pair)
        return alike

    def _set(self, row: int) -> U32:
        found = self._sets.get(row)
        if found is None:
            found = np.unique(self._shingles[self._offsets[row] : self._offsets[row + 1]])
            if len(self._sets) > 4096:
                self._sets.clear()
            self._sets[row] = found
        return found


class _Forest:
    """Union-find whose root is the lowest rank of its tree; paths are halved, nothing recurses."""

    def __init__(self, rank: NDArray[np.int64]) -> None:
        self._parent = np.arange(len(rank))
        self._rank = rank

    def find(self, row: int) -> int:
        parent = self._parent
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = int(parent[row])
        return row

    def unite(self, first: int, second: int) -> None:
        first, second = self.find(first), self.find(second)
        if first == second:
            return
        if self._rank[first] > self._rank[second]:
            first, second = second, first
        self._parent[second] = first

    def roots(self) -> NDArray[np.int64]:
        while True:
            above = self._parent[self._parent]
            if np.array_equal(above, self._parent):
                return above
            self._parent = above


def _equal_rows(keys: U64, order: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Pairs of neighbours with equal 128-bit keys."""
    by_key = order[np.lexsort((keys[order, 1], keys[order, 0]))]
    same = np.all(keys[by_key[1:]] == keys[by_key[:-1]], axis=1)
    for i in np.flatnonzero(same):
        yield int(by_key[i]), int(by_key[i + 1])


def _verdicts(
    cluster: NDArray[np.int64], guards: U64, ids: U64, texts: U64, rank: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """In every (cluster, guard) the lowest rank stays; the others are named by how they equal it."""
    order = np.lexsort((rank, guards, cluster))
    first = np.ones(len(order), np.bool_)
    first[1:] = (cluster[order][1:] != cluster[order][:-1]) | (guards[order][1:] != guards[order][:-1])
    verdict = np.full(len(order), NEAR, np.uint8)
    verdict[order[first]] = KEPT
    for keys, name in ((texts, EXACT), (ids, SAME_ID)):
        by_key = np.lexsort((rank, guards, keys[:, 1], keys[:, 0]))
        again = np.zeros(len(order), np.bool_)
        again[1:] = np.all(keys[by_key[1:]] == keys[by_key[:-1]], axis=1) & (
            guards[by_key[1:]] == guards[by_key[:-1]]
        )
        rows = by_key[again]
        verdict[rows[verdict[rows] != KEPT]] = name
    return verdict
