"""Accuracy over compute: RPT's power law, and whether the points can tell it at all.

    P(C) = A / C^alpha + P*,   A < 0,  alpha > 0,  P* in (highest observed accuracy, 1]     (RPT, 4.2)

For a fixed ``alpha`` the law is linear in ``A`` and ``P*``, so the fit is a search over one number with
an exact solution inside: no start values, no local failures, the same answer every time. Compute is
measured in units of its geometric mean while fitting, so ``A`` has the size of an accuracy. Where the
points' errors are known, the ceiling may lie two of them below the highest point: the highest of
several noisy points lies too high, and a hard bound there would push the ceiling up with it.

Three numbers from six points are easily made up. A fit is called *undecided*, and its parameters are
withheld, when there are fewer than four amounts of compute, when the rise is not beyond noise, when the
exponent or its interval runs against the end of its range, or when another law is clearly better
(:mod:`rpt_core.scaling.rivals`). The ceiling may still be open while the rest is not: it is withheld on its
own when it, or its interval's upper end, lies on the end of what is possible.

Legend: ``N`` points, ``K`` exponents tried.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from rpt_core.scaling.families import below_ceiling
from rpt_core.scaling.points import Floats, Points, checked
from rpt_core.scaling.rivals import UNDECIDED, LawComparison, compare_laws

LEAST_EXPONENT, LARGEST_EXPONENT = 0.01, 20.0
LARGEST_LOG = 709.0
"""Of a float."""
AT_END = 1e-6
"""A ceiling this close to the end of its range lies on it."""
POWER_LAW = "power law"
ZOOMS = 7
FEWEST_POINTS = 4
"""Three parameters pass through three points exactly, whatever made them."""


@dataclass(frozen=True, slots=True)
class Law:
    """One curve of the family, and how close it comes."""

    drop: float
    """How far below the ceiling it is at :attr:`unit`, negative or zero: A in units of ``unit ** alpha``."""
    alpha: float
    ceiling: float
    """P*."""
    squared_error: float
    """Weighted sum of squared residuals."""
    r_squared: float | None
    """Share of the (weighted) variance explained; None where the points do not vary."""
    unit: float = 1.0
    """Compute in whose units it was fitted, so that no power of 1e26 FLOPs is taken."""

    @property
    def a(self) -> float:
        """A, in accuracy times FLOPs to the alpha; minus infinity where that is no float."""
        return -_exp(self.log_a) if self.drop < 0 else 0.0

    @property
    def log_a(self) -> float:
        """Natural log of ``-A``; about -700 for a flat curve."""
        return math.log(max(-self.drop, 1e-300)) + self.alpha * math.log(self.unit)

    def at(self, flops_N: ArrayLike) -> Floats:
        """Predicted accuracy."""
        return self.drop * (np.asarray(flops_N, np.float64) / self.unit) ** -self.alpha + self.ceiling


@dataclass(frozen=True, slots=True)
class Range:
    """An interval of one parameter."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PowerLawFit:
    """What the points say, and what they do not."""

    verdict: Literal["fits", "undecided"]
    reasons: tuple[str, ...]
    """Why it is undecided, or which parameter is withheld; for a reader."""
    law: Law | None
    """None when undecided."""
    alpha: Range | None
    a: Range | None
    ceiling: Range | None
    """None when the points do not bound it."""
    interval: Literal["bootstrap", "leave-one-out", "none"]
    others: tuple[Law, ...] = ()
    """The fits to resampled points, from which the intervals are."""
    comparison: LawComparison | None = None
    """Of the law with its rivals; None where there are too few points for any."""

    @property
    def law_verdict(self) -> str:
        """Which law the points speak for: its name, or ``undecided``.

        ``verdict`` says whether the points identify the *power law's* parameters; with few points other
        laws may fit them just as well.
        """
        return UNDECIDED if self.comparison is None else self.comparison.verdict

    def band(self, flops_N: ArrayLike) -> tuple[Floats, Floats] | None:
        """Interval of the curve itself at some amounts of compute; None when undecided."""
        if self.law is None:
            return None
        curves = np.stack([law.at(flops_N) for law in self.others])
        low, high = np.quantile(curves, _levels(self.interval), axis=0)
        return low, high


