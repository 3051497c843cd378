"""How much of a gain is the habit of thinking, and how much is better thinking.

An answer either thinks (share ``s``, right with chance ``t``) or guesses at once (right with chance
``g``), so accuracy is ``s * t + (1 - s) * g``. Between two models the difference splits exactly, each
part at the average of the other factors (Oaxaca 1973 and Blinder 1973, in their symmetric form):

    thinking more      (s1 - s0) * ((t0 + t1) / 2 - (g0 + g1) / 2)
    thinking better    (s0 + s1) / 2 * (t1 - t0)
    guessing better    (1 - (s0 + s1) / 2) * (g1 - g0)

A model chooses where it thinks, so ``t`` is measured on the questions it chose. Beside the split stands
a cut free of that choice: the start model *made to think* on every question. What lies between its free
and its forced accuracy needed no learning but the habit; what lies above is new.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rpt_core.evaluation.scores import Outcomes
from rpt_core.evaluation.statistics.intervals import Estimate, Floats, cluster_bootstrap, cluster_totals

N0, C0, T0, R0, N1, C1, T1, R1, NF, CF = range(10)
"""Columns of totals: answers, right, thinking, right while thinking (0, 1); answers, right (forced)."""


@dataclass(frozen=True, slots=True)
class Split:
    """A gain in accuracy and its parts, each with an interval over documents."""

    gain: Estimate
    thinking_more: Estimate
    thinking_better: Estimate
    guessing_better: Estimate
    forced: Estimate | None
    """Accuracy of the start model made to think; None where it was not measured."""
    habit: Estimate | None
    """Forced less free, start model: what the habit alone would have brought."""
    beyond_habit: Estimate | None
    """Trained and free, less start and forced."""


def split_gain(
    before: Outcomes, after: Outcomes, forced: Outcomes | None = None, *, resamples: int = 2000, seed: int = 0
) -> Split:
    """Split the difference of two models on the same questions.

    Where a model never thinks (or never guesses), the other model's chance stands in for its missing
    one: nothing is known about a change, so none is claimed.

    Args:
        before: The start model, free.
        after: The trained model, free.
        forced: The start model, made to think, on the same questions.
        resamples: Bootstrap resamples of whole documents.
        seed: Of the resamples.

    Raises:
        ValueError: the questions differ.
    """
    _assert_same(before, after, forced)
    columns = [
        *(before.samples, before.correct, before.thinks, before.correct_and_thinks),
        *(after.samples, after.correct, after.thinks, after.correct_and_thinks),
        *((forced.samples, forced.correct) if forced else (before.samples, before.correct)),
    ]
    totals_GS = cluster_totals(np.column_stack(columns), before.documents)

    def part(function: Callable[[Floats], Floats], least: float = -1.0) -> Estimate:
        return cluster_bootstrap(
            totals_GS, function, resamples=resamples, seed=seed, num_items=len(before)
        ).within(least, 1.0)

    return Split(
        gain=part(lambda t: t[:, C1] / t[:, N1] - t[:, C0] / t[:, N0]),
        thinking_more=part(lambda t: _parts(t)[0]),
        thinking_better=part(lambda t: _parts(t)[1]),
        guessing_better=part(lambda t: _parts(t)[2]),
        forced=part(lambda t: t[:, CF] / t[:, NF], 0.0) if forced else None,
        habit=part(lambda t: t[:, CF] / t[:, NF] - t[:, C0] / t[:, N0]) if forced else None,
        beyond_habit=part(lambda t: t[:, C1] / t[:, N1] - t[:, CF] / t[:, NF]) if forced else None,
    )


def _parts(totals_RS: Floats) -> tuple[Floats, Floats, Floats]:
    shares, thinking, guessing = [], [], []
    for n, c, t, r in ((N0, C0, T0, R0), (N1, C1, T1, R1)):
        answers, thinks = totals_RS[:, n], totals_RS[:, t]
        shares.append(thinks / answers)
        thinking.append(_chance(totals_RS[:, r], thinks))
        guessing.append(_chance(totals_RS[:, c] - totals_RS[:, r], answers - thinks))
    t0, t1 = _stand_in(*thinking)
    g0, g1 = _stand_in(*guessing)
    s0, s1 = shares
    share = (s0 + s1) / 2
    return (s1 - s0) * ((t0 + t1) / 2 - (g0 + g1) / 2), share * (t1 - t0), (1 - share) * (g1 - g0)


def _chance(right_R: Floats, of_R: Floats) -> Floats:
    """A share, NaN where there is nothing to share."""
    chance: Floats = np.where(of_R > 0, right_R / np.where(of_R > 0, of_R, 1), np.nan)
    return chance


def _stand_in(first_R: Floats, second_R: Floats) -> tuple[Floats, Floats]:
    """Each where it is known, else the other; zero where neither is (its weight is zero then)."""
    first = np.where(np.isnan(first_R), second_R, first_R)
    second = np.where(np.isnan(second_R), first_R, second_R)
    return np.nan_to_num(first), np.nan_to_num(second)


def _assert_same(before: Outcomes, *others: Outcomes | None) -> None:
    for other in others:
        if other is not None and not np.array_equal(before.item_ids, other.item_ids):
            raise ValueError(
                f"{len(before)} and {len(other)} questions, and not the same ones: a gain is split by "
                "question, so both models must have answered all of them"
            )
