"""How much better than its group an answer was (DeepSeekMath, arXiv 2402.03300, section 4.1).

A_i = (r_i - mean(r)) / (std(r) + delta)          GRPO
A_i = r_i - mean(r)                               Dr. GRPO, arXiv 2503.20783
A_i = G / (G - 1) * (r_i - mean(r))               RLOO, RLP: the mean of the G - 1 others
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DELTA = 1e-6
"""Added to the deviation, as in the papers' whitened advantage (docs/methods.md, rule 2.1)."""


def group_advantages(
    scores: Sequence[float], *, by_deviation: bool, leave_one_out: bool = False
) -> NDArray[np.float32]:
    """Rewards of one group, compared with their mean.

    A group whose rewards are all equal says nothing and gets exactly zero, whatever rounding does to its
    mean.

    Args:
        scores: Rewards of all answers to one question.
        by_deviation: Also divide by the group's standard deviation (of a sample, n - 1, as verl does, on
            which RPT was built); Dr.GRPO leaves it out.
        leave_one_out: Compare each with the mean of the others: ``G / (G - 1)`` times as much.

    Returns:
        One advantage per answer, float32, summing to about zero.

    Example:
        >>> group_advantages([1.0, 0.0, 0.0, 0.0], by_deviation=False).tolist()
        [0.75, -0.25, -0.25, -0.25]
        >>> group_advantages([1.0, 0.0, 0.5], by_deviation=False, leave_one_out=True).tolist()
        [0.75, -0.75, 0.0]
        >>> group_advantages([0.1, 0.1, 0.1], by_deviation=True).tolist()
        [0.0, 0.0, 0.0]
    """
    rewards = np.asarray(scores, np.float64)
    if len(rewards) < 2 or is_equal(scores):
        return np.zeros(len(rewards), np.float32)
    centred = rewards - rewards.mean()
    if leave_one_out:
        centred = centred * len(rewards) / (len(rewards) - 1)
    if by_deviation:
        centred = centred / (rewards.std(ddof=1) + DELTA)
    return centred.astype(np.float32)


def is_equal(scores: Sequence[float]) -> bool:
    """Whether all rewards of a group are the same, so that there is nothing to compare."""
    return all(score == scores[0] for score in scores)
