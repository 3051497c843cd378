"""Two evaluations of the same questions, line by line: every mode and tier both hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa

from rpt_core.errors import RecipeError
from rpt_core.evaluation.items import FINAL
from rpt_core.evaluation.runs import RunComparison, compare_runs
from rpt_core.evaluation.scores import outcomes, paired, tiers_of
from rpt_core.evaluation.statistics.compare import (
    Claim,
    PairedComparison,
    PairedItems,
    Verdict,
    compare,
    decide,
)

Side = Literal["better", "worse", "undecided"]
SIDES: dict[Verdict, Side] = {"holds": "better", "fails": "worse", "undecided": "undecided"}


@dataclass(frozen=True, slots=True)
class Line:
    """The second model beside the first on the items of one tier in one mode."""

    mode: str
    tier: str
    comparison: PairedComparison
    adjusted_p_value: float
    """After Holm's correction over all lines shown together."""
    verdict: Side
    """What the second model is beyond chance, at the 5 % level for all lines together."""


def lines(before: pa.Table, after: pa.Table, thresholds_nats: Sequence[float]) -> list[Line]:
    """Paired, clustered comparisons of the final models of two evaluations; see :func:`lines_against`."""
    return lines_against(before, {"": after}, thresholds_nats)[""]


def lines_against(
    before: pa.Table, others: Mapping[str, pa.Table], thresholds_nats: Sequence[float]
) -> dict[str, list[Line]]:
    """Paired, clustered comparisons of several evaluations with one, all held to one error rate.

    Tiers are the first evaluation's, should the two have been classed by different proxy models.

    Args:
        before: Table of outcomes of the first evaluation (``items.parquet``).
        others: Of the others, by name.
        thresholds_nats: Of the entropy tiers, the same for all.

    Raises:
        RecipeError: two have no mode in common, or were asked different questions in one.
    """
    parts = [
        (name, *part) for name, after in others.items() for part in _parts(before, after, thresholds_nats)
    ]
    decisions = decide([Claim(f"{name} {mode}, {tier}", items) for name, mode, tier, items in parts])
    found: dict[str, list[Line]] = {name: [] for name in others}
    for (name, mode, tier, items), decision in zip(parts, decisions, strict=True):
        line = Line(mode, tier, compare(items), decision.adjusted_p_value, SIDES[decision.verdict])
        found[name].append(line)
    return found


@dataclass(frozen=True, slots=True)
class RunLine:
    """Two methods under the same seeds, in one tier of one mode."""

    mode: str
    tier: str
    before: float
    """Mean over the runs of the first method."""
    after: float
    comparison: RunComparison


def run_lines(
    before: Sequence[pa.Table], after: Sequence[pa.Table], thresholds_nats: Sequence[float]
) -> list[RunLine]:
    """Two methods with seeds as the unit: every mode and tier that all runs were asked.

    Args:
        before: Tables of outcomes of the first method's runs, one a seed.
        after: Of the second's, in the same order.
        thresholds_nats: Of the entropy tiers.

    Raises:
        RecipeError: the methods have different numbers of runs, or no mode in common.
    """
    if len(before) != len(after):
        raise RecipeError(
            f"the first method has {len(before)} runs and the second {len(after)}: they cannot be paired by "
            "seed. Name as many of each, in one order."
        )
    means = [[_run_means(table, thresholds_nats) for table in runs] for runs in (before, after)]
    every = [one for runs in means for one in runs]
    shared = [place for place in every[0] if all(place in one for one in every)]
    if not shared:
        raise RecipeError(
            "the runs have no mode in common, so nothing can be compared. Evaluate all of them in one mode."
        )
    found = []
    for place in shared:
        first, second = (dict(enumerate(one[place] for one in runs)) for runs in means)
        mean, other = (float(np.mean(list(side.values()))) for side in (first, second))
        found.append(RunLine(*place, mean, other, compare_runs(first, second)))
    return found


def _run_means(table: pa.Table, thresholds_nats: Sequence[float]) -> dict[tuple[str, str], float]:
    """Mean score of one run, by mode and tier."""
    return {
        (mode, tier): float(np.mean(part.score / part.samples))
        for mode in modes_of(table)
        for tier, part in tiers_of(outcomes(table, mode), thresholds_nats).items()
    }


def modes_of(items: pa.Table) -> list[str]:
    """Modes of the final model's rows, in the order they were asked."""
    final = np.array(items["checkpoint"]) == FINAL
    return list(dict.fromkeys(np.array(items["mode"])[final].tolist()))


def _parts(
    before: pa.Table, after: pa.Table, thresholds_nats: Sequence[float]
) -> list[tuple[str, str, PairedItems]]:
    theirs = modes_of(after)
    shared = [mode for mode in modes_of(before) if mode in theirs]
    if not shared:
        raise RecipeError(
            f"the first evaluation asked in the modes {', '.join(modes_of(before))}, the second in "
            f"{', '.join(theirs)}: none is in both, so nothing can be compared. Evaluate both in one mode."
        )
    parts = []
    for mode in shared:
        whole = outcomes(before, mode), outcomes(after, mode)
        paired(*whole)  # refuses what was asked in one only, before any tier can hide it
        first = tiers_of(whole[0], thresholds_nats)
        second = tiers_of(replace(whole[1], tiers=whole[0].tiers), thresholds_nats)
        parts += [(mode, tier, paired(first[tier], second[tier])) for tier in first]
    return parts
