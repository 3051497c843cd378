"""Long documents in overlapping windows, and what of a document may be asked about.

Windows begin half a window apart. A position belongs to exactly one of them: the one that shows it the
most of what came before.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

CODEC_KEY = b"codec"
"""Schema metadata of ``tokens.parquet``: fingerprint of the tokenizer its ids belong to."""


CONTEXT_COLUMN = "context_chars"
"""Column of ``documents.parquet``, where there is one: leading code points that are no targets."""


def contexts_of(corpus: Path, split: str) -> dict[str, int]:
    """The documents of a split, each with the number of its leading code points that are no targets."""
    file = pq.ParquetFile(corpus / "documents.parquet")
    has = CONTEXT_COLUMN in file.schema_arrow.names
    found: dict[str, int] = {}
    for batch in file.iter_batches(columns=["doc_id", "split", *([CONTEXT_COLUMN] if has else [])]):
        chars = batch[CONTEXT_COLUMN].to_pylist() if has else [0] * len(batch)
        rows = zip(batch["doc_id"].to_pylist(), batch["split"].to_pylist(), chars, strict=True)
        found |= {doc_id: leading or 0 for doc_id, of, leading in rows if of == split}
    return found


def window_of(positions: NDArray[np.int64], window_tokens: int) -> NDArray[np.int64]:
    """Which window each position belongs to: windows begin half a window apart.

    Position t must lie inside its window, with at least half a window before it except at the start.

    Example:
        >>> window_of(np.array([0, 7, 8, 11, 12]), 8).tolist()
        [0, 0, 1, 1, 2]
    """
    return np.maximum(0, -((window_tokens - 1 - positions) // stride(window_tokens)))


def stride(window_tokens: int) -> int:
    """Tokens from one window's beginning to the next one's."""
    return max(1, window_tokens // 2)
