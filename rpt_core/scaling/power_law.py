"""Accuracy over compute: RPT's power law, and whether the points can tell it at all.

    P(C) = A / C^alpha + P*,   A < 0,  alpha > 0,  P* in (highest observed accuracy, 1]     (RPT, 4.2)

For a fixed ``alpha`` the law is linear in ``A`` and ``P*``, so the fit is a search over one number with
an exact solution inside: no start values, no local failures, the same answer every time. Compute is
measured in units of its geometric mean while fitting, so ``A`` has the size of an accuracy. Where the
points' errors are known, the ceiling may lie two of them below the highest point: the highest of
several noisy points lies too high, and a hard bound there would push the ceiling up with it.

Three numbers from six points are easily made up. A fit is called *undecided*, and its parameters are
withheld, when there are fewer than four amounts of compute, when the rise is not beyond noise, or when
the exponent runs against the end of its range. The ceiling may still be open while the rest is not:
it is withheld on its own when its interval spans all that is possible.

Legend: ``N`` points, ``K`` exponents tried.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

Floats = NDArray[np.float64]

LEAST_EXPONENT, LARGEST_EXPONENT = 0.01, 20.0
ZOOMS = 7
FEWEST_POINTS = 4
"""Three parameters pass through three points exactly, whatever made them."""


@dataclass(frozen=True, slots=True)
class Law:
    """One curve of the family, and how close it comes."""

    a: float
    """A, negative or zero, in accuracy times FLOPs to the alpha."""
    alpha: float
    ceiling: float
    """P*."""
    squared_error: float
    """Weighted sum of squared residuals."""
    r_squared: float | None
    """Share of the (weighted) variance explained; None where the points do not vary."""

    def at(self, flops_N: ArrayLike) -> Floats:
        """Predicted accuracy."""
        return self.a * np.asarray(flops_N, np.float64) ** -self.alpha + self.ceiling


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
        ValueError: compute is not positive, an accuracy is outside [0, 1], or lengths differ.

    Example:
        >>> steps = np.array([100, 200, 400, 800, 1000, 1200])
        >>> law = fit_power_law(3e17 * steps, 0.5 - 0.3 * steps**-0.4)
        >>> round(law.alpha, 4), round(law.ceiling, 4), round(law.r_squared, 6)
        (0.4, 0.5, 1.0)
    """
    points = _checked(flops_N, accuracy_N, errors_N)
    exponents_K = np.geomspace(LEAST_EXPONENT, LARGEST_EXPONENT, 120)
    for _ in range(ZOOMS):
        slope_K, ceiling_K, error_K = _inner(points, exponents_K)
        best = int(np.argmin(error_K))
        law = float(slope_K[best]), float(exponents_K[best]), float(ceiling_K[best]), float(error_K[best])
        around = exponents_K[max(best - 1, 0)], exponents_K[min(best + 1, len(exponents_K) - 1)]
        exponents_K = np.geomspace(*around, 25)
    slope, exponent, ceiling, error = law
    spread = points.spread
    return Law(
        slope * points.unit**exponent,
        exponent,
        ceiling,
        error,
        None if spread < 1e-15 else 1 - error / spread,
    )


@dataclass(frozen=True, slots=True)
class _Points:
    flops: Floats
    """In units of their geometric mean."""
    unit: float
    accuracy: Floats
    weights: Floats
    least_ceiling: float

    @property
    def spread(self) -> float:
        mean = np.average(self.accuracy, weights=self.weights)
        return float(np.sum(self.weights * (self.accuracy - mean) ** 2))


def _checked(flops_N: ArrayLike, accuracy_N: ArrayLike, errors_N: ArrayLike | None) -> _Points:
    flops, accuracy = np.asarray(flops_N, np.float64), np.asarray(accuracy_N, np.float64)
    if flops.shape != accuracy.shape or not len(flops):
        raise ValueError(
            f"{len(flops)} amounts of compute, {len(accuracy)} accuracies: one of each per point"
        )
    if flops.min() <= 0:
        raise ValueError(
            f"compute must be positive, one point has {flops.min()}: the start is not on the curve"
        )
    if accuracy.min() < 0 or accuracy.max() > 1:
        raise ValueError(
            f"accuracies run from {accuracy.min()} to {accuracy.max()}: give shares, not percent"
        )
    unit = float(np.exp(np.mean(np.log(flops))))
    if errors_N is None:
        return _Points(flops / unit, unit, accuracy, np.ones_like(flops), float(accuracy.max()))
    errors = np.asarray(errors_N, np.float64)
    floor = max(float(errors.max()) / 10, 1e-9)  # a point with no visible error must not own the fit
    weights = 1 / np.maximum(errors, floor) ** 2
    least = float(np.max(accuracy - 2 * errors))
    return _Points(flops / unit, unit, accuracy, weights / weights.mean(), least)


