"""Which held-out items are asked: drawn once by seed, the same for every model compared."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rpt_core.artifacts.manifest import RowCounts


def drawn(seed: int, num: int, most: int, *stream: int) -> NDArray[np.int64]:
    """Up to ``most`` of ``num`` items, each as likely as any other, in order.

    Example:
        >>> drawn(0, 10, 4).tolist(), drawn(0, 2, 4).tolist()
        ([1, 4, 6, 7], [0, 1])
    """
    order = np.random.default_rng([seed, num, *stream]).permutation(num)
    return np.sort(order[:most])


def draw_by_window(
    seed: int, counts: NDArray[np.int32], most: int
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Draw up to ``most`` of ``sum(counts)`` items, grouped by window: the window, and which of its own.

    Example:
        >>> [(owner, items.tolist()) for owner, items in draw_by_window(0, np.array([3, 0, 7], np.int32), 4)]
        [(0, [1]), (2, [1, 3, 4])]
    """
    chosen = drawn(seed, int(counts.sum()), most)
    ends = np.cumsum(counts)
    owners = np.searchsorted(ends, chosen, side="right")
    for owner in np.unique(owners).tolist():
        yield owner, chosen[owners == owner] - (ends[owner] - counts[owner])


def at_most(balance: RowCounts, most: int, reason: str) -> RowCounts:
    """The balance after a draw of up to ``most``; what was not drawn is counted under ``reason``."""
    kept = min(balance.kept, most)
    left_out = {reason: balance.kept - kept} if balance.kept > kept else {}
    return RowCounts(rows_in=balance.rows_in, kept=kept, dropped={**balance.dropped, **left_out})
