"""Claims whose unit is the seed: a paired difference a seed, Student's t over them, one error rate for all.

A training is repeated under other seeds, not under other documents, so the verdict stands on the means of
seeds. A claim says that a difference lies above a threshold, below it, or within it to both sides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from rpt_core.evaluation.runs import over_runs
from rpt_core.evaluation.statistics.compare import ALPHA, Decision, Verdict, holm
from rpt_core.evaluation.statistics.intervals import Estimate

Direction = Literal["above", "below", "within"]
"""Of a difference from its threshold; ``within`` both sides of it, an equivalence."""
CONFIDENCE: dict[Direction, float] = {"above": 1 - ALPHA, "below": 1 - ALPHA, "within": 1 - 2 * ALPHA}
"""Of the interval that is shown: two one-sided tests at 5 % are an interval of 90 % (Schuirmann 1987)."""


@dataclass(frozen=True, slots=True)
class SeedClaim:
    """A sentence and the difference of each seed that decides it."""

    name: str
    differences: tuple[float, ...]
    """One a seed: of shares, or of logarithms."""
    threshold: float
    """In the same unit."""
    direction: Direction = "above"
    least_error: float = 0.0
    """The standard error is at least this: seeds that agree are no certainty."""
    largest: float = 1.0
    """What no true difference is beyond: 1 of shares, infinity of logarithms."""


def interval(claim: SeedClaim) -> Estimate:
    """The mean difference with the interval its direction asks for; no interval with one seed."""
    return over_runs(
        claim.differences, least_error=claim.least_error, confidence=CONFIDENCE[claim.direction]
    ).within(-claim.largest, claim.largest)


def decide_by_seed(claims: Sequence[SeedClaim]) -> list[Decision]:
    """Judge several claims together, each by Student's t over its seeds, with Holm's correction.

    A claim above or below a threshold is tested two-sided against it. A claim within is tested as an
    equivalence where the mean lies inside (the larger of two one-sided p-values), and two-sided against the
    nearer end where it lies outside. With one seed nothing is decided.

    Example:
        >>> one = SeedClaim("gains", (0.20, 0.22, 0.19, 0.21), 0.10)
        >>> two = SeedClaim("stays", (0.001, -0.002, 0.001, 0.0), 0.02, "within")
        >>> [found.verdict for found in decide_by_seed([one, two])]
        ['holds', 'holds']
    """
    p_values = [_p_value(claim) for claim in claims]
    return [
        Decision(
            name=claim.name,
            verdict=_side(claim) if adjusted < ALPHA else "undecided",
            at_least=claim.threshold,
            difference=interval(claim),
            p_value=p_value,
            adjusted_p_value=adjusted,
        )
        for claim, p_value, adjusted in zip(claims, p_values, holm(p_values), strict=True)
    ]


def _side(claim: SeedClaim) -> Verdict:
    """What the mean says, chance aside."""
    mean = float(np.mean(claim.differences))
    inside = {
        "above": mean > claim.threshold,
        "below": mean < claim.threshold,
        "within": abs(mean) < claim.threshold,
    }
    return "holds" if inside[claim.direction] else "fails"


def _p_value(claim: SeedClaim) -> float:
    found = over_runs(claim.differences, least_error=claim.least_error)
    error, freedom = found.standard_error, len(claim.differences) - 1
    if not error:
        return 1.0

    def beyond(distance: float) -> float:
        """Chance of a mean this far above where it truly is."""
        return float(stats.t.sf(distance / error, freedom))

    if claim.direction != "within":
        return min(1.0, 2 * beyond(abs(found.value - claim.threshold)))
    nearer = abs(claim.threshold - abs(found.value))
    return beyond(nearer) if abs(found.value) < claim.threshold else min(1.0, 2 * beyond(nearer))


def pooled_deviation(by_arm: Sequence[Sequence[float]]) -> float:
    """Standard deviation of a score over seeds within arms, the arms' variances averaged by their freedom.

    It says how much trainings scatter and nothing of how arms differ: to look at it costs no error rate.

    Example:
        >>> round(pooled_deviation([[0.50, 0.52, 0.54], [0.70, 0.72, 0.74]]), 3)
        0.02
    """
    parts = [np.asarray(one, np.float64) for one in by_arm if len(one) > 1]
    if not parts:
        raise ValueError("no arm has two seeds: a deviation over seeds needs at least two")
    squares = sum(float(np.sum((one - one.mean()) ** 2)) for one in parts)
    return float(np.sqrt(squares / sum(len(one) - 1 for one in parts)))