def fit_power_law(flops_N: ArrayLike, accuracy_N: ArrayLike, errors_N: ArrayLike | None = None) -> Law:
    """The least-squares curve, identifiable or not; :func:`judge_power_law` says which.

    Args:
        flops_N: Compute, positive.
        accuracy_N: Accuracies in [0, 1].
        errors_N: Their standard errors, where known. Points are then weighted by inverse squares, and the
            ceiling may lie up to two of them below the highest point: a lucky point is no bound.

    Raises:
        ValueError: as of :func:`rpt_core.scaling.points.checked`.

    Example:
        >>> steps = np.array([100, 200, 400, 800, 1000, 1200])
        >>> law = fit_power_law(3e17 * steps, 0.5 - 0.3 * steps**-0.4)
        >>> round(law.alpha, 4), round(law.ceiling, 4), round(law.r_squared, 6)
        (0.4, 0.5, 1.0)
    """
    return fit_points(checked(flops_N, accuracy_N, errors_N))


def fit_points(points: Points) -> Law:
    """:func:`fit_power_law` of points that were checked."""
    exponents_K = np.geomspace(LEAST_EXPONENT, LARGEST_EXPONENT, 120)
    for _ in range(ZOOMS):
        basis_KN = np.exp(np.minimum(-exponents_K[:, None] * points.logs, 300.0))
        slope_K, ceiling_K, error_K = below_ceiling(points, basis_KN)
        best = int(np.argmin(error_K))
        law = float(slope_K[best]), float(exponents_K[best]), float(ceiling_K[best]), float(error_K[best])
        around = exponents_K[max(best - 1, 0)], exponents_K[min(best + 1, len(exponents_K) - 1)]
        exponents_K = np.geomspace(*around, 25)
    slope, exponent, ceiling, error = law
    spread = points.spread
    explained = None if spread < 1e-15 else 1 - error / spread
    return Law(slope, exponent, ceiling, error, explained, points.unit)


def judge_power_law(
    flops_N: ArrayLike,
    accuracy_N: ArrayLike,
    errors_N: ArrayLike | None = None,
    resampled_RN: ArrayLike | None = None,
) -> PowerLawFit:
    """Fit the law, put intervals on it, and say whether the points identify it.

    Args:
        flops_N: Compute of each checkpoint.
        accuracy_N: Its accuracy.
        errors_N: Standard errors, for weights.
        resampled_RN: Accuracies recomputed on resampled documents, one row per resample (all checkpoints
            share a resample). Without them intervals come from leaving out one point at a time.

    Returns:
        A fit whose withheld parameters are None, with the reasons in words.
    """
    flops, accuracy = np.asarray(flops_N, np.float64), np.asarray(accuracy_N, np.float64)
    if not (flops.size or accuracy.size):
        return _undecided("no checkpoint was evaluated")
    points = checked(flops, accuracy, errors_N)
    num_amounts = len(np.unique(flops))
    if num_amounts < FEWEST_POINTS:
        return _undecided(
            f"{num_amounts} amounts of compute: a law with three parameters needs at least {FEWEST_POINTS}"
        )
    law = fit_points(points)
    laws, kind = _other_laws(flops, accuracy, errors_N, resampled_RN)
    reasons = _why_undecided(law, laws, kind, flops, accuracy, errors_N)
    if any("does not rise" in reason or "not beyond the scatter" in reason for reason in reasons):
        return _undecided(*reasons)
    comparison = compare_laws(points)
    if comparison.verdict not in (POWER_LAW, UNDECIDED):
        reasons.append(f"it is no power law: {comparison.reason}")
    if reasons:
        return replace(_undecided(*reasons), comparison=comparison)
    alpha, ceiling = (_range([getattr(one, name) for one in laws], kind) for name in ("alpha", "ceiling"))
    a, notes = _range_of_a(laws, kind), []
    if open_ceiling := _why_open(law, ceiling, points):
        notes.append(open_ceiling)
    if a is None:
        notes.append("A is beyond what a float holds in this unit of compute")
    fit = PowerLawFit(
        "fits", tuple(notes), law, alpha, a, None if open_ceiling else ceiling, kind, tuple(laws)
    )
    return replace(fit, comparison=comparison)


