"""Laws over size and compute at once, and which of them the points of several models speak for.

What is fitted is the error ``1 - accuracy`` of models of N numbers after C operations of training:

    size and compute   E + a N^-alpha + b C^-beta
    size and data      E + a N^-alpha + b (C / N)^-beta    Hoffmann et al. 2022, equation 2, with 6 N D for C
    compute alone      E + b C^-beta                       sizes are told apart by their compute alone
    logistic           1 - P / (1 + exp(-(u + v log N + w log C)))

In the first three all coefficients are zero or more and linear for given exponents: a grid of exponents,
finer around its best point, with an exact solution inside. As in :mod:`rpt_core.scaling.rivals` a law is
named only where it is ahead of every other in AIC and AICc and predicts left-out points best. Three sizes
say little of alpha.

Letters: N points.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from rpt_core.scaling.families import EDGE
from rpt_core.scaling.points import Floats
from rpt_core.scaling.rivals import UNDECIDED, Standing, verdict_of

LEAST, MOST = 0.01, 5.0
"""Exponents that are searched."""
GRID, ROUNDS = 15, 3
"""Exponents a side, and grids after the first, each a quarter as wide."""
FEWEST_SIZES = 2


@dataclass(frozen=True, slots=True)
class Sized:
    """Accuracies of models of several sizes; sizes and compute as multiples of their geometric means."""

    size_N: Floats
    compute_N: Floats
    accuracy_N: Floats

    @classmethod
    def of(cls, size_N: ArrayLike, compute_N: ArrayLike, accuracy_N: ArrayLike) -> "Sized":
        """Checked.

        Raises:
            ValueError: lengths differ, a size or a compute is not positive, or an accuracy is no share.
        """
        size, compute, accuracy = (np.asarray(x, np.float64) for x in (size_N, compute_N, accuracy_N))
        if not len(size) == len(compute) == len(accuracy) > 0:
            raise ValueError(
                f"{len(size)} sizes, {len(compute)} amounts of compute, {len(accuracy)} accuracies: one of "
                "each per point"
            )
        if min(size.min(), compute.min()) <= 0 or accuracy.min() < 0 or accuracy.max() > 1:
            raise ValueError("sizes and compute must be positive, accuracies shares from 0 to 1")
        return cls(_relative(size), _relative(compute), accuracy)

    def __len__(self) -> int:
        return len(self.accuracy_N)

    def without(self, left_out: int) -> "Sized":
        """All points but one, in the units of all."""
        keep = np.arange(len(self)) != left_out
        return Sized(self.size_N[keep], self.compute_N[keep], self.accuracy_N[keep])


def _relative(values_N: Floats) -> Floats:
    return values_N / float(np.exp(np.mean(np.log(values_N))))


@dataclass(frozen=True, slots=True)
class JointCurve:
    """The member of a family that lies closest to the points."""

    name: str
    num_parameters: int
    parameters: dict[str, float]
    """By letter, in units of the points' geometric means."""
    at: Callable[[Sized], Floats]
    """Predicted accuracy at some points in the same units."""
    squared_error: float
    on_bound: bool
    """Whether an exponent or the ceiling lies at the end of what it may be, or a term is gone."""


@dataclass(frozen=True, slots=True)
class JointRival:
    """One family's curve and how it does beside the others."""

    curve: JointCurve
    standing: Standing


@dataclass(frozen=True, slots=True)
class JointComparison:
    """All families on the same points."""

    verdict: str
    """The law's name, or ``undecided``."""
    reason: str
    rivals: tuple[JointRival, ...]
    """By AICc, the best first; none with too few points."""


Terms = Callable[[Sized], tuple[Floats, ...]]
"""What is raised to a power each, shape ``(N,)``."""


def _additive(name: str, letters: str, terms: Terms) -> Callable[[Sized], JointCurve]:
    """``E + sum of c_i x_i^-e_i`` with every coefficient zero or more."""

    def columns(points: Sized, exponents: tuple[float, ...]) -> Floats:
        powers = [x_N**-power for x_N, power in zip(terms(points), exponents, strict=True)]
        return np.column_stack([np.ones(len(points)), *powers])

    def fit(points: Sized) -> JointCurve:
        num, constant_N = len(terms(points)), np.ones(len(points))
        centre, half = [math.log(LEAST * MOST) / 2] * num, math.log(MOST / LEAST) / 2
        best: tuple[float, tuple[float, ...], Floats] = (math.inf, (1.0,) * num, np.zeros(num + 1))
        for _ in range(1 + ROUNDS):
            axes = [
                np.exp(np.clip(np.linspace(c - half, c + half, GRID), math.log(LEAST), math.log(MOST)))
                for c in centre
            ]
            powers = [
                [(power, x_N**-power) for power in axis.tolist()]
                for axis, x_N in zip(axes, terms(points), strict=True)
            ]
            for chosen in product(*powers):
                table = np.stack([constant_N, *(column for _, column in chosen)], axis=1)
                found, rest = optimize.nnls(table, 1 - points.accuracy_N)
                if rest < best[0]:
                    best = float(rest), tuple(power for power, _ in chosen), found
            centre, half = [math.log(power) for power in best[1]], half / 4
        rest, exponents, found = best
        room = EDGE * math.log(MOST / LEAST)
        at_end = any(
            not math.log(LEAST) + room < math.log(power) < math.log(MOST) - room for power in exponents
        )
        scales = dict(zip("ab"[-num:], found[1:].tolist(), strict=True))
        return JointCurve(
            name=name,
            num_parameters=1 + 2 * num,
            parameters={"E": float(found[0]), **scales, **dict(zip(letters.split(), exponents, strict=True))},
            at=lambda other: 1 - columns(other, exponents) @ found,
            squared_error=rest**2,
            on_bound=at_end or bool(found.min() <= 0),
        )

    return fit


