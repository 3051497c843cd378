"""The study of next segments: RLPT beside its start, its controls and its parts, by seeds.

The world, the hold-out and what counts as an operation are those of :mod:`.imperfect_teacher`.
The start model always thinks, as its teacher showed it, and then writes the next or the missing segment. An
arm ends at the first update that reaches :data:`BUDGET_GFLOPS`: the proxy's pass and the judge's reading are
counted where it makes use of them. What decides is the world's truth; a judge's word is kept beside it.
"""

from collections.abc import Mapping
from typing import Any

from flows.recipes.rlpt import ARMS as PARTS
from flows.recipes.rlpt import FURTHER as ERRING
from flows.recipes.studies.by_seed import Arm, ArmPlan, Held, SeedStudy, rates, reinforced, start_of
from flows.recipes.studies.imperfect_teacher import (
    LESSONS,
    REINFORCED,
    SUPERVISED,
    more_lessons,
    teacher,
)
from flows.recipes.trees import changed, rewritten, stage
from rpt_core.recipes.judge import JudgeRecipe
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe
from rpt_core.recipes.reinforce import RlptRecipe
from rpt_core.recipes.reports.outcomes_report import NEXT_SEGMENTS
from rpt_core.recipes.reports.rlpt_report import RlptReportRecipe
from rpt_core.recipes.supervised import ColdStartRecipe

BUDGET_GFLOPS = 1_600.0
"""1e9 operations of every arm: the proxy's pass (555), and what about 32 steps of RLPT take with their judge,
21 to 30 and up to 7 each (a short pilot under tuning seed 10)."""
MOST_STEPS = 800
MILESTONES = (4, 8, 16)
"""Steps whose checkpoints are asked too: at how many tokens an accuracy is reached."""
BEGINS_FROM = "tiny_rlpt"
SAMPLES, TARGETS = 4, 200
"""Answers to each question, and held-out segments, each asked both ways: no claim here is about coverage."""
JUDGE_LESSONS = 2
"""Times the journey's steps of its judges: after 400 steps one of seed 0 had a balanced accuracy of 0.91 on
400 held-out pairs (7.6 % of the wrong ones accepted, 10.5 % of the right ones refused)."""
WORLD = "second-world"
JUDGE_FREE = (
    *rates(1e-4, 2e-4, 4e-4, objective={"gain_form": "surprise"}),
    *rates(2e-4, objective={"gain_form": "log"}),
    *rates(2e-4, objective={"gain_form": "surprise", "truth_weight": 1.0}),
)
"""Rate, form of the gain, and NRT's weight of learning the true segment."""


def erring_teacher(
    journey: RlptReportRecipe, held: Held = "test", study: str = NEXT_SEGMENTS, lessons: int = LESSONS
) -> RlptReportRecipe:
    """The recipe's journey in the imperfect teacher's world, with a judge that reads its sentences.

    Args:
        journey: Of RLPT, on the sample world.
        held: What held-out documents ask: the test's questions, or those kept for tuning.
        study: Its name, for errors.
        lessons: Times the journey's steps of the base model and of the cold start.

    Raises:
        RecipeError: it reads another text, or has no cold start of its own.
    """
    journey = teacher(journey, held, study, BEGINS_FROM, lessons)
    judge = stage(journey, "train-judge")
    assert isinstance(judge, JudgeRecipe)
    changes: dict[str, dict[str, Any]] = {
        "cold-start": {"reword": WORLD},
        "judge": {"world": "second", "steps": JUDGE_LESSONS * judge.steps},
        "rlpt": {"objective": {"audit": WORLD}, "max_tokens": 0, "evaluate_every": 0},
        "judged-evaluation": {"objective": {"audit": WORLD}},
    }
    for kind, update in changes.items():
        journey = rewritten(journey, kind, update)
    return journey


def segments(journey: RlptReportRecipe) -> JudgedEvaluationRecipe:
    """The journey's evaluation by a judge of its own, as the study asks it."""
    (evaluation,) = journey.model("RLPT").evaluations
    assert isinstance(evaluation, JudgedEvaluationRecipe)
    return evaluation.model_copy(update={"modes": ("judged",), "num_targets": TARGETS, "temperature": 1.0})


def budget_of(journey: RlptReportRecipe) -> float:
    """Operations of every arm (1e9): the study's, or for a trial a reader's own (`rlpt.max_gflops`)."""
    return reinforced(journey).max_gflops or BUDGET_GFLOPS


def _limited(**more: Any) -> Arm:
    """RLPT's training by operations instead of tokens, with further fields."""

    def make(journey: RlptReportRecipe) -> RlptRecipe:
        training = reinforced(journey)
        assert isinstance(training, RlptRecipe)
        update = {
            "max_gflops": budget_of(journey), "count_proxy": True, "count_judge": True, "steps": MOST_STEPS,
            "milestones": MILESTONES,
        }  # fmt: skip
        return changed(training, update | more)

    return make


def _lessons(journey: RlptReportRecipe) -> ColdStartRecipe:
    """More of the cold start's lessons: thoughts that lead to segments."""
    return more_lessons(start_of(journey, NEXT_SEGMENTS, BEGINS_FROM), budget_of(journey))


def _part(name: str) -> tuple[str, ArmPlan]:
    """An arm of the earlier study, under RLPT's setting."""
    return name, ArmPlan(_limited(objective=(PARTS | ERRING)[name]), tuned_as="RLPT")


ARMS: dict[str, ArmPlan] = {
    "RLPT": ArmPlan(_limited(), REINFORCED),
    "more SFT": ArmPlan(_lessons, SUPERVISED),
    "judge-free": ArmPlan(
        _limited(judge=None, count_judge=False, objective={"reward": "gain", "audit": ""}), JUDGE_FREE
    ),
    **dict(map(_part, ("strict rule", "ASR alone", "MSR alone", *ERRING))),
}
"""Parts and erring judges stand under RLPT's setting, so that each arm differs from it in one thing."""
TUNED: dict[str, Mapping[str, Any]] = {
    "RLPT": REINFORCED[3],
    "more SFT": SUPERVISED[2],
    "judge-free": JUDGE_FREE[3],
}
"""By arm, the setting that the tuning runs chose; frozen in a commit before the first reported seed."""

STUDY = SeedStudy(
    name=NEXT_SEGMENTS,
    title="Next segments: RLPT, its controls and its parts by seeds",
    lay=erring_teacher,
    arms=ARMS,
    tuned=TUNED,
    begins_from=BEGINS_FROM,
    samples=SAMPLES,
    asked=segments,
    measure="second-world-segments",
    ends_in=RlptReportRecipe,
)
