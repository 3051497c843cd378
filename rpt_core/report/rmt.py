"""RMT against RPT, and what is left of it part by part (RMT, tables of section 4).

The claims are fixed here, before any number is seen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from rpt_core.artifacts.build import Build
from rpt_core.evaluation.items import PLAIN, REASONING
from rpt_core.evaluation.scores import Outcomes
from rpt_core.evaluation.statistics.compare import Claim, PairedItems, compare
from rpt_core.recipes.reports.report import ArmsRecipe
from rpt_core.report.arms import page
from rpt_core.report.models import Model, Models, pair
from rpt_core.report.study import Study

PAPER = {
    "RMT without budget": 46.87 - 40.24,
    "RMT without curriculum": 46.87 - 43.22,
    "RMT without NTP": 46.87 - 33.84,
    "RPT": 46.87 - 35.85,
}
"""Points of accuracy RMT had over each in the paper, mean over tiers (RMT, its main table)."""


def study(recipe: ArmsRecipe, build: Build) -> Study:
    """The page about RMT's arms."""
    models = Models.read(recipe, build.inputs, REASONING)
    against = list(_against_paper(models.arms))
    return page(recipe, models, _claims(models.arms, recipe), paper=PAPER, against_paper=against)


def _claims(arms: Sequence[Model], recipe: ArmsRecipe) -> Iterator[Claim]:
    reference, method, *parts = arms
    free = reference.outcomes(REASONING), method.outcomes(REASONING)
    name = f"{method.name} loses less than {100 * recipe.tolerated_loss:g} points on {reference.name}"
    yield Claim(name, pair(*free), -recipe.tolerated_loss)
    yield Claim(f"{method.name} is more accurate than {reference.name}", pair(*free))
    yield Claim(
        f"{method.name} thinks less than {100 * recipe.short_share:g} % as long as {reference.name}",
        _shorter(*free, recipe.short_share),
    )
    for part in parts:
        yield Claim(
            f"{method.name} is more accurate than {part.name}", pair(part.outcomes(REASONING), free[1])
        )
    for part in parts:
        if part.name.endswith("without budget"):
            yield Claim(
                f"the budget shortens {method.name}'s thoughts",
                _shorter(part.outcomes(REASONING), free[1], 1),
            )
        if part.name.endswith("without NTP"):
            yield Claim(
                "the next-token loss keeps plain prediction better",
                pair(part.outcomes(PLAIN), method.outcomes(PLAIN)),
            )


def _shorter(reference: Outcomes, method: Outcomes, share: float) -> PairedItems:
    """Positive where the method's thoughts are shorter than a share of the reference's.

    In units of the reference's mean length, so that a difference reads as points of it.
    """
    unit = float(np.sum(reference.thought_tokens) / np.sum(reference.samples))
    lengths = pair(
        method, reference,
        lambda found: found.thought_tokens / found.samples / unit,
        lambda found: share * found.thought_tokens / found.samples / unit,
    )  # fmt: skip
    return replace(lengths, are_shares=False)


def _against_paper(arms: Sequence[Model]) -> Iterator[str]:
    """Where these arms and the paper point in different directions, beyond chance here."""
    method = arms[1]
    for arm in arms:
        if arm.name not in PAPER:
            continue
        here = compare(pair(arm.outcomes(REASONING), method.outcomes(REASONING))).difference
        if here.high is not None and here.high < 0:
            below = f"the paper has it {PAPER[arm.name]:.1f} points below"
            yield f"{arm.name} is more accurate than {method.name} here; {below}."
        elif here.low is None or here.low <= 0:
            above = f"in the paper it is by {PAPER[arm.name]:.1f} points"
            yield f"{method.name} is not clearly above {arm.name} here; {above}."