def _why_open(law: Law, ceiling: Range, points: Points) -> str:
    """Why the ceiling is withheld; empty where the points bound it. An end of its range is no finding."""
    if law.ceiling > 1 - AT_END or law.ceiling < points.least_ceiling + AT_END:
        return (
            f"the ceiling is open: the best one lies at the end of its range ({law.ceiling:.2f}); "
            "more compute would have to be spent to see it"
        )
    if ceiling.high > 1 - AT_END:
        return (
            f"the ceiling is open: anything from {ceiling.low:.2f} to {ceiling.high:.2f} fits; "
            "more compute would have to be spent to see it"
        )
    return ""


def _undecided(*reasons: str) -> PowerLawFit:
    return PowerLawFit("undecided", reasons, None, None, None, None, "none")


def _other_laws(
    flops: Floats, accuracy: Floats, errors_N: ArrayLike | None, resampled_RN: ArrayLike | None
) -> tuple[list[Law], Literal["bootstrap", "leave-one-out"]]:
    if resampled_RN is not None:
        rows = np.asarray(resampled_RN, np.float64)
        return [fit_power_law(flops, row, errors_N) for row in rows], "bootstrap"
    errors = None if errors_N is None else np.asarray(errors_N, np.float64)
    laws = []
    for left_out in range(len(flops)):
        keep = np.arange(len(flops)) != left_out
        laws.append(fit_power_law(flops[keep], accuracy[keep], None if errors is None else errors[keep]))
    return laws, "leave-one-out"


def _range(values: list[float], kind: str) -> Range:
    low, high = np.quantile(values, _levels(kind))
    return Range(float(low), float(high))


def _range_of_a(laws: list[Law], kind: str) -> Range | None:
    """Of A, by its logs, which no exponent takes out of a float's range; None where A itself is."""
    largest, least = np.quantile([one.log_a for one in laws], [1 - level for level in _levels(kind)])
    found = Range(-_exp(largest), -_exp(least))
    return found if math.isfinite(found.low) else None


def _exp(value: float) -> float:
    return math.exp(value) if value < LARGEST_LOG else math.inf


def _levels(kind: str) -> tuple[float, float]:
    """95 % percentiles of a bootstrap; the extremes where there are only as many fits as points."""
    return (0.025, 0.975) if kind == "bootstrap" else (0.0, 1.0)


def _why_undecided(
    law: Law, laws: list[Law], kind: str, flops: Floats, accuracy: Floats, errors_N: ArrayLike | None
) -> list[str]:
    reasons = []
    flat = sum(one.drop >= 0 for one in laws)
    if law.drop >= 0 or flat > (0.025 * len(laws) if kind == "bootstrap" else 0):
        reasons.append(f"accuracy does not rise with compute: {flat} of {len(laws)} {kind} fits are flat")
    elif (chance := _flatness_p(law, flops, accuracy, errors_N)) > 0.05:
        reasons.append(
            f"the rise is not beyond the scatter of the points (F-test against a constant, p = {chance:.2f})"
        )
    if reasons:
        return reasons
    ends = _range([one.alpha for one in laws], kind)
    for alpha, side in (
        (min(law.alpha, ends.low), "logarithmic, with no ceiling in sight"),
        (max(law.alpha, ends.high), "a jump before the first point"),
    ):
        if not LEAST_EXPONENT * 1.05 < alpha < LARGEST_EXPONENT / 1.05:
            whose = "best exponent" if alpha == law.alpha else "exponent's interval"
            lies = "lies at" if alpha == law.alpha else "reaches"
            reasons.append(f"the {whose} {lies} the end of its range ({alpha:.2g}): the curve may be {side}")
    return reasons