def _inner(points: _Points, exponents_K: Floats) -> tuple[Floats, Floats, Floats]:
    """Best A <= 0 and P* in its range for each exponent, and their squared error.

    The problem is convex in two unknowns: its solution is the free one where that is allowed, or else
    the better of the two where P* lies on a border (with A cut off at zero).
    """
    y, w = points.accuracy, points.weights / points.weights.sum()
    basis_KN = points.flops ** -exponents_K[:, None]
    mean_K, mean_y = basis_KN @ w, float(y @ w)
    centred_KN = basis_KN - mean_K[:, None]
    free_K = (centred_KN @ (w * (y - mean_y))) / np.maximum(centred_KN**2 @ w, 1e-300)
    slopes = [free_K] + [
        np.minimum(basis_KN @ (w * (y - ceiling)) / (basis_KN**2 @ w), 0.0)
        for ceiling in (points.least_ceiling, 1.0)
    ]
    ceilings = [mean_y - free_K * mean_K] + [
        np.full_like(free_K, ceiling) for ceiling in (points.least_ceiling, 1.0)
    ]
    slope_3K, ceiling_3K = np.stack(slopes), np.stack(ceilings)
    residual_3KN = slope_3K[..., None] * basis_KN + ceiling_3K[..., None] - y
    error_3K = residual_3KN**2 @ points.weights
    allowed_K = (free_K <= 0) & (ceiling_3K[0] >= points.least_ceiling) & (ceiling_3K[0] <= 1)
    error_3K[0] = np.where(allowed_K, error_3K[0], np.inf)
    pick = np.argmin(error_3K, axis=0), np.arange(len(exponents_K))
    return slope_3K[pick], ceiling_3K[pick], error_3K[pick]


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
    num_amounts = len(np.unique(flops))
    if num_amounts < FEWEST_POINTS:
        return _undecided(
            f"{num_amounts} amounts of compute: a law with three parameters needs at least {FEWEST_POINTS}"
        )
    law = fit_power_law(flops, accuracy, errors_N)
    laws, kind = _other_laws(flops, accuracy, errors_N, resampled_RN)
    reasons = _why_undecided(law, laws, kind, flops, accuracy, errors_N)
    if reasons:
        return _undecided(*reasons)
    alpha, a, ceiling = (
        _range([getattr(one, name) for one in laws], kind) for name in ("alpha", "a", "ceiling")
    )
    highest = float(accuracy.max())
    if ceiling.high > 1 - 1e-6 and ceiling.low < highest + 0.25 * (1 - highest):
        note = (
            f"the ceiling is open: anything from {ceiling.low:.2f} to {ceiling.high:.2f} fits; "
            "more compute would have to be spent to see it"
        )
        return PowerLawFit("fits", (note,), law, alpha, a, None, kind, tuple(laws))
    return PowerLawFit("fits", (), law, alpha, a, ceiling, kind, tuple(laws))


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


def _levels(kind: str) -> tuple[float, float]:
    """95 % percentiles of a bootstrap; the extremes where there are only as many fits as points."""
    return (0.025, 0.975) if kind == "bootstrap" else (0.0, 1.0)


def _why_undecided(
    law: Law, laws: list[Law], kind: str, flops: Floats, accuracy: Floats, errors_N: ArrayLike | None
) -> list[str]:
    reasons = []
    flat = sum(one.a >= 0 for one in laws)
    if law.a >= 0 or flat > (0.025 * len(laws) if kind == "bootstrap" else 0):
        reasons.append(f"accuracy does not rise with compute: {flat} of {len(laws)} {kind} fits are flat")
    elif (chance := _flatness_p(law, flops, accuracy, errors_N)) > 0.05:
        reasons.append(
            f"the rise is not beyond the scatter of the points (F-test against a constant, p = {chance:.2f})"
        )
    if not reasons and not LEAST_EXPONENT * 1.05 < law.alpha < LARGEST_EXPONENT / 1.05:
        side = "logarithmic, with no ceiling in sight" if law.alpha < 1 else "a jump before the first point"
        reasons.append(
            f"the best exponent lies at the end of its range ({law.alpha:.2g}): the curve is {side}"
        )
    return reasons


def _flatness_p(law: Law, flops: Floats, accuracy: Floats, errors_N: ArrayLike | None) -> float:
    left = len(flops) - 3
    gained = max(_checked(flops, accuracy, errors_N).spread - law.squared_error, 0.0)
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
    anything, so its R2 proves little, and its ``a`` beyond the data is no forecast (methods 3.7).

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
