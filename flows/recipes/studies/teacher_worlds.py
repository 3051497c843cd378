"""Studies over worlds: the start and RPT wherever the teacher is better or worse, or the text is another.

Every world is the imperfect teacher's with a few fields of its second edition changed; models, budget and
RPT's frozen setting stay as they are there. No claim is decided by the grid: it says where reinforcement can
help at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from flows.recipes.studies.by_seed import START
from flows.recipes.studies.imperfect_teacher import STUDY, teacher, with_edition
from rpt_core.errors import RecipeError
from rpt_core.recipes.outcomes import OutcomesRecipe
from rpt_core.recipes.reports.outcomes_report import (
    DOSE_RESPONSE,
    OTHER_TEXT,
    OutcomesReportRecipe,
    StudyArm,
    WorldStudyName,
)
from rpt_core.recipes.reports.report import ReportRecipe

METHOD = "RPT"
SAMPLES = 16
"""Answers to each question: accuracy is the mean of the first eight, and a share never solved needs more."""
RIGHT_SHARES = (0.1, 0.3, 0.6, 1.0)
"""The teacher's quality q: share of its traces that are right."""
LONG_SHARES = (0.0, 0.01, 0.05, 0.2)
"""The exposure e: share of traces with four steps, the most that any trace has."""

DOSES: dict[str, Mapping[str, Any]] = {
    f"q {right:g}, e {100 * long:g} %": {"right_share": right, "long_share": long}
    for right in RIGHT_SHARES
    for long in LONG_SHARES
}
"""The grid of the teacher's quality by exposure."""
TEXTS: dict[str, Mapping[str, Any]] = {
    "Chinese": {"languages": ("zh",)},
    "English and Chinese": {"languages": ("en", "zh")},
    "noise 30 %": {"noise_share": 0.3},
}
"""Other texts of the same teacher: unspaced, in turns of two languages, and between paragraphs of noise."""
WORLDS: dict[WorldStudyName, dict[str, Mapping[str, Any]]] = {DOSE_RESPONSE: DOSES, OTHER_TEXT: TEXTS}
TITLES: dict[WorldStudyName, str] = {
    DOSE_RESPONSE: "Where reinforcement helps: the teacher's quality by exposure to long traces",
    OTHER_TEXT: "The same teacher in other texts: Chinese, two languages, noise",
}


def compared(
    journeys: Sequence[ReportRecipe],
    seeds: tuple[int, ...],
    study: WorldStudyName,
    names: tuple[str, ...] = (),
) -> OutcomesReportRecipe:
    """Start and RPT in every world of a study, under some seeds.

    Args:
        journeys: Of RPT, by seed.
        seeds: Their names.
        study: Which worlds.
        names: Some of them; empty for all.

    Raises:
        RecipeError: there is no world of a name.
    """
    worlds = WORLDS[study]
    if unknown := [name for name in names if name not in worlds]:
        raise RecipeError(f"the study {study} has no world {unknown[0]!r}; there are {'; '.join(worlds)}.")
    arms = [
        StudyArm(
            name=arm_name(world, name),
            outcomes=tuple(
                _outcomes(in_world(journey, worlds[world]), seed, study, world, name)
                for journey, seed in zip(journeys, seeds, strict=True)
            ),
        )
        for world in names or tuple(worlds)
        for name in (START, METHOD)
    ]
    return OutcomesReportRecipe(title=TITLES[study], study=study, seeds=seeds, arms=tuple(arms))


def arm_name(world: str, name: str) -> str:
    """What an arm is called in a world."""
    return f"{world}: {name}"


def in_world(journey: ReportRecipe, changes: Mapping[str, Any]) -> ReportRecipe:
    """The imperfect teacher's journey with some fields of its world changed."""
    return teacher(with_edition(journey, changes))


def _outcomes(
    journey: ReportRecipe, seed: int, study: WorldStudyName, world: str, name: str
) -> OutcomesRecipe:
    chosen = {**STUDY.setting_of(name), "milestones": ()}  # one arm alone: nothing to compare after a step
    training = None if name == START else STUDY.training_of(journey, name, chosen)
    found = replace(STUDY, samples=SAMPLES).outcomes_of(journey, seed, arm_name(world, name), training)
    return found.model_copy(update={"study": study, "setting": dict(WORLDS[study][world])})
