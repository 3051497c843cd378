"""pass@k from the samples that were produced, not from those that were asked for.

The estimators are per item; an item's number enters :mod:`rpt_core.evaluation.statistics.intervals` with the
cluster (document or problem) it belongs to.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pass_at_k(num_samples: ArrayLike, num_correct: ArrayLike, k: int) -> NDArray[np.float64]:
    """Chance that at least one of ``k`` samples is right, estimated without bias from ``n`` of them.

    ``1 - C(n - c, k) / C(n, k)`` for ``n`` samples of which ``c`` are right (Chen et al. 2021), as the
    product ``1 - prod_{i<k} (n - c - i) / (n - i)``, which neither overflows nor cancels. The plug-in
    ``1 - (1 - c/n)^k`` is biased low and is never used.

    Args:
        num_samples: Samples produced for each item, shape ``(items,)`` or a number.
        num_correct: How many of them are right, same shape.
        k: Draws, at least 1.

    Returns:
        One probability per item, float64; ``pass_at_k(n, c, 1)`` is ``c / n``.

    Raises:
        ValueError: ``k`` exceeds an item's samples (there is no unbiased estimate then), or a count
            is out of range.

    Example:
        >>> pass_at_k([64, 64], [1, 0], 8)
        array([0.125, 0.   ])
    """
    samples_I, correct_I = np.broadcast_arrays(np.asarray(num_samples, int), np.asarray(num_correct, int))
    if k < 1:
        raise ValueError(f"pass@{k} has no meaning: k starts at 1")
    if samples_I.size and int(samples_I.min()) < k:
        raise ValueError(
            f"pass@{k} needs at least {k} samples of every item, and one item has {int(samples_I.min())}: "
            f"draw more samples or report pass@{max(1, int(samples_I.min()))}"
        )
    if np.any(correct_I < 0) or np.any(correct_I > samples_I):
        raise ValueError("an item has more right samples than samples, or fewer than none")
    miss_I = np.ones(samples_I.shape)
    for draw in range(k):
        miss_I *= np.clip((samples_I - correct_I - draw) / (samples_I - draw), 0.0, 1.0)
    return 1.0 - miss_I


def reportable_k(num_samples: int) -> tuple[int, ...]:
    """The values of ``k`` worth a line in a report: powers of two up to the samples there are.

    Example:
        >>> reportable_k(8), reportable_k(6)
        ((1, 2, 4, 8), (1, 2, 4))
    """
    return tuple(1 << power for power in range(num_samples.bit_length()) if 1 << power <= num_samples)
