"""Curves that accuracy may follow over compute, each fitted by one search.

All have the form ``offset + slope * basis(z)`` with ``z`` the log of compute, and a basis of zero to two
shape parameters. For a given shape the rest is linear and solved exactly, so a fit is a search over the
shape alone: a grid, then smaller grids around its best point. There are no start values and no local
failures, and the same points give the same curve.

    power law      P* + A C^-alpha                 RPT, section 4.2
    exponential    a exp(b C^c), b, c < 0           RLPT, figure 1
    saturation     P* - D exp(-C / t)
    logistic       a / (1 + exp(-(log C - m) / s))
    logarithmic    u + v log C                      no ceiling: the limit of the others far below it

Letters: N points, K shapes, S shape parameters.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rpt_core.scaling.points import Floats, Points

ROUNDS = 8
"""Grids after the first; each is a quarter as wide."""
EDGE = 0.01
"""A shape parameter within this share of its range from an end lies on the end."""

Box = tuple[tuple[float, float], ...]
"""Range of each shape parameter, in the coordinate that is searched."""


@dataclass(frozen=True, slots=True)
class Family:
    """One form of curve."""

    name: str
    num_parameters: int
    basis: Callable[[Floats, Floats], Floats]
    """Of logs of compute ``(N,)`` and shapes ``(K, S)``: the curve's varying part, shape ``(K, N)``."""
    box: Callable[[Floats], Box]
    """Where shapes are searched, by the logs of compute."""
    lines: Callable[[Points, Floats], tuple[Floats, Floats, Floats]]
    """Best slope and offset for each basis, and the squared error."""
    ceiling: Callable[[float, float], float] | None
    """Of slope and offset; None where the curve has none."""
    has_exponent: bool = True
    """Whether its last shape parameter is the log of what multiplies the log of compute."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The member of a family that lies closest to the points."""

    family: Family
    shape: tuple[float, ...]
    slope: float
    offset: float
    squared_error: float
    """Weighted."""
    unit: float
    on_bound: bool
    """Whether a shape parameter or the ceiling is at the end of what it may be."""

    def at(self, flops_N: ArrayLike) -> Floats:
        """Predicted accuracy."""
        logs_N = np.log(np.asarray(flops_N, np.float64) / self.unit)
        basis_N = self.family.basis(logs_N, np.array([self.shape]).reshape(1, -1))[0]
        return self.offset + self.slope * basis_N

    @property
    def exponent(self) -> float | None:
        """What multiplies the log of compute inside it: alpha, -c or 1 / s; None where nothing does."""
        return float(np.exp(self.shape[-1])) if self.family.has_exponent else None

    @property
    def ceiling(self) -> float | None:
        """What it tends to with unlimited compute."""
        return None if self.family.ceiling is None else self.family.ceiling(self.slope, self.offset)


def fit_family(points: Points, family: Family) -> Curve:
    """The least-squares curve of a family."""
    logs_N, box = points.logs, family.box(points.logs)
    ends = np.array(box).reshape(-1, 2)
    centre_S, half_S = ends.mean(1), (ends[:, 1] - ends[:, 0]) / 2
    best = (np.inf, np.zeros(len(box)), 0.0, 0.0)
    for number in range(1 + (ROUNDS if box else 0)):
        shapes_KS = _grid(centre_S, half_S, ends, 120 if len(box) == 1 else 33 if number == 0 else 9)
        # given its shape a curve is a line in its basis: only shapes are searched, slope and offset are exact
        slope_K, offset_K, error_K = family.lines(points, family.basis(logs_N, shapes_KS))
        k = int(np.argmin(error_K))
        if error_K[k] < best[0]:
            best = float(error_K[k]), shapes_KS[k], float(slope_K[k]), float(offset_K[k])
        centre_S, half_S = best[1], half_S / 4  # the next grid lies round the best shape, four times finer
    error, shape_S, slope, offset = best
    top = None if family.ceiling is None else family.ceiling(slope, offset)
    room = EDGE * (ends[:, 1] - ends[:, 0])
    outer = bool(np.any((shape_S < ends[:, 0] + room) | (shape_S > ends[:, 1] - room)))
    at_top = top is not None and (top > 1 - 1e-6 or top <= points.least_ceiling + 1e-9)
    return Curve(family, tuple(map(float, shape_S)), slope, offset, error, points.unit, outer or at_top)


def _grid(centre_S: Floats, half_S: Floats, ends: Floats, num: int) -> Floats:
    """Every combination of ``num`` values of each parameter around a centre, within the box."""
    axes = [
        np.clip(np.linspace(middle - half, middle + half, num), *end)
        for middle, half, end in zip(centre_S, half_S, ends, strict=True)
    ]
    if not axes:
        return np.zeros((1, 0))
    return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)


