"""Rows that share a band of their signatures: candidates for duplicates, with no index in memory.

Of every row the hash of each band lies in a file per band, 8 bytes each. Equal hashes meet by sorting; a
band with more than fits is first cut, on disk, into ranges of the hash. So memory is that of one range,
however many rows there are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpt_core.corpus.text.words import U64

Rows = NDArray[np.int64]
PARTITION_BYTES = 64 << 20
"""Band hashes and row numbers sorted at once."""
_READ_ROWS = 1 << 20


@dataclass(frozen=True, slots=True)
class Buckets:
    """Rows of equal hash, bucket after bucket, each with at least two rows in order of rank."""

    rows: Rows
    offsets: Rows
    """Shape (B + 1,)."""

    def pairs(self) -> tuple[Rows, Rows]:
        """The first row of every bucket beside each of its others: a star, never all pairs."""
        sizes = np.diff(self.offsets)
        others = np.ones(len(self.rows), np.bool_)
        others[self.offsets[:-1]] = False
        return np.repeat(self.rows[self.offsets[:-1]], sizes - 1), self.rows[others]

    def without_stars(self, alike: NDArray[np.bool_]) -> "Buckets":
        """What is left when the first rows and those of ``pairs`` that are like them have gone."""
        sizes = np.diff(self.offsets) - 1
        bucket = np.repeat(np.arange(len(sizes)), sizes)[~alike]
        counts = np.bincount(bucket, minlength=len(sizes))
        rows = self.pairs()[1][~alike][counts[bucket] > 1]
        left = counts[counts > 1]
        return Buckets(rows, np.concatenate([[0], np.cumsum(left)]).astype(np.int64))


class Bands:
    """The band hashes of all rows, in order of arrival."""

    def __init__(self, folder: Path, num_bands: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._paths = [folder / f"band-{band:02d}.u64" for band in range(num_bands)]
        for path in self._paths:
            path.write_bytes(b"")

    def add(self, bands_DB: U64) -> None:
        """Append some rows by the hashes of their bands."""
        for hashes_D, path in zip(bands_DB.T, self._paths, strict=True):
            with path.open("ab") as stream:
                hashes_D.tofile(stream)

    def buckets(self, rank: Rows, filled: NDArray[np.bool_]) -> Iterator[Buckets]:
        """All buckets, band by band and range by range.

        Args:
            rank: Of every row; decides the order within a bucket.
            filled: Rows that take part; texts without words all have the same signature.
        """
        for path in self._paths:
            for rows, hashes in self._ranges(path, filled):
                found = _grouped(rows, hashes, rank)
                if len(found.rows):
                    yield found

    def _ranges(self, path: Path, filled: NDArray[np.bool_]) -> Iterator[tuple[Rows, U64]]:
        """Rows and hashes of a band in ranges of the hash that fit; the cut is made in one pass on disk."""
        num_ranges = max(1, -(-len(filled) * 16 // PARTITION_BYTES))
        if num_ranges == 1:
            rows = np.flatnonzero(filled)
            yield rows, np.fromfile(path, np.uint64)[rows]
            return
        parts = [path.with_suffix(f".{number}") for number in range(num_ranges)]
        for part in parts:
            part.write_bytes(b"")
        for start in range(0, len(filled), _READ_ROWS):
            hashes = np.fromfile(path, np.uint64, _READ_ROWS, offset=8 * start)
            rows = start + np.flatnonzero(filled[start : start + _READ_ROWS])
            hashes = hashes[rows - start]
            # the upper half scaled to 0 .. num_ranges - 1: equal hashes stay together, and no division
            ranges = (hashes >> np.uint64(32)) * np.uint64(num_ranges) >> np.uint64(32)
            for number in np.unique(ranges):
                chosen = ranges == number
                with parts[int(number)].open("ab") as stream:
                    np.stack([rows[chosen].astype(np.uint64), hashes[chosen]], axis=1).tofile(stream)
        for part in parts:
            pairs = np.fromfile(part, np.uint64).reshape(-1, 2)
            part.unlink()
            yield pairs[:, 0].astype(np.int64), pairs[:, 1]


def _grouped(rows: Rows, hashes: U64, rank: Rows) -> Buckets:
    """Rows that share their hash with another; most share it with none and are not sorted by rank."""
    order = np.argsort(hashes)
    # sorted by hash alone first: only the few that share one are sorted again, by rank within it
    same = np.diff(hashes[order]) == 0
    member = np.zeros(len(order), np.bool_)
    member[1:] |= same
    member[:-1] |= same
    order = order[member]
    order = order[np.lexsort((rank[rows[order]], hashes[order]))]
    borders = np.flatnonzero(np.diff(hashes[order])) + 1
    ends = [len(order)] if len(order) else []
    return Buckets(rows[order], np.concatenate([[0], borders, ends]).astype(np.int64))
