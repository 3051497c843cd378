"""What published checkpoints of a training answered: the same questions at a few amounts of compute.

Legend of shapes: ``I`` questions, ``S`` answers to each.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Point:
    """One checkpoint; parts that were not asked are None."""

    step: int
    """Of its training; 0 for a model that was not trained here."""
    gflops: float
    """1e9 operations of its training so far, without what it started from and without the proxy's pass."""
    plain_I: NDArray[np.bool_] | None = None
    """Whether the likeliest next token of the plain text is the true one."""
    right_IS: NDArray[np.bool_] | None = None
    """Right answers, drawn one by one."""
    voted_IS: NDArray[np.bool_] | None = None
    """In column k whether the commonest of the first k + 1 predictions is right (:func:`votes`)."""
    answer_tokens_I: NDArray[np.int64] | None = None
    """Tokens that were drawn, thought and prediction, summed over the answers."""


@dataclass(frozen=True, slots=True)
class Course:
    """Of one training, or of a model that none was made for."""

    parameters: int
    """Numbers that the model consists of, its embedding once."""
    context_I: NDArray[np.int64]
    """Tokens of the document before each question."""
    points: tuple[Point, ...]
    """By step."""


def votes(predictions_S: Sequence[str], right_S: Sequence[bool]) -> list[bool]:
    """Whether the commonest of the first 1, 2, ... predictions is right.

    Of equally common ones the earlier drawn counts. A prediction that could not be read (empty) has no vote
    while there is any other.

    Args:
        predictions_S: In the order they were drawn.
        right_S: Whether each is right; equal predictions are equally right.

    Example:
        >>> votes(["a", "b", "b"], [False, True, True])
        [False, False, True]
    """
    counts: dict[str, int] = {}
    found, is_right = list[bool](), dict(zip(predictions_S, right_S, strict=True))
    for prediction in predictions_S:
        counts[prediction] = counts.get(prediction, 0) + 1
        read = {name: num for name, num in counts.items() if name} or counts
        found.append(is_right[max(read, key=lambda name: read[name])])
    return found
