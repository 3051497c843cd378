"""Rows of a table in batches of bounded size."""

from collections.abc import Iterable, Iterator
from typing import Any

BATCH_CHARS = 1 << 20
"""Text in one batch: arrays over it stay within a few tens of megabytes."""
BATCH_ROWS = 2048


def by_size(
    rows: Iterable[dict[str, Any]], column: str, chars: int = BATCH_CHARS
) -> Iterator[list[dict[str, Any]]]:
    """Batches of about ``chars`` characters of one column, at least one row each.

    Example:
        >>> [len(batch) for batch in by_size(({"t": "ab"} for _ in range(5)), "t", chars=4)]
        [2, 2, 1]
    """
    batch: list[dict[str, Any]] = []
    held = 0
    for row in rows:
        batch.append(row)
        held += len(row[column])
        if held >= chars or len(batch) >= BATCH_ROWS:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch
