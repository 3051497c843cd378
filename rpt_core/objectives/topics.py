"""Documents in the order of their topics: like ones side by side ("data re-arrangement"; no paper has it).

Principal direction divisive partitioning (Boley 1998): documents are rows of tf-idf of length one; a set of
them is split by the sign of its projection on the direction in which it varies most, and both parts again,
down to a few. What is left, read from one end to the other, is the order. It takes O(log D) passes over the
tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LEAF = 4
"""Documents that are split no further."""
ITERATIONS = 20
"""Of the power method; a direction that it has not found yet splits a little worse, and nothing else."""


def topic_ranks(tokens_D: Sequence[NDArray[np.int32]], num_tokens: int) -> NDArray[np.int64]:
    """The place of each document in the order of topics, shape ``(D,)``; nothing of it is left to chance.

    Args:
        tokens_D: Tokens of each document; repeats do not matter.
        num_tokens: Size of the vocabulary.

    Example:
        >>> clock, week = np.array([1, 2, 3, 9]), np.array([5, 6, 7, 9])
        >>> ranks = topic_ranks([clock, week] * 4, 10)
        >>> sorted(ranks[::2].tolist()) in ([0, 1, 2, 3], [4, 5, 6, 7])
        True
    """
    rows_DV = _weighted([np.unique(tokens) for tokens in tokens_D], num_tokens)
    order: list[int] = []
    waiting = [np.arange(len(tokens_D))]
    while waiting:
        part = waiting.pop()
        above = _above(rows_DV[part]) if len(part) > LEAF else np.zeros(len(part), bool)
        if above.all() or not above.any():
            order += part.tolist()
        else:
            waiting += [part[above], part[~above]]
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    return ranks


def _weighted(sets_D: Sequence[NDArray[np.int32]], num_tokens: int) -> csr_array:
    """Rows of idf, of length one; a document of nothing, or of what all have, is a row of zeros."""
    from scipy.sparse import csr_array  # a training in random order needs none of it

    flat = np.concatenate([np.zeros(0, np.int32), *sets_D])
    ends = np.concatenate([[0], np.cumsum([len(one) for one in sets_D], dtype=np.int64)])
    found_V = np.bincount(flat, minlength=num_tokens)
    idf_V = np.log(max(1, len(sets_D)) / np.maximum(found_V, 1))
    rows_DV = csr_array((idf_V[flat], flat, ends), shape=(len(sets_D), num_tokens))
    lengths_D = np.sqrt((rows_DV * rows_DV).sum(axis=1))
    rows_DV.data /= np.repeat(np.where(lengths_D > 0, lengths_D, 1.0), np.diff(ends))
    return rows_DV


def _above(rows_PV: csr_array) -> NDArray[np.bool_]:
    """Which rows lie above their mean along the direction of the largest variance."""
    mean_V = rows_PV.mean(axis=0)
    farthest = int(np.argmin(rows_PV @ mean_V))
    direction_V = rows_PV[[farthest]].toarray()[0] - mean_V
    for _ in range(ITERATIONS):
        along_P = rows_PV @ direction_V - mean_V @ direction_V
        direction_V = rows_PV.T @ along_P - mean_V * along_P.sum()
        length = float(np.linalg.norm(direction_V))
        if not length:
            break
        direction_V /= length
    above: NDArray[np.bool_] = rows_PV @ direction_V - mean_V @ direction_V > 0
    return above
