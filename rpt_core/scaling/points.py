"""The points a law is fitted to: checked by name, and in units in which no power overflows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Points:
    """Accuracy over compute. Fits see compute as a multiple of its geometric mean, so units do not matter."""

    relative: Floats
    """Compute in units of :attr:`unit`."""
    unit: float
    """Geometric mean of the compute, in the caller's unit."""
    accuracy: Floats
    errors: Floats | None
    """Standard errors, where known; none smaller than a tenth of the largest."""
    weights: Floats
    """Inverse squares of the errors, with a mean of 1."""
    least_ceiling: float
    """Lowest ceiling a law may have. Where errors are known it lies two of them below the highest point:
    the highest of several noisy points lies too high."""

    @property
    def logs(self) -> Floats:
        """Natural logs of compute, with a mean of 0."""
        return np.log(self.relative)

    @property
    def spread(self) -> float:
        """Weighted sum of squares around the weighted mean."""
        mean = np.average(self.accuracy, weights=self.weights)
        return float(np.sum(self.weights * (self.accuracy - mean) ** 2))

    def without(self, left_out: int) -> "Points":
        """All points but one, still in the units of all."""
        keep = np.arange(len(self.accuracy)) != left_out
        errors = None if self.errors is None else self.errors[keep]
        weights = self.weights[keep]
        slack = 0.0 if errors is None else 2 * errors
        least = float(np.max(self.accuracy[keep] - slack))
        return Points(
            self.relative[keep], self.unit, self.accuracy[keep], errors, weights / weights.mean(), least
        )


def checked(flops_N: ArrayLike, accuracy_N: ArrayLike, errors_N: ArrayLike | None = None) -> Points:
    """Points that a law can be fitted to.

    Args:
        flops_N: Compute, positive, in any unit.
        accuracy_N: Accuracies in [0, 1].
        errors_N: Their standard errors, where known.

    Raises:
        ValueError: lengths differ, a number is NaN or infinite, compute is not positive, an accuracy lies
            outside [0, 1] or an error is negative.
    """
    flops, accuracy = _numbers("compute", flops_N), _numbers("accuracy", accuracy_N)
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
        return Points(flops / unit, unit, accuracy, None, np.ones_like(flops), float(accuracy.max()))
    errors = _numbers("error", errors_N)
    if errors.shape != accuracy.shape or errors.min() < 0:
        raise ValueError(
            f"{len(errors)} errors, the least {errors.min()}, for {len(accuracy)} accuracies: one of each "
            "per point, none below zero"
        )
    least = float(np.max(accuracy - 2 * errors))
    errors = np.maximum(errors, max(float(errors.max()) / 10, 1e-9))  # a lucky point must not own the fit
    weights = 1 / errors**2
    return Points(flops / unit, unit, accuracy, errors, weights / weights.mean(), least)


def _numbers(name: str, values_N: ArrayLike) -> Floats:
    numbers = np.atleast_1d(np.asarray(values_N, np.float64))
    odd = np.flatnonzero(~np.isfinite(numbers))
    if len(odd):
        raise ValueError(
            f"the {name} of point {odd[0] + 1} of {len(numbers)} is {numbers[odd[0]]}: a law is fitted to "
            "finite numbers only. Leave the point out, or evaluate it again."
        )
    return numbers
