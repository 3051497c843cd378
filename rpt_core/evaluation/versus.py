"""Two evaluations of the same questions, line by line: every mode and tier both hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa

from rpt_core.errors import RecipeError
from rpt_core.evaluation.compare import Claim, PairedComparison, PairedItems, Verdict, compare, decide
from rpt_core.evaluation.items import FINAL
from rpt_core.evaluation.scores import outcomes, paired, tiers_of

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
