"""Connected components of edges that come in pieces, each component under its row of lowest rank."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from rpt_core.corpus.dedup.bands import Rows

EDGES_MAX = 1 << 22
"""Edges held; more are contracted to one per row that has any."""


class Clusters:
    """Rows united by edges."""

    def __init__(self, rank: Rows) -> None:
        self._rank = rank
        self._held: list[tuple[Rows, Rows]] = []
        self._num = 0

    def unite(self, first: Rows, second: Rows) -> None:
        """Edges between some rows and as many others."""
        if len(first):
            self._held.append((first, second))
            self._num += len(first)
        if self._num > EDGES_MAX:
            self._contract()

    def roots(self) -> Rows:
        """For every row, the row of lowest rank it is connected with; itself when it is alone."""
        out = np.arange(len(self._rank))
        if self._held:
            rows, roots = self._contract()
            out[rows] = roots
        return out

    def _contract(self) -> tuple[Rows, Rows]:
        first, second = (np.concatenate(side) for side in zip(*self._held, strict=True))
        rows = np.unique(np.concatenate([first, second]))
        places = np.searchsorted(rows, first), np.searchsorted(rows, second)
        graph = coo_array((np.ones(len(first), np.bool_), places), shape=(len(rows), len(rows)))
        num, label = connected_components(graph, directed=False)
        order = np.argsort(self._rank[rows], kind="stable")[::-1]
        lowest = np.empty(num, np.int64)
        lowest[label[order]] = rows[order]  # of a component's rows the lowest rank is written last
        roots = lowest[label]
        self._held, self._num = [(rows, roots)], 0
        return rows, roots