def _logistic(points: Sized) -> JointCurve:
    """``P / (1 + exp(-(u + v log N + w log C)))``, P at most 1, from the best of a few ceilings."""

    def curve(p: Floats, at: Sized) -> Floats:
        steps_N = p[1] + p[2] * np.log(at.size_N) + p[3] * np.log(at.compute_N)
        found: Floats = p[0] / (1 + np.exp(-np.clip(steps_N, -500, 500)))
        return found

    def rest(p: Floats) -> Floats:
        return curve(p, points) - points.accuracy_N

    least = float(points.accuracy_N.max())
    design = np.column_stack([np.ones(len(points)), np.log(points.size_N), np.log(points.compute_N)])
    tried = []
    for ceiling in np.linspace(min(least + 0.01, 0.999), 1.0, 4):
        shares = np.clip(points.accuracy_N / ceiling, 1e-3, 1 - 1e-3)
        line = np.linalg.lstsq(design, np.log(shares / (1 - shares)), rcond=None)[0]
        start = np.array([ceiling, *line])
        bounds = ([min(0.5 * least, 0.5), -50, -50, -50], [1.0 + 1e-12, 50, 50, 50])
        tried.append(optimize.least_squares(rest, start, bounds=bounds))
    best = min(tried, key=lambda one: one.cost)
    return JointCurve(
        name="logistic",
        num_parameters=4,
        parameters=dict(zip("Puvw", best.x.tolist(), strict=True)),
        at=lambda other: curve(best.x, other),
        squared_error=2 * float(best.cost),
        on_bound=bool(best.x[0] > 1 - 1e-6),
    )


SIZE_AND_COMPUTE = "size and compute"
JOINT: dict[str, Callable[[Sized], JointCurve]] = {
    SIZE_AND_COMPUTE: _additive(SIZE_AND_COMPUTE, "alpha beta", lambda one: (one.size_N, one.compute_N)),
    "size and data": _additive(
        "size and data", "alpha beta", lambda one: (one.size_N, one.compute_N / one.size_N)
    ),
    "compute alone": _additive("compute alone", "beta", lambda one: (one.compute_N,)),
    "logistic": _logistic,
}
"""By name, in the order they are shown: a law more is one row."""


def compare_joint(points: Sized) -> JointComparison:
    """Fit every law and say which the points speak for.

    Args:
        points: Of two sizes and more; with fewer, or with too few points, nothing is compared.

    Example:
        >>> size, compute = np.repeat([0.3, 1.0, 3.0], 6), np.tile(2.0 ** np.arange(6), 3)
        >>> error = 0.1 + 0.1 * size**-0.5 + 0.3 * compute**-0.7
        >>> compare_joint(Sized.of(size, compute, 1 - error)).verdict
        'size and compute'
    """
    sizes, most = len(np.unique(points.size_N)), 5
    if sizes < FEWEST_SIZES or len(points) < most + 3:
        return JointComparison(
            UNDECIDED,
            f"{sizes} sizes and {len(points)} points: laws over size need {FEWEST_SIZES} and {most + 3}",
            (),
        )
    rivals = [_rival(points, fit) for fit in JOINT.values()]
    rivals.sort(key=lambda one: (one.standing.aicc or 0.0, one.standing.left_out))
    return JointComparison(*verdict_of(len(points), [one.standing for one in rivals]), tuple(rivals))


def _rival(points: Sized, fit: Callable[[Sized], JointCurve]) -> JointRival:
    curve = fit(points)
    num, free = len(points), curve.num_parameters + 1  # the scatter is one
    aic = num * math.log(max(curve.squared_error, 1e-24 * num) / num) + 2 * free
    missed = []
    for index in range(num):
        keep = np.arange(num) == index
        alone = Sized(points.size_N[keep], points.compute_N[keep], points.accuracy_N[keep])
        missed.append(float(fit(points.without(index)).at(alone)[0] - alone.accuracy_N[0]))
    return JointRival(
        curve,
        Standing(
            name=curve.name,
            aic=aic,
            aicc=aic + 2 * free * (free + 1) / (num - free - 1),
            left_out=float(np.sqrt(np.mean(np.square(missed)))),
            on_bound=curve.on_bound,
        ),
    )
