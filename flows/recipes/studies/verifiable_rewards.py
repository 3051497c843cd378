"""The study of verifiable rewards: what each way to train on text is worth as their start, by seeds.

The teacher is that of :mod:`.imperfect_teacher`, in the demo's two kinds. Its lessons hold one problem a
step: without any, verifiable rewards find no right answer to begin with. An arm spends that study's budget on
text, under the setting that its tuning chose there, and then :data:`PROBLEM_GFLOPS` on problems;
verifiable rewards alone spend both on problems, or the second. Asked are held-out problems.
"""

from collections.abc import Mapping
from typing import Any

from flows.recipes.rlvr import rlvr_of
from flows.recipes.studies import imperfect_teacher
from flows.recipes.studies.by_seed import Arm, ArmPlan, Held, SeedStudy, Training, start_of
from flows.recipes.studies.imperfect_teacher import (
    DEMO,
    FEW_KINDS,
    MOST_STEPS,
    NEVER_STARVED,
    budget_of,
    teacher,
    with_edition,
)
from flows.recipes.trees import changed, rewritten
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.reinforce import PolicyRecipe, RlvrRecipe
from rpt_core.recipes.reports.outcomes_report import VERIFIABLE_REWARDS
from rpt_core.recipes.reports.report import ReportRecipe

PROBLEM_GFLOPS = 250.0
"""Operations on problems (1e9): 23 steps, or 172 with the budget on text (a pilot under seed 10)."""
SAMPLES, NUM_PROBLEMS = 16, 200
"""Answers to each problem, and held-out problems."""
ALONE, SHORT, THEN = "RLVR alone", "RLVR alone, short", ", then RLVR"
ON_TEXT = ("RPT", "NTP tuned", "more SFT", "rejection SFT", "Mixed SFT")
"""Arms of the study of an imperfect teacher that verifiable rewards begin from."""


def problem_solver(journey: ReportRecipe, held: Held = "test") -> ReportRecipe:
    """The journey in the imperfect teacher's world, from a start that has seen some problems solved.

    Raises:
        RecipeError: it reads another text, or has no cold start of its own.
    """
    journey = teacher(with_edition(journey, {"kinds": FEW_KINDS}), held, VERIFIABLE_REWARDS, lessons=1)
    return rewritten(journey, "cold-start", DEMO["cold-start"])


def problems_of(journey: ReportRecipe) -> EvaluationRecipe:
    """Held-out problems, answered at temperature 1."""
    after = journey.after
    assert isinstance(after, EvaluationRecipe)
    update = {
        "modes": ("problems",), "num_problems": NUM_PROBLEMS, "problem_sampling": None, "temperature": 1.0,
        "difficulty": None,
    }  # fmt: skip
    return after.model_copy(update=update)


def _setting_of(name: str) -> Mapping[str, Any]:
    return imperfect_teacher.STUDY.setting_of(name)


def _trained(name: str) -> Arm:
    """An arm of the study of an imperfect teacher; no checkpoint of it is asked."""

    def make(journey: ReportRecipe) -> Training:
        found = imperfect_teacher.STUDY.training_of(journey, name, _setting_of(name))
        return found.model_copy(update={"milestones": ()}) if isinstance(found, PolicyRecipe) else found

    return make


def _rewarded(name: str) -> Arm:
    """Verifiable rewards from what an arm on text has trained."""
    return lambda journey: _limited(journey, _trained(name)(journey), _on_problems(journey))


def _alone(journey: ReportRecipe) -> RlvrRecipe:
    """Verifiable rewards from the start model, for the operations of both."""
    start = start_of(journey, VERIFIABLE_REWARDS)
    return _limited(journey, start, budget_of(journey) + _on_problems(journey))


def _short(journey: ReportRecipe) -> RlvrRecipe:
    """The verifiable rewards that the arms on text end with, from the start model."""
    return _limited(journey, start_of(journey, VERIFIABLE_REWARDS), _on_problems(journey))


def _on_problems(journey: ReportRecipe) -> float:
    """Operations on problems (1e9): the study's, or for a trial a reader's own (`rlvr.max_gflops`)."""
    return rlvr_of(journey).max_gflops or PROBLEM_GFLOPS


def _limited(journey: ReportRecipe, start: Training, gflops: float) -> RlvrRecipe:
    """By operations instead of steps; where every group is right or none, it draws on to its end."""
    update = {
        "start": start, "steps": MOST_STEPS, "max_gflops": gflops, "evaluate_every": 0,
        "selection": NEVER_STARVED,
    }  # fmt: skip
    return changed(rlvr_of(journey), update)


ARMS: dict[str, ArmPlan] = {
    SHORT: ArmPlan(_short),
    ALONE: ArmPlan(_alone),
    **{f"{name}{THEN}": ArmPlan(_rewarded(name), before=_setting_of(name)) for name in ON_TEXT},
    "RPT": ArmPlan(_trained("RPT"), before=_setting_of("RPT")),
}
"""None is tuned here: on problems all have the journey's setting."""

STUDY = SeedStudy(
    name=VERIFIABLE_REWARDS,
    title="What text training is worth as a start of verifiable rewards",
    lay=problem_solver,
    arms=ARMS,
    tuned={},
    samples=SAMPLES,
    asked=problems_of,
    measure="second-world-problems",
)
