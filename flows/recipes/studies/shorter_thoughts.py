"""The study of shorter thoughts: RMT and its parts beside RPT, by seeds.

The world, the hold-out and what counts as an operation are those of :mod:`.imperfect_teacher`.
The start model goes over most of its thoughts again and again, so that a budget has something to cut, and
knows the budget's words. Every arm ends at the first update that reaches :data:`BUDGET_GFLOPS`.
"""

from collections.abc import Mapping
from typing import Any

from flows.recipes import rmt
from flows.recipes.rmt import policy_of
from flows.recipes.studies import imperfect_teacher
from flows.recipes.studies.by_seed import Arm, ArmPlan, Held, SeedStudy, rates
from flows.recipes.studies.imperfect_teacher import REINFORCED, limited, teacher
from flows.recipes.trees import rewritten
from rpt_core.errors import RecipeError
from rpt_core.recipes.objectives import RmtObjective
from rpt_core.recipes.reinforce import PolicyRecipe
from rpt_core.recipes.reports.outcomes_report import SHORTER_THOUGHTS
from rpt_core.recipes.reports.report import ReportRecipe

BUDGET_GFLOPS = 2_200.0
"""1e9 operations of every arm, the proxy's pass (544) among them: RMT takes 1,265 for the 48 steps over which
its budget and its curriculum go, and half as many steps after them for the rest (tuning seed 10)."""
SCHEDULE_TOKENS = 135_000
"""Thought tokens that RMT draws in those 48 steps."""
BEGINS_FROM = "tiny_rmt"
LESSONS = 1_200
"""Steps of the cold start: its loss falls no more after 1,100 of them (0.32; after 1,640 it was 0.33, tuning
seed 10)."""
SAMPLES = 16
"""Answers to each question: no claim here is about coverage, and thoughts are long."""
TINY: dict[str, Any] = {"max_tokens": 0, "optimiser": {"schedule": "constant", "final_share": 0.0}}
"""Of the recipe's training: it ends by operations, and no schedule knows beforehand after how many steps."""
MIDTRAINED = (
    *rates(1e-4, 2e-4, 4e-4, 8e-4, loss="dr_grpo"),
    *rates(4e-4, loss="grpo"),
)
"""Rate and normalisation of RMT; the weight of its next-token loss is one of its parts."""


def long_thinker(
    journey: ReportRecipe,
    held: Held = "test",
    study: str = SHORTER_THOUGHTS,
    base_lessons: int = imperfect_teacher.LESSONS,
) -> ReportRecipe:
    """The recipe's journey in the imperfect teacher's world.

    Args:
        journey: Of RMT, on the sample world.
        held: What held-out documents ask: the test's questions, or those kept for tuning.
        study: Its name, for errors.
        base_lessons: Times the journey's steps of the base model.

    Raises:
        RecipeError: it trains something else than RMT, reads another text, or has no cold start of its own.
    """
    if not isinstance(policy_of(journey).objective, RmtObjective):
        raise RecipeError(
            f"the study {study} is about RMT, and {journey.title!r} trains "
            f"{policy_of(journey).objective.name!r}. Start from {BEGINS_FROM}."
        )
    journey = rewritten(teacher(journey, held, study, BEGINS_FROM, base_lessons), "policy", TINY)
    return rewritten(journey, "cold-start", {"steps": LESSONS})


def budget_of(journey: ReportRecipe) -> float:
    """Operations of every arm (1e9): the study's, or for a trial a reader's own (`policy.max_gflops`)."""
    return policy_of(journey).max_gflops or BUDGET_GFLOPS


def _trained(arm: str, **more: Any) -> Arm:
    """An arm of RMT's comparison (:data:`flows.recipes.rmt.ARMS`) by operations."""
    return lambda journey: _limited(rmt.arm(journey, arm), **more)


def _limited(journey: ReportRecipe, **more: Any) -> PolicyRecipe:
    return limited(journey, max_gflops=budget_of(journey), milestones=(), **more)


def _paid_always(journey: ReportRecipe) -> PolicyRecipe:
    """The length of a thought is paid whether or not its answer is right, as the paper prints it."""
    return _limited(rmt.arm(journey, "RMT"), objective={"budget": {"paid": "always"}})


def _over_tokens(journey: ReportRecipe) -> PolicyRecipe:
    """The budget falls by the tokens drawn, so that shorter thoughts do not make it fall sooner."""
    budget = {"schedule_steps": 0, "schedule_tokens": SCHEDULE_TOKENS}
    return _limited(rmt.arm(journey, "RMT"), objective={"budget": budget})


def _part(name: str) -> tuple[str, ArmPlan]:
    return name, ArmPlan(_trained(name), tuned_as="RMT")


ARMS: dict[str, ArmPlan] = {
    "RPT": ArmPlan(_trained("RPT", prompts_per_step=32, loss="grpo"), REINFORCED),
    "RMT": ArmPlan(_trained("RMT"), MIDTRAINED),
    "RMT, length paid always": ArmPlan(_paid_always, tuned_as="RMT"),
    "RMT, budget over tokens": ArmPlan(_over_tokens, tuned_as="RMT"),
    **dict(map(_part, ("RMT without budget", "RMT without curriculum", "RMT without NTP"))),
}
"""Parts of RMT are left out under RMT's setting, so that each arm differs from it in one thing."""
TUNED: dict[str, Mapping[str, Any]] = {"RPT": REINFORCED[1], "RMT": MIDTRAINED[1]}
"""By arm, the setting that the tuning runs chose; frozen in a commit before the first reported seed."""
FURTHER: dict[str, Arm] = {
    "RMT with a waiting budget": _trained("RMT with a waiting budget"),
}
"""Run when it is asked for by name."""

STUDY = SeedStudy(
    name=SHORTER_THOUGHTS,
    title="Shorter thoughts: RMT and its parts by seeds",
    lay=long_thinker,
    arms=ARMS,
    tuned=TUNED,
    asked_for=FURTHER,
    begins_from=BEGINS_FROM,
    samples=SAMPLES,
)
