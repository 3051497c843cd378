"""Two models on the same items, and what may be claimed from it.

A comparison is paired: the same item, the difference of its two scores. Its interval is clustered by
document or problem, its test exact. Several claims of one report are held to one error rate (Holm).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import signal, stats

from rpt_core.errors import RecipeError
from rpt_core.evaluation.statistics.intervals import Estimate, Floats, cluster_totals, clustered_mean

Verdict = Literal["holds", "fails", "undecided"]

MOST_CELLS = 4_000_000
"""Largest support of an exact null distribution; beyond it, or off any grid, signs are drawn."""
DRAWN_SIGNS = 20_000
LARGEST_DENOMINATOR = 5_000
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class PairedItems:
    """Scores of two models on the same items, with each item's cluster: shape ``(items,)``, one order."""

    before: Floats
    after: Floats
    clusters: NDArray[np.str_]
    are_shares: bool = True
    """Whether every score lies in [0, 1], as the share of right answers does and a length does not."""

    @property
    def differences(self) -> Floats:
        """After minus before, item by item."""
        return self.after - self.before

    @property
    def mean_difference(self) -> Estimate:
        """Its clustered interval, within what is possible."""
        found = clustered_mean(self.differences, self.clusters)
        return found.within(-1.0, 1.0) if self.are_shares else found


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """The paired difference of two models, with an exact test of no difference."""

    before: Estimate
    after: Estimate
    difference: Estimate
    p_value: float
    """Two-sided sign-flip test over clusters of ``difference = 0``."""
    sign_p_value: float
    """Two-sided sign test: clusters that got better against clusters that got worse."""
    num_better: int
    num_worse: int
    mcnemar_p_value: float | None = None
    """McNemar's exact test over items, where every score is 0 or 1; a check, for it takes items as
    independent."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of a report and the paired difference that decides it."""

    name: str
    items: PairedItems
    at_least: float = 0.0
    """Holds when the difference is above this, fails when below, each beyond chance."""


@dataclass(frozen=True, slots=True)
class Decision:
    """How a claim ended."""

    name: str
    verdict: Verdict
    at_least: float
    difference: Estimate
    p_value: float
    """Two-sided, of ``difference = at_least``."""
    adjusted_p_value: float
    """After Holm's correction over all claims decided together."""


def pair_items(
    before: Mapping[str, tuple[float, str]], after: Mapping[str, tuple[float, str]]
) -> PairedItems:
    """Line two evaluations up by item.

    Args:
        before: Item id -> (score, cluster label).
        after: The same for the other model.

    Raises:
        RecipeError: the two do not hold the same items; a comparison of what happens to be in both
            would be a comparison on a subset nobody chose.
    """
    unmatched = before.keys() ^ after.keys()
    if unmatched or not before:
        raise RecipeError(
            f"the two evaluations cannot be paired: {len(before)} and {len(after)} items, {len(unmatched)} "
            f"of them in one only{f' (such as {min(unmatched)})' if unmatched else ''}. Evaluate both with "
            "the same corpus, difficulty, seed and number of positions."
        )
    names = sorted(before)
    return PairedItems(
        np.array([before[name][0] for name in names]),
        np.array([after[name][0] for name in names]),
        np.array([before[name][1] for name in names]),
    )


def compare(items: PairedItems) -> PairedComparison:
    """The paired difference, its clustered interval and two exact tests."""
    totals_G = cluster_totals(items.differences, items.clusters)[:, 0]
    better, worse = int(np.sum(totals_G > 1e-12)), int(np.sum(totals_G < -1e-12))
    return PairedComparison(
        before=clustered_mean(items.before, items.clusters, proportion=items.are_shares),
        after=clustered_mean(items.after, items.clusters, proportion=items.are_shares),
        difference=items.mean_difference,
        p_value=sign_flip_p(totals_G),
        sign_p_value=float(stats.binomtest(better, better + worse).pvalue) if better + worse else 1.0,
        num_better=better,
        num_worse=worse,
        mcnemar_p_value=mcnemar_p(items),
    )


