"""Runs as the unit: what a mean over seeds says of further seeds.

Documents and questions of one run share its weights, so pooling them over a few runs answers another
question: what these very models would score on other documents. What another training would bring is told by
the means of the runs alone, a number each (Bouthillier et al. 2021, "Accounting for Variance in Machine
Learning Benchmarks", section 2).

Legend: ``R`` runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from rpt_core.errors import RecipeError
from rpt_core.evaluation.statistics.intervals import Estimate


def over_runs(means_R: ArrayLike, *, least_error: float = 0.0, confidence: float = 0.95) -> Estimate:
    """The mean over runs with Student's interval, ``R - 1`` degrees of freedom.

    Args:
        means_R: One number a run.
        least_error: The standard error is at least this: runs that agree are no certainty.
        confidence: Of the interval.

    Returns:
        Runs count as items and as clusters. One run has no interval, and nor have runs that agree to the last
        digit where no least error is known: Student's would have no width.

    Raises:
        ValueError: there is no run.

    Example:
        >>> found = over_runs([0.4, 0.5, 0.6])
        >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
        (0.5, 0.252, 0.748)
        >>> over_runs([1.0, 1.0, 1.0]).low is None, over_runs([1.0, 1.0, 1.0], least_error=0.01).low < 1
        (True, True)
    """
    means = np.asarray(means_R, np.float64)
    if not len(means):
        raise ValueError("there is no run: a mean over runs needs at least one")
    num, value = len(means), float(means.mean())
    if num == 1:
        return Estimate(value, None, None, None, 1, 1)
    if np.ptp(means) == 0 and not least_error:
        return Estimate(float(means[0]), 0.0, None, None, num, num)
    error = max(float(means.std(ddof=1) / np.sqrt(num)), least_error)
    reach = float(stats.t.ppf((1 + confidence) / 2, num - 1))
    return Estimate(value, error, value - reach * error, value + reach * error, num, num)


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two methods under the same seeds."""

    difference: Estimate
    """After minus before, mean over seeds, with Student's interval of the seeds' differences, within what
    shares can differ by."""
    p_value: float | None
    """Two-sided paired t-test of no difference; None with one seed, or where no seed differs from another."""


def compare_runs(before: Mapping[int, float], after: Mapping[int, float]) -> RunComparison:
    """The difference of two methods over seeds, paired by seed.

    Args:
        before: Seed -> the run's mean score, a share.
        after: The same of the other method.

    Raises:
        RecipeError: the two do not have the same seeds, so that world and start model differ as well.

    Example:
        >>> round(compare_runs({0: 0.4, 1: 0.5}, {0: 0.5, 1: 0.7}).difference.value, 3)
        0.15
    """
    if before.keys() != after.keys() or not before:
        raise RecipeError(
            f"the runs cannot be paired: the seeds are {sorted(before)} and {sorted(after)}. Run both "
            "methods under the same seeds."
        )
    seeds = sorted(before)
    differences = np.array([after[seed] - before[seed] for seed in seeds])
    difference = over_runs(differences).within(-1.0, 1.0)
    error = difference.standard_error
    if not error:
        return RunComparison(difference, None)
    p_value = 2 * float(stats.t.sf(abs(difference.value) / error, len(seeds) - 1))
    return RunComparison(difference, p_value)