def _flatness_p(law: Law, flops: Floats, accuracy: Floats, errors_N: ArrayLike | None) -> float:
    left = len(flops) - 3
    gained = max(checked(flops, accuracy, errors_N).spread - law.squared_error, 0.0)
    if law.squared_error <= 1e-18:
        return 0.0 if gained > 1e-18 else 1.0
    return float(stats.f.sf((gained / 2) / (law.squared_error / left), 2, left))


@dataclass(frozen=True, slots=True)
class Exponential:
    """RLPT's form ``y = a * exp(b * x^c)`` (figure 1): for ``b, c < 0`` it rises to ``a``."""

    a: float
    b: float
    c: float
    r_squared: float | None

    def at(self, x_N: ArrayLike) -> Floats:
        """Predicted score."""
        return self.a * np.exp(self.b * np.asarray(x_N, np.float64) ** self.c)


def fit_exponential(x_N: ArrayLike, y_N: ArrayLike) -> Exponential:
    """Least squares for ``y = a * exp(b * x^c)``; the sign of ``c`` is found, not assumed.

    ``log y`` is linear in ``x^c``, which gives a start for every exponent of a grid of both signs; the
    best few are polished in the original scale. Four points at least; the form bends to almost
    anything, so its R2 proves little, and its ``a`` beyond the data is no forecast
    (docs/methods.md, rule 4.6).

    Raises:
        ValueError: fewer than four points, or one of ``x`` or ``y`` is not positive.

    Example:
        >>> x = np.linspace(1, 50, 12)
        >>> fit = fit_exponential(x, 78.744 * np.exp(-0.199 * x**-0.495))
        >>> round(fit.a, 3), round(fit.b, 3), round(fit.c, 3)
        (78.744, -0.199, -0.495)
    """
    x, y = np.asarray(x_N, np.float64), np.asarray(y_N, np.float64)
    if len(x) < FEWEST_POINTS or len(x) != len(y):
        raise ValueError(f"{len(x)} and {len(y)} points: three parameters need at least {FEWEST_POINTS}")
    if x.min() <= 0 or y.min() <= 0:
        raise ValueError(f"x from {x.min()} and y from {y.min()}: both must be positive")
    size = float(np.mean(y))

    def residual(parameters: Floats) -> Floats:
        log_a, b, c = parameters
        return np.asarray((np.exp(np.clip(log_a + b * x**c, -50, 50)) - y) / size)

    starts = sorted((_log_linear(x, y, c) for c in _exponent_grid()), key=lambda p: _square(residual, p))
    polished = [
        optimize.least_squares(
            residual, start, x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=2000
        ).x
        for start in starts[:3]
    ]
    best = min([*polished, starts[0]], key=lambda p: _square(residual, p))
    spread = float(np.sum((y - y.mean()) ** 2)) / size**2
    explained = None if spread < 1e-15 else 1 - _square(residual, best) / spread
    return Exponential(float(np.exp(best[0])), float(best[1]), float(best[2]), explained)


def _exponent_grid() -> list[float]:
    sizes = np.geomspace(0.01, 3.0, 60)
    return [*(-sizes), *sizes]


def _log_linear(x: Floats, y: Floats, c: float) -> Floats:
    b, log_a = np.polyfit(x**c, np.log(y), 1)
    return np.array([log_a, b, c])


def _square(residual: Callable[[Floats], Floats], parameters: Floats) -> float:
    return float(np.sum(residual(parameters) ** 2))
