"""Items in batches of bounded size."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

BATCH_CHARS = 1 << 20
"""Text in one batch: arrays over it stay within a few tens of megabytes."""
BATCH_ROWS = 2048

T = TypeVar("T")


def by_size(
    rows: Iterable[dict[str, Any]], column: str, chars: int = BATCH_CHARS
) -> Iterator[list[dict[str, Any]]]:
    """Batches of about ``chars`` characters of one column, at least one row each.

    Example:
        >>> [len(batch) for batch in by_size(({"t": "ab"} for _ in range(5)), "t", chars=4)]
        [2, 2, 1]
    """
    return by_weight(rows, lambda row: len(row[column]), chars)


def by_weight(items: Iterable[T], weight: Callable[[T], int], budget: int) -> Iterator[list[T]]:
    """Batches that end with the item that reaches the budget, or with their ``BATCH_ROWS``-th one.

    Example:
        >>> list(by_weight([3, 1, 1, 4, 1], int, 4))
        [[3, 1], [1, 4], [1]]
    """
    batch: list[T] = []
    held = 0
    for item in items:
        batch.append(item)
        held += weight(item)
        if held >= budget or len(batch) >= BATCH_ROWS:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch
