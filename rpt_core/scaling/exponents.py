"""Intervals of the exponents of all laws that have one, as the power law's own: from fits to other points."""

import math

import numpy as np
from numpy.typing import ArrayLike

from rpt_core.scaling.families import EDGE, FAMILIES, Family, fit_family
from rpt_core.scaling.points import Points, checked

WITH_EXPONENT = tuple(family for family in FAMILIES.values() if family.has_exponent)
LEVELS = (0.025, 0.975)
"""Of a bootstrap; of fits that leave one point out, the extremes are taken."""
Ends = tuple[float | None, float | None]


def exponent_ends(
    flops_N: ArrayLike,
    accuracy_N: ArrayLike,
    errors_N: ArrayLike | None = None,
    resampled_RN: ArrayLike | None = None,
) -> dict[str, Ends]:
    """The ends of each law's exponent, by its name.

    Args:
        flops_N: Compute of each checkpoint.
        accuracy_N: Its accuracy.
        errors_N: Standard errors, for weights.
        resampled_RN: Accuracies recomputed on resampled documents, one row per resample. Without them each
            point is left out once.

    Returns:
        Low and high end; None where it lies on the end of what is searched, which is no finding.

    Example:
        >>> steps = np.array([1.0, 2, 4, 8, 16, 32])
        >>> low, high = exponent_ends(steps, 0.5 - 0.3 * steps**-0.4)["power law"]
        >>> round(low, 2), round(high, 2)
        (0.4, 0.4)
    """
    points = checked(flops_N, accuracy_N, errors_N)
    if resampled_RN is None:
        others, levels = [points.without(i) for i in range(len(points.accuracy))], (0.0, 1.0)
    else:
        rows = np.asarray(resampled_RN, np.float64)
        others, levels = [checked(flops_N, row, errors_N) for row in rows], LEVELS
    return {family.name: _ends(family, points, others, levels) for family in WITH_EXPONENT}


def _ends(family: Family, points: Points, others: list[Points], levels: tuple[float, float]) -> Ends:
    found = [fit_family(other, family).exponent for other in others]
    low, high = np.quantile(np.array(found, np.float64), levels)
    least, most = family.box(points.logs)[-1]
    room = EDGE * (most - least)
    return (
        float(low) if math.log(low) > least + room else None,
        float(high) if math.log(high) < most - room else None,
    )