def mcnemar_p(items: PairedItems) -> float | None:
    """McNemar's exact two-sided p-value of "as many items got right as got wrong"; None of other scores.

    Example:
        >>> one = np.array([0.0, 0.0, 0.0, 1.0])
        >>> mcnemar_p(PairedItems(one, np.ones(4), np.array(list("abcd"))))
        0.25
    """
    if not np.isin(np.concatenate([items.before, items.after]), (0.0, 1.0)).all():
        return None
    gained, lost = (int(np.sum(items.differences == side)) for side in (1.0, -1.0))
    return float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def sign_flip_p(totals_G: ArrayLike, seed: int = 0) -> float:
    """Two-sided p-value of "each cluster's total is as likely minus as plus", by all sign patterns.

    Scores are averages of a few 0/1 samples, so totals lie on a grid, and the null distribution of
    their signed sum is the convolution of two-point distributions: exact for any number of
    clusters. Totals off any grid (dense rewards) are tested with 20,000 drawn patterns, with the
    observed pattern counted in, which keeps the test valid.

    Args:
        totals_G: Sum of differences per cluster.
        seed: Of drawn patterns, where they are needed.

    Returns:
        In (0, 1]; 1 where every total is zero.

    Example:
        >>> sign_flip_p([1.0, 1.0, 1.0])  # 2 of 8 patterns are as far out
        0.25
    """
    totals = np.asarray(totals_G, np.float64)
    totals = np.abs(totals[np.abs(totals) > 1e-12])
    if not len(totals):
        return 1.0
    observed = abs(float(np.sum(np.asarray(totals_G, np.float64))))
    grid_G = _on_grid(totals)
    if grid_G is None:
        return _drawn_p(totals, observed, seed)
    unit = float(grid_G[0]) / totals[0]
    return _exact_p(grid_G, round(observed * unit))


def _on_grid(totals_G: Floats) -> NDArray[np.int64] | None:
    """The totals as whole multiples of one unit, or None where there is no small one."""
    unit = 1
    for total in np.unique(totals_G.round(12)):
        fraction = Fraction(float(total)).limit_denominator(LARGEST_DENOMINATOR)
        if abs(float(fraction) - total) > 1e-9:
            return None
        unit = lcm(unit, fraction.denominator)
        if unit * float(np.sum(totals_G)) > MOST_CELLS:
            return None
    return np.rint(totals_G * unit).astype(np.int64)


def _exact_p(grid_G: NDArray[np.int64], observed: int) -> float:
    """P(|sum of s_g * grid_g| >= observed) for fair independent signs, by halving convolutions."""
    parts = [np.bincount([0, 2 * int(step)], minlength=2 * int(step) + 1) / 2 for step in grid_G]
    while len(parts) > 1:
        parts = [
            signal.convolve(*parts[i : i + 2]) if i + 1 < len(parts) else parts[i]
            for i in range(0, len(parts), 2)
        ]
    chances = np.clip(parts[0], 0.0, None)
    sums = np.arange(len(chances)) - int(grid_G.sum())
    least = 2.0 ** (1 - len(grid_G))  # the pattern seen and its mirror image; Fourier rounding may lose it
    return float(min(1.0, max(least, chances[np.abs(sums) >= observed].sum())))


def _drawn_p(totals_G: Floats, observed: float, seed: int) -> float:
    signs_RG = np.random.default_rng(seed).choice([-1.0, 1.0], size=(DRAWN_SIGNS, len(totals_G)))
    as_far = int(np.sum(np.abs(signs_RG @ totals_G) >= observed - 1e-9))
    return (as_far + 1) / (DRAWN_SIGNS + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: adjusted p-values that bound the chance of any false claim.

    Example:
        >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def decide(claims: Sequence[Claim]) -> list[Decision]:
    """Judge several claims together.

    A claim ``difference > at_least`` is tested from both sides with the sign-flip test of the
    differences less ``at_least``; after Holm's correction it *holds* or *fails* at the 5 % level,
    by the side the difference lies on, and is *undecided* otherwise.
    """
    shifted = [
        cluster_totals(claim.items.differences - claim.at_least, claim.items.clusters)[:, 0]
        for claim in claims
    ]
    p_values = [sign_flip_p(totals_G) for totals_G in shifted]
    decisions = []
    for claim, p_value, adjusted in zip(claims, p_values, holm(p_values), strict=True):
        difference = claim.items.mean_difference
        side: Verdict = "holds" if difference.value > claim.at_least else "fails"
        verdict = side if adjusted < ALPHA else "undecided"
        decisions.append(Decision(claim.name, verdict, claim.at_least, difference, p_value, adjusted))
    return decisions
