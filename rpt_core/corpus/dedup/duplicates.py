"""Exact and near-duplicates: which rows say the same, and which one of them stays.

Sketches lie in flat files, so memory does not grow with the text. Rows of equal band hash
form buckets (:mod:`rpt_core.corpus.dedup.bands`). In a bucket the row of the lowest rank is compared with all
others (a star, never all pairs), exactly, by Jaccard of their shingle sets; rows unlike it form the next
star. All buckets of a band are worked off together, a star of each at a time. Edges are united; of a
cluster the row of the lowest rank stays.

Rank is the order of (source priority, id). No step looks at the order of arrival, so another order
of input, another batch size or several workers give the same result.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rpt_core.corpus.dedup.bands import Bands, Rows
from rpt_core.corpus.dedup.clusters import Clusters
from rpt_core.corpus.dedup.minhash import U32
from rpt_core.corpus.dedup.sketch import Sketches, num_bands
from rpt_core.corpus.text.words import U64

STARS_MAX = 64
"""Stars per bucket; a bucket with more is boilerplate, counted and left as it is."""
SHINGLES_AT_ONCE = 1 << 20
"""Shingles of compared rows in memory at once, at least those of one pair."""
KNOWN_MAX = 1_000_000
"""Compared pairs remembered, so that another band does not compare them again."""

KEPT, EXACT, NEAR, SAME_ID = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Resolution:
    """What became of every row, in order of arrival."""

    ids: "ColumnFile"
    """16 bytes a row, left on disk."""
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

    def id_of(self, row: int) -> str:
        """Hex id of a row."""
        return self.ids.row(row).tobytes().hex()

    def cluster_of(self, row: int) -> str:
        """Hex id of the row that stands for a row's cluster."""
        return self.id_of(int(self.cluster[row]))


