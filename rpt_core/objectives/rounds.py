"""An endless random order over counted items, whose place is one integer."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Visit = tuple[int, NDArray[np.int64]]
"""An owner, and which of its items, ascending."""


@dataclass
class Rounds:
    """An endless order over counted items: a few at a time from each owner, without replacement.

    In round r of an epoch every owner with more than ``r * per_visit`` items is visited once, in random
    order, and gives its next ``per_visit`` items (an owner's own order is random too). So an epoch uses
    every item once, and neighbours in time come from different owners. The place in this order is one
    integer: items drawn so far.
    """

    counts: NDArray[np.int32]
    per_visit: int
    seed: int
    ranks: NDArray[np.int64] | None = None
    """Visit owners in this order, each round from an owner drawn at random on, not in random order."""

    def __post_init__(self) -> None:
        self._visits = lru_cache(maxsize=2)(self._lay_out)
        self._ends: list[int] = []

    @property
    def num(self) -> int:
        """Items of one epoch."""
        return int(self.counts.sum())

    def take(self, cursor: int, num: int) -> list[Visit]:
        """The ``num`` items after ``cursor``: (owner, which of its items, ascending) by visit."""
        taken: list[Visit] = []
        while num > 0:
            epoch, within = divmod(cursor, self.num)
            number, before = self._round_at(within)
            owners, ends = self._visits(epoch, number)
            visit = int(np.searchsorted(ends, within - before, side="right"))
            begin = int(ends[visit - 1]) if visit else 0
            skip, size = within - before - begin, int(ends[visit]) - begin
            owner, use = int(owners[visit]), min(size - skip, num)
            first = number * self.per_visit + skip
            taken.append((owner, np.sort(self._items(epoch, owner)[first : first + use])))
            cursor, num = cursor + use, num - use
        return taken

    def _round_at(self, within: int) -> tuple[int, int]:
        """The round that holds an epoch's item, and how many items the rounds before it have."""
        while not self._ends or self._ends[-1] <= within:
            before = self._ends[-1] if self._ends else 0
            self._ends.append(before + int(self._sizes(len(self._ends)).sum()))
        number = bisect_right(self._ends, within)
        return number, self._ends[number - 1] if number else 0

    def _sizes(self, number: int) -> NDArray[np.int32]:
        return np.clip(self.counts - number * self.per_visit, 0, self.per_visit)

    def _lay_out(self, epoch: int, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        sizes = self._sizes(number)
        owners = np.flatnonzero(sizes)
        rng = np.random.default_rng([self.seed, epoch, number])
        if self.ranks is None:
            rng.shuffle(owners)
        else:
            ranked = owners[np.argsort(self.ranks[owners], kind="stable")]
            owners = np.roll(ranked, -int(rng.integers(len(ranked))))
        return owners, np.cumsum(sizes[owners])

    def _items(self, epoch: int, owner: int) -> NDArray[np.int64]:
        rng = np.random.default_rng([self.seed, epoch, owner, 1])
        return rng.permutation(int(self.counts[owner])).astype(np.int64)


def merge_visits(visits: Sequence[Visit]) -> list[Visit]:
    """Visits to the same owner as one, at the place of the first."""
    merged: dict[int, NDArray[np.int64]] = {}
    for owner, items in visits:
        merged[owner] = np.union1d(merged[owner], items) if owner in merged else items
    return list(merged.items())
