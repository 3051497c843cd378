"""What an interval is about: questions like these, or the very benchmark that a limit was drawn from.

A benchmark of 1,319 questions of which 200 were asked allows two statements. *On questions like these the
model scores so*: the questions are a sample of all that could have been written, alike within a subject, and
the error is the clustered one (:mod:`rpt_core.evaluation.statistics.intervals`), whether 200 or all were
asked. *On this benchmark it would score so*: the questions are a simple random sample of 1,319, the error
shrinks with the share that was asked, and nothing of it is left but the drawing of answers once all were.

Legend: ``I`` items.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from rpt_core.evaluation.statistics.intervals import Estimate, one_answer

About = Literal["questions like these", "the whole benchmark"]


def sampling_variance(
    means_I: ArrayLike, samples_I: ArrayLike, num_population: int, *, greedy: bool = False
) -> float:
    """The estimate ``v`` of :func:`whole_benchmark`, without bias where two answers an item are there."""
    means, samples = np.asarray(means_I, np.float64), np.asarray(samples_I, np.float64)
    num, share = len(means), len(means) / num_population
    between = float(means.var(ddof=1)) / num if num > 1 else 0.0
    if greedy:
        return (1 - share) * between
    if samples.min() < 2:
        return between
    within = float(np.mean(means * (1 - means) / (samples - 1))) / num
    return (1 - share) * between + share * within


def whole_benchmark(
    means_I: ArrayLike,
    samples_I: ArrayLike,
    num_population: int,
    *,
    greedy: bool = False,
    confidence: float = 0.95,
) -> Estimate:
    """The score the whole benchmark would have, from a simple random sample of its items.

    Two stages (Cochran 1977, "Sampling Techniques", eq. 10.15, answers without limit): of ``n`` from ``N``
    items with means ``y_i`` of ``m_i`` answers each,

        v = (1 - n / N) s_1^2 / n  +  (n / N) mean_i(s_i^2 / m_i) / n

    with ``s_1^2`` the variance of the means and ``s_i^2`` that of an item's answers, taken as
    ``m_i / (m_i - 1) y_i (1 - y_i)``: exact for right and wrong, too large for scores between. One sampled
    answer an item says nothing of ``s_i^2``; then there is no correction. The interval is Student's, within
    [0, 1].

    Args:
        means_I: Mean score of each item, in [0, 1].
        samples_I: Answers of each.
        num_population: Items of the benchmark.
        greedy: Whether asking again would give the same answers, so that ``s_i^2`` is zero.
        confidence: Of the interval.

    Raises:
        ValueError: there is no item, or there are more than the benchmark has.

    Example:
        >>> asked = whole_benchmark([1, 1, 0, 1], [1, 1, 1, 1], 8, greedy=True)
        >>> round(asked.standard_error, 3), whole_benchmark([1, 0], [1, 1], 2, greedy=True).low
        (0.177, 0.5)
    """
    means, samples = np.asarray(means_I, np.float64), np.asarray(samples_I, np.float64)
    num = len(means)
    if not 0 < num <= num_population:
        raise ValueError(f"{num} items cannot have been drawn from a benchmark of {num_population}")
    value, share = float(means.mean()), num / num_population
    if num == 1 and share < 1:
        return Estimate(value, None, None, None, 1, 1)
    variance = sampling_variance(means, samples, num_population, greedy=greedy)
    unasked = one_answer(means) / num_population if share < 1 else 0.0  # what one other item would change
    redrawn = 0.0 if greedy else 1 / float(samples.sum())
    error = max(float(np.sqrt(variance)), unasked, redrawn)
    reach = float(stats.t.ppf((1 + confidence) / 2, max(num - 1, 1))) * error
    return Estimate(value, error, max(0.0, value - reach), min(1.0, value + reach), num, num)
