"""Which law the points speak for: power law, or one of its rivals, or *undecided*.

A high R squared names no law: on six points of a logistic curve the power law reaches 0.985. So every
family is fitted to the same points and judged by two measures that do not share a weakness:

- AICc (Hurvich and Tsai 1989), ``n log(SSE / n)`` or, where the points' errors are known, chi squared, plus a
  charge for parameters that grows as points get few. Scatter beyond the errors widens them first (QAICc;
  Burnham and Anderson 2002, 2.5), never narrows them.
- Leave-one-out: the squared error of each point, predicted from the others.

A law is named when it is ahead of every rival in both, by :data:`LEAD` in AICc and in AIC, and does not lie
on the end of what its parameters may be. (AIC beside AICc, because few points make the charge for one more
parameter so high that the shortest formula would be named for its shortness alone.) Everything else is
*undecided*: with few points that is the usual answer, and the fitted parameters then say what the power law
would be *if* it were one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rpt_core.scaling.families import FAMILIES, Curve, fit_family
from rpt_core.scaling.points import Floats, Points

UNDECIDED = "undecided"
LEAD = 4.0
"""By how much a law must be ahead; rivals 4 behind have considerably less support (Burnham and Anderson 2002,
2.6). In 1,584 simulated studies of six or eight points on curves of all five families, 12 named a wrong law
and 420 the right one; the others were undecided."""
FEWEST_POINTS = 6
"""AICc of three parameters and a scatter does not exist for fewer."""


@dataclass(frozen=True, slots=True)
class Rival:
    """One family's curve and how it does beside the others."""

    curve: Curve
    aic: float
    aicc: float | None
    """None with too few points for one."""
    left_out: float
    """Root of the mean squared error of points predicted from the others, weighted."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a law does beside others on the same points, whatever they are points of."""

    name: str
    aic: float
    aicc: float | None
    left_out: float
    on_bound: bool


@dataclass(frozen=True, slots=True)
class LawComparison:
    """All families on the same points."""

    verdict: str
    """The law's name, or ``undecided``."""
    reason: str
    """Why, for a reader."""
    rivals: tuple[Rival, ...]
    """By AICc, the best first."""

    def of(self, name: str) -> Rival:
        """One family's."""
        return next(rival for rival in self.rivals if rival.curve.family.name == name)


def compare_laws(points: Points) -> LawComparison:
    """Fit every family and say which the points speak for.

    Args:
        points: At four or more amounts of compute.
    """
    curves = [fit_family(points, family) for family in FAMILIES.values()]
    inflation = _inflation(points, curves)
    rivals = [
        Rival(curve, *_criteria(points, curve, inflation), _left_out(points, curve)) for curve in curves
    ]
    rivals.sort(key=lambda one: (math.inf if one.aicc is None else one.aicc, one.left_out))
    return LawComparison(*verdict_of(len(points.accuracy), [_standing(one) for one in rivals]), tuple(rivals))


def _standing(rival: Rival) -> Standing:
    curve = rival.curve
    return Standing(curve.family.name, rival.aic, rival.aicc, rival.left_out, curve.on_bound)


def verdict_of(num_points: int, laws: Sequence[Standing]) -> tuple[str, str]:
    """Which law is named, or that none is, and why.

    Args:
        num_points: That all were fitted to.
        laws: By AICc, the best first.
    """
    best, *others = laws
    name = best.name
    leads = [(_lead(best, other), other.name) for other in others]
    known = [(lead, rival) for lead, rival in leads if lead is not None]
    if not known or len(known) < len(leads):
        return UNDECIDED, (f"{num_points} points: laws cannot be told apart with fewer than {FEWEST_POINTS}")
    lead, rival = min(known)
    if lead < LEAD:
        apart = (
            f"{name} is ahead by {lead:.1f} in AIC and AICc, and {LEAD:g} are asked"
            if lead >= 0
            else f"AICc speaks for {name}, AIC for {rival}, by {-lead:.1f}"
        )
        return UNDECIDED, f"{name} and {rival} cannot be told apart: {apart}"
    better = min(laws, key=lambda one: one.left_out)
    if better is not best:
        return UNDECIDED, (
            f"{name} is ahead by {lead:.1f} in AIC and AICc, but {better.name} predicts "
            "left-out points better"
        )
    if best.on_bound:
        return UNDECIDED, f"the best curve, {name}, lies at the end of what its parameters may be"
    return (
        name,
        f"{name} is ahead of {rival} by {lead:.1f} in AIC and AICc, and predicts left-out points best",
    )


def _lead(best: Standing, other: Standing) -> float | None:
    """How far a rival lies behind, by the criterion that is kinder to it."""
    if best.aicc is None or other.aicc is None:
        return None
    return min(other.aicc - best.aicc, other.aic - best.aic)


def _inflation(points: Points, curves: Sequence[Curve]) -> float:
    """How much larger than the errors the scatter around the best curve is, as a ratio of variances."""
    if points.errors is None:
        return 1.0
    num, per_degree = len(points.accuracy), []
    for curve in curves:
        left = max(num - curve.family.num_parameters, 1)
        per_degree.append(_chi_squared(points, curve, points.errors) / left)
    return max(1.0, min(per_degree))


def _chi_squared(points: Points, curve: Curve, errors_N: Floats) -> float:
    residual = curve.at(points.relative * points.unit) - points.accuracy
    return float(np.sum((residual / errors_N) ** 2))


def _criteria(points: Points, curve: Curve, inflation: float) -> tuple[float, float | None]:
    """AIC and AICc."""
    num, parameters = len(points.accuracy), curve.family.num_parameters
    if points.errors is None:
        parameters += 1  # the scatter is one
        least = max(curve.squared_error, 1e-24 * num)
        value = num * math.log(least / num)
    else:
        value = _chi_squared(points, curve, points.errors) / inflation
    aic = value + 2 * parameters
    if num < FEWEST_POINTS:
        return aic, None
    return aic, aic + 2 * parameters * (parameters + 1) / (num - parameters - 1)


def _left_out(points: Points, curve: Curve) -> float:
    total = 0.0
    for index, weight in enumerate(points.weights):
        fitted = fit_family(points.without(index), curve.family)
        predicted = fitted.at(points.relative[index : index + 1] * points.unit)[0]
        total += weight * float(predicted - points.accuracy[index]) ** 2
    return math.sqrt(total / float(points.weights.sum()))
