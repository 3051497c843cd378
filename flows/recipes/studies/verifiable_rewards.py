"""The study of verifiable rewards: what each way to train on text is worth as their start, by seeds.

The teacher is that of :mod:`.imperfect_teacher`, in the demo's two kinds. Its lessons hold one problem a
step: without any, verifiable rewards find no right answer to begin with. An arm spends that study's budget on
text, under the setting that its tuning chose there, and then :data:`PROBLEM_GFLOPS` on problems;
verifiable rewards alone spend both on problems, or the second. Asked are held-out problems.
"""

from collections.abc import Callable, Sequence
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
from flows.recipes.trees import Journey, changed, rewritten
from rpt_core.artifacts.recipe import Recipe
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe
from rpt_core.recipes.outcomes import MeasureName
from rpt_core.recipes.reinforce import PolicyRecipe, RlptRecipe, RlvrRecipe
from rpt_core.recipes.reports.outcomes_report import VERIFIABLE_REWARDS
from rpt_core.recipes.reports.report import ReportRecipe
from rpt_core.recipes.reports.rlpt_report import THEN_RLVR, RlptReportRecipe

PROBLEM_GFLOPS = 250.0
"""Operations on problems (1e9): 23 steps, or 172 with the budget on text (a pilot under seed 10)."""
SAMPLES, NUM_PROBLEMS = 16, 200
"""Answers to each problem, and held-out problems."""
MEASURE: MeasureName = "second-world-problems"
ALONE, SHORT, THEN = "RLVR alone", "RLVR alone, short", ", then RLVR"
ON_TEXT = ("RPT", "NTP tuned", "more SFT", "rejection SFT", "Mixed SFT")
"""Arms of the study of an imperfect teacher that verifiable rewards begin from."""


def problem_solver(journey: ReportRecipe, held: Held = "test") -> ReportRecipe:
    """The journey in the imperfect teacher's world, from a start that has seen some problems solved.

    Raises:
        RecipeError: it reads another text, or has no cold start of its own.
    """
    return with_problems(journey, lambda few: teacher(few, held, VERIFIABLE_REWARDS, lessons=1))


def with_problems(journey: Journey, lay: Callable[[Journey], Journey]) -> Journey:
    """A journey in the demo's two kinds, one problem among each step's lessons.

    Args:
        journey: Of RPT, RMT or RLPT.
        lay: Puts it into the imperfect teacher's world, with as many steps of the base model as it has.
    """
    journey = lay(with_edition(journey, {"kinds": FEW_KINDS}))
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


def arms_on(text: SeedStudy, names: Sequence[str], budget: Callable[[Any], float]) -> dict[str, ArmPlan]:
    """Verifiable rewards from what a study of text has trained, and from the start model.

    Args:
        text: The study on text; its arms keep the settings that their tuning chose, and no checkpoint of them
            is asked.
        names: Of its arms.
        budget: Operations on text (1e9) of a journey.
    """

    def rewarded(name: str) -> ArmPlan:
        before = trained_on(text, name)
        return ArmPlan(
            lambda journey: limited(journey, before(journey), on_problems(journey)),
            before=text.setting_of(name),
        )

    def alone(journey: Recipe) -> RlvrRecipe:
        start = start_of(journey, text.name, text.begins_from)
        return limited(journey, start, budget(journey) + on_problems(journey))

    def short(journey: Recipe) -> RlvrRecipe:
        return limited(journey, start_of(journey, text.name, text.begins_from), on_problems(journey))

    return {
        SHORT: ArmPlan(short),
        ALONE: ArmPlan(alone),
        **{f"{name}{THEN}": rewarded(name) for name in names},
    }


def trained_on(text: SeedStudy, name: str) -> Arm:
    """An arm of a study on text, without checkpoints."""

    def make(journey: Recipe) -> Training:
        found = text.training_of(journey, name, text.setting_of(name))
        is_reinforced = isinstance(found, PolicyRecipe | RlptRecipe)
        return found.model_copy(update={"milestones": ()}) if is_reinforced else found

    return make


def own_rewards(journey: Recipe) -> RlvrRecipe:
    """A journey's own training with verifiable rewards, on what it has trained on text."""
    if isinstance(journey, RlptReportRecipe):
        (evaluation,) = journey.model(THEN_RLVR).evaluations
        assert isinstance(evaluation, JudgedEvaluationRecipe)
        found = evaluation.model
        assert isinstance(found, RlvrRecipe)
        return found
    assert isinstance(journey, ReportRecipe)
    return rlvr_of(journey)


def on_problems(journey: Recipe) -> float:
    """Operations on problems (1e9): the study's, or for a trial a reader's own (`rlvr.max_gflops`)."""
    return own_rewards(journey).max_gflops or PROBLEM_GFLOPS


def limited(journey: Recipe, start: Training, gflops: float) -> RlvrRecipe:
    """By operations instead of steps; where every group is right or none, it draws on to its end."""
    update = {
        "start": start, "steps": MOST_STEPS, "max_gflops": gflops, "evaluate_every": 0,
        "selection": NEVER_STARVED,
    }  # fmt: skip
    return changed(own_rewards(journey), update)


TEXT = imperfect_teacher.STUDY
ARMS: dict[str, ArmPlan] = {
    **arms_on(TEXT, ON_TEXT, budget_of),
    "RPT": ArmPlan(trained_on(TEXT, "RPT"), before=TEXT.setting_of("RPT")),
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
    measure=MEASURE,
)
