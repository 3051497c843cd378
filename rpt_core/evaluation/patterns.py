"""How answers reason: six groups of keywords (RPT, 4.4) and the share of answers that use each.

Keywords match whole words in any case; ``etc.`` keeps its full stop. The paper leaves the handling of
case open; these are ours (RPT 4.5 does not say).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rpt_core.evaluation.statistics.intervals import (
    FEWEST_CLUSTERS,
    Estimate,
    Floats,
    cluster_totals,
    clustered_mean,
    expanded_levels,
    resampled_totals,
)

GROUPS: dict[str, tuple[str, ...]] = {
    "transition": ("alternatively", "think differently"),
    "reflection": ("wait", "initial answer", "original answer", "looking back", "thought process"),
    "breakdown": ("break down", "break this down"),
    "hypothesis": ("probably", "something like"),
    "divergent": (
        "etc.", "or something", "either", "sometimes it refers", "otherwise", "exploring", "options",
    ),
    "deduction": ("summarize", "conclusion", "conclude", "finally", "logically", "consequently"),
}  # fmt: skip


def _pattern(keywords: Sequence[str]) -> re.Pattern[str]:
    words = [re.escape(word).replace(r"\ ", r"\s+") for word in keywords]
    ends = [r"\b" if word[-1].isalnum() else "" for word in keywords]
    return re.compile("|".join(rf"\b{w}{end}" for w, end in zip(words, ends, strict=True)), re.IGNORECASE)


PATTERNS = {group: _pattern(keywords) for group, keywords in GROUPS.items()}


def groups_in(text: str) -> set[str]:
    """The groups of which a text holds at least one keyword.

    Example:
        >>> sorted(groups_in("Wait, it probably says so, etc. Finally: 7"))
        ['deduction', 'divergent', 'hypothesis', 'reflection']
        >>> groups_in("He is awaiting the etcher, and neither knows")
        set()
    """
    return {group for group, pattern in PATTERNS.items() if pattern.search(text)}


def pattern_shares(texts: Sequence[str], clusters: ArrayLike) -> dict[str, Estimate]:
    """Share of answers that hold a keyword of each group, clustered by document or problem.

    Raises:
        ValueError: there is no answer.
    """
    found = [groups_in(text) for text in texts]
    return {
        group: clustered_mean([group in groups for groups in found], clusters, proportion=True)
        for group in GROUPS
    }


@dataclass(frozen=True, slots=True)
class PatternChange:
    """How much more (or less) often one group is used by one set of answers than by another."""

    relative: float
    """0.5 means half as often again."""
    low: float | None
    high: float | None
    """95 % interval; None where a set's documents are too few or hardly ever use the group."""


def pattern_changes(
    before: Sequence[str],
    before_clusters: ArrayLike,
    after: Sequence[str],
    after_clusters: ArrayLike,
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, PatternChange | None]:
    """Relative change of each group's share from one set of answers to another (RPT, figure 6).

    The sets need not answer the same questions (the paper compares solving problems with predicting
    tokens), so documents of each are resampled on their own. None where the first set never uses a
    group: there is nothing to be relative to.
    """
    first = _totals(before, before_clusters)
    second = _totals(after, after_clusters)
    drawn = resampled_totals(first, resamples, seed), resampled_totals(second, resamples, seed + 1)
    fewest = min(len(first), len(second))
    levels = expanded_levels(fewest) if fewest >= FEWEST_CLUSTERS else None
    return {
        group: _change(_share(first, i), _share(second, i), _draws(*drawn, i), levels)
        for i, group in enumerate(GROUPS)
    }


def _totals(texts: Sequence[str], clusters: ArrayLike) -> Floats:
    found = [groups_in(text) for text in texts]
    columns = [[float(group in groups) for group in GROUPS] + [1.0] for groups in found]
    return cluster_totals(columns, clusters)


def _share(totals_GS: Floats, group: int) -> float:
    return float(totals_GS[:, group].sum() / totals_GS[:, -1].sum())


def _draws(first_RS: Floats, second_RS: Floats, group: int) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        change = (second_RS[:, group] / second_RS[:, -1]) / (first_RS[:, group] / first_RS[:, -1]) - 1
    finite: Floats = change[np.isfinite(change)]
    return finite


def _change(
    before: float, after: float, draws_R: Floats, levels: tuple[float, float] | None
) -> PatternChange | None:
    if before == 0:
        return None
    if levels is None or len(draws_R) < 1000:
        return PatternChange(after / before - 1, None, None)
    low, high = np.quantile(draws_R, levels)
    return PatternChange(after / before - 1, float(low), float(high))