def below_ceiling(points: Points, basis_KN: Floats) -> tuple[Floats, Floats, Floats]:
    """``P* + A * basis`` closest to the points for each basis, with A <= 0 and P* in its range.

    The problem is convex in two unknowns: its solution is the free one where that is allowed, or else
    the better of the two where P* lies on a border (with A cut off at zero).
    """
    y, w = points.accuracy, points.weights / points.weights.sum()
    mean_K, mean_y = basis_KN @ w, float(y @ w)
    centred_KN = basis_KN - mean_K[:, None]
    free_K = (centred_KN @ (w * (y - mean_y))) / np.maximum(centred_KN**2 @ w, 1e-300)
    borders = (points.least_ceiling, 1.0)
    norm_K = np.maximum(basis_KN**2 @ w, 1e-300)
    slopes = [free_K] + [np.minimum(basis_KN @ (w * (y - border)) / norm_K, 0.0) for border in borders]
    ceilings = [mean_y - free_K * mean_K] + [np.full_like(free_K, border) for border in borders]
    slope_3K, ceiling_3K = np.stack(slopes), np.stack(ceilings)
    residual_3KN = slope_3K[..., None] * basis_KN + ceiling_3K[..., None] - y
    error_3K = residual_3KN**2 @ points.weights
    allowed_K = (free_K <= 0) & (ceiling_3K[0] >= points.least_ceiling) & (ceiling_3K[0] <= 1)
    error_3K[0] = np.where(allowed_K, error_3K[0], np.inf)
    pick = np.argmin(error_3K, axis=0), np.arange(len(basis_KN))
    return slope_3K[pick], ceiling_3K[pick], error_3K[pick]


def up_to_ceiling(points: Points, basis_KN: Floats) -> tuple[Floats, Floats, Floats]:
    """``a * basis`` for bases that rise from 0 to 1, with ``a`` a ceiling in its range."""
    free_K = basis_KN @ (points.weights * points.accuracy) / np.maximum(basis_KN**2 @ points.weights, 1e-300)
    slope_K = np.clip(free_K, points.least_ceiling, 1.0)
    residual_KN = slope_K[:, None] * basis_KN - points.accuracy
    return slope_K, np.zeros_like(slope_K), residual_KN**2 @ points.weights


def rising(points: Points, basis_KN: Floats) -> tuple[Floats, Floats, Floats]:
    """``u + v * basis`` with ``v >= 0``."""
    y, w = points.accuracy, points.weights / points.weights.sum()
    centred_KN = basis_KN - (basis_KN @ w)[:, None]
    free_K = (centred_KN @ (w * y)) / np.maximum(centred_KN**2 @ w, 1e-300)
    slope_K = np.maximum(free_K, 0.0)
    offset_K = float(y @ w) - slope_K * (basis_KN @ w)
    residual_KN = slope_K[:, None] * basis_KN + offset_K[:, None] - y
    return slope_K, offset_K, residual_KN**2 @ points.weights


def _offset(_slope: float, offset: float) -> float:
    return offset


def _slope(slope: float, _offset: float) -> float:
    return slope


def _power(logs_N: Floats, shapes_KS: Floats) -> Floats:
    return np.exp(np.minimum(-np.exp(shapes_KS[:, :1]) * logs_N, 300.0))


def _decay(logs_N: Floats, shapes_KS: Floats) -> Floats:
    return np.exp(-np.exp(logs_N - shapes_KS[:, :1]))


def _logistic(logs_N: Floats, shapes_KS: Floats) -> Floats:
    return 1 / (1 + np.exp(-_steps(logs_N, shapes_KS)))


def _gompertz(logs_N: Floats, shapes_KS: Floats) -> Floats:
    return np.exp(-np.exp(-_steps(logs_N, shapes_KS)))


def _steps(logs_N: Floats, shapes_KS: Floats) -> Floats:
    """``(log C - m) / s`` for shapes ``(m / s, log 1 / s)``; cut off where the curve is flat to rounding."""
    return np.clip(np.exp(shapes_KS[:, 1:]) * logs_N - shapes_KS[:, :1], -700, 700)


def _straight(logs_N: Floats, shapes_KS: Floats) -> Floats:
    return np.broadcast_to(logs_N, (len(shapes_KS), len(logs_N)))


def _around_steps(logs_N: Floats) -> Box:
    reach = float(np.ptp(logs_N))
    return (-16.0, 16.0), (float(np.log(0.03 / reach)), float(np.log(20 / reach)))


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("power law", 3, _power, lambda _: ((np.log(0.01), np.log(20.0)),), below_ceiling, _offset),
        Family("exponential", 3, _gompertz, _around_steps, up_to_ceiling, _slope),
        Family("saturation", 3, _decay, lambda z: ((z.min() - 3, z.max() + 3),), below_ceiling, _offset,
               has_exponent=False),
        Family("logistic", 3, _logistic, _around_steps, up_to_ceiling, _slope),
        Family("logarithmic", 2, _straight, lambda _: (), rising, None, has_exponent=False),
    )
}  # fmt: skip
"""By name, in the order they are shown."""