class DuplicateFinder:
    """Collects sketches batch by batch in files, then resolves all rows.

    Resolving holds about 130 bytes of a row, and what became of it takes 9.
    """

    def __init__(self, folder: Path, num_permutations: int, jaccard: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._jaccard = jaccard
        self._bands = Bands(folder, num_bands(num_permutations))
        self._ids = ColumnFile(folder / "ids.u8", np.uint8, 16)
        self._texts = ColumnFile(folder / "texts.u64", np.uint64, 2)
        self._guards = ColumnFile(folder / "guards.u64", np.uint64)
        self._priorities = ColumnFile(folder / "priorities.i32", np.int32)
        self._num_shingles = ColumnFile(folder / "num-shingles.i64", np.int64)
        self._shingles = ColumnFile(folder / "shingles.u32", np.uint32)

    def add(self, sketches: Sketches) -> None:
        """Take in a batch."""
        self._bands.add(sketches.bands_DB)
        self._ids.append(sketches.ids_D)
        self._texts.append(sketches.texts_D)
        self._guards.append(sketches.guards_D)
        self._priorities.append(sketches.priorities_D)
        self._num_shingles.append(sketches.num_shingles_D)
        self._shingles.append(sketches.shingles)

    def resolve(self) -> Resolution:
        """Verdict and cluster of every row taken in."""
        ids, texts = self._ids.read().view(">u8").astype(np.uint64), self._texts.read()
        order = np.lexsort((ids[:, 1], ids[:, 0], self._priorities.read()))
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        clusters = Clusters(rank)
        clusters.unite(*_equal_rows(ids, order))
        clusters.unite(*_equal_rows(texts, order))
        num_shingles = self._num_shingles.read()
        stars = _Stars(_Sets(self._shingles.path, num_shingles), self._jaccard)
        for first, second in stars.edges(self._bands, rank, num_shingles > 0):
            clusters.unite(first, second)
        cluster = clusters.roots()
        verdict = _verdicts(cluster, self._guards.read(), ids, texts, rank)
        return Resolution(self._ids, verdict, cluster, stars.num_pairs, stars.num_edges, stars.num_capped)

    def candidates(self) -> Rows:
        """The cluster of every row if all rows that share a band were alike: LSH alone, nothing compared."""
        num_shingles = self._num_shingles.read()
        rank = np.arange(len(num_shingles))
        clusters = Clusters(rank)
        for buckets in self._bands.buckets(rank, num_shingles > 0):
            clusters.unite(*buckets.pairs())
        return clusters.roots()


class ColumnFile:
    """One number, or a few, of every row, in a file."""

    def __init__(self, path: Path, dtype: DTypeLike, width: int = 1) -> None:
        self.path, self._dtype, self._width = path, dtype, width
        path.write_bytes(b"")

    def append(self, values: NDArray[Any]) -> None:
        """Add some rows."""
        with self.path.open("ab") as stream:
            np.asarray(values, self._dtype).tofile(stream)

    def row(self, number: int) -> NDArray[Any]:
        """One row."""
        size = np.dtype(self._dtype).itemsize * self._width
        return np.fromfile(self.path, self._dtype, self._width, offset=number * size)

    def read(self) -> NDArray[Any]:
        """All rows."""
        values = np.fromfile(self.path, self._dtype)
        return values.reshape(-1, self._width) if self._width > 1 else values


class _Stars:
    """Candidate pairs out of the bands, compared exactly."""

    def __init__(self, sets: "_Sets", jaccard: float) -> None:
        self._sets = sets
        self._jaccard = jaccard
        self._known = np.zeros(0, np.int64)
        self._known_alike = np.zeros(0, np.bool_)
        self.num_pairs = self.num_edges = self.num_capped = 0

    def edges(self, bands: Bands, rank: Rows, filled: NDArray[np.bool_]) -> Iterator[tuple[Rows, Rows]]:
        """Rows, and rows alike to them."""
        for buckets in bands.buckets(rank, filled):
            left = buckets
            for _ in range(STARS_MAX):
                first, second = left.pairs()
                alike = self._alike(first, second, len(rank))
                yield first[alike], second[alike]
                left = left.without_stars(alike)
                if not len(left.rows):
                    break
            self.num_capped += len(left.offsets) - 1

    def _alike(self, first: Rows, second: Rows, num_rows: int) -> NDArray[np.bool_]:
        keys = first * num_rows + second
        places = np.minimum(np.searchsorted(self._known, keys), max(len(self._known) - 1, 0))
        known = self._known[places] == keys if len(self._known) else np.zeros(len(keys), np.bool_)
        alike = np.zeros(len(keys), np.bool_)
        alike[known] = self._known_alike[places[known]]
        new = np.flatnonzero(~known)
        alike[new] = self._sets.alike(first[new], second[new], self._jaccard)
        # A pair that is alike counts in every band where it meets, one that is not only once.
        self.num_pairs += int(alike.sum()) + int((~alike[new]).sum())
        self.num_edges += int(alike.sum())
        self._remember(keys[new], alike[new])
        return alike

    def _remember(self, keys: Rows, alike: NDArray[np.bool_]) -> None:
        room = KNOWN_MAX - len(self._known)
        known = np.concatenate([self._known, keys[:room]])
        order = np.argsort(known)
        self._known = known[order]
        self._known_alike = np.concatenate([self._known_alike, alike[:room]])[order]


class _Sets:
    """The shingle sets of all rows, in a file."""

    def __init__(self, path: Path, num_shingles: Rows) -> None:
        self._offsets = np.concatenate([[0], np.cumsum(num_shingles)])
        self._shingles: U32 = np.memmap(path, np.uint32, "r") if self._offsets[-1] else np.zeros(0, np.uint32)

    def alike(self, first: Rows, second: Rows, jaccard: float) -> NDArray[np.bool_]:
        """Whether the sets of each pair are at least this alike, exactly."""
        sizes = np.diff(self._offsets)
        cost = np.cumsum(sizes[first] + sizes[second])
        parts, start = [np.zeros(0, np.bool_)], 0
        while start < len(first):
            spent = cost[start - 1] if start else 0
            end = max(int(np.searchsorted(cost, spent + SHINGLES_AT_ONCE, side="right")), start + 1)
            shared, union = self._compared(first[start:end], second[start:end])
            parts.append(shared >= jaccard * union)
            start = end
        return np.concatenate(parts)

    def _compared(self, first: Rows, second: Rows) -> tuple[Rows, Rows]:
        """Sizes of the intersection and of the union of every pair.

        A shingle is tagged with its pair before and its side after it, and all are sorted at once: what
        repeats falls away, and a shingle that then stands twice but for its side lies in both sets.
        """
        whole = np.sort(np.concatenate([self._tagged(first, 0), self._tagged(second, 1)]))
        whole = whole[np.append(True, whole[1:] != whole[:-1])] if len(whole) else whole
        shingles = whole >> np.uint64(1)  # without the side: neighbours are equal where both rows have it
        in_both = shingles[1:][shingles[1:] == shingles[:-1]]
        total, shared = (
            np.bincount((of >> np.uint64(32)).astype(np.int64), minlength=len(first))  # by pair: (P,)
            for of in (shingles, in_both)
        )
        return shared, total - shared

    def _tagged(self, rows: Rows, side: int) -> U64:
        """The shingles of some rows: number of the row in the list (31 bits), shingle (32), side (1)."""
        starts, sizes = self._offsets[rows], self._offsets[rows + 1] - self._offsets[rows]
        before = np.cumsum(sizes) - sizes
        places = np.arange(int(sizes.sum())) + np.repeat(
            starts - before, sizes
        )  # all rows' ranges, end to end
        tags = np.repeat(np.arange(len(rows), dtype=np.uint64) << np.uint64(33), sizes)
        return tags | self._shingles[places].astype(np.uint64) << np.uint64(1) | np.uint64(side)


def _equal_rows(keys: U64, order: Rows) -> tuple[Rows, Rows]:
    """Pairs of neighbours with equal 128-bit keys."""
    by_key = order[np.lexsort((keys[order, 1], keys[order, 0]))]
    same = np.all(keys[by_key[1:]] == keys[by_key[:-1]], axis=1)
    return by_key[:-1][same], by_key[1:][same]


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
