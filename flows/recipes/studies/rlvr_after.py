"""The studies of verifiable rewards after RMT and after RLPT: what each is worth as their start, by seeds.

As :mod:`.verifiable_rewards`, from the start model of that method's own study, which has seen some problems
solved: RMT and RPT from one that goes over its thoughts again (:mod:`.shorter_thoughts`), RLPT from one that
writes segments (:mod:`.next_segments`). Nothing is tuned here.
"""

from flows.recipes.studies import next_segments, shorter_thoughts
from flows.recipes.studies.by_seed import Held, SeedStudy
from flows.recipes.studies.verifiable_rewards import (
    MEASURE,
    NUM_PROBLEMS,
    SAMPLES,
    arms_on,
    own_rewards,
    problems_of,
    with_problems,
)
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.reports.outcomes_report import RLVR_AFTER_RLPT, RLVR_AFTER_RMT
from rpt_core.recipes.reports.report import ReportRecipe
from rpt_core.recipes.reports.rlpt_report import RlptReportRecipe


def long_solver(journey: ReportRecipe, held: Held = "test") -> ReportRecipe:
    """RMT's journey in two kinds of the imperfect teacher's world, one problem among each step's lessons."""
    long_thinker = shorter_thoughts.long_thinker
    return with_problems(journey, lambda few: long_thinker(few, held, RLVR_AFTER_RMT, base_lessons=1))


def segment_solver(journey: RlptReportRecipe, held: Held = "test") -> RlptReportRecipe:
    """RLPT's journey in the same two kinds, one problem among each step's lessons."""
    erring_teacher = next_segments.erring_teacher
    return with_problems(journey, lambda few: erring_teacher(few, held, RLVR_AFTER_RLPT, lessons=1))


def solved(journey: RlptReportRecipe) -> EvaluationRecipe:
    """Held-out problems, answered at temperature 1, asked as the journey's verifiable rewards ask them."""
    own = own_rewards(journey)
    return EvaluationRecipe(
        corpus=own.corpus, model=own, modes=("problems",), problems=own.objective, num_problems=NUM_PROBLEMS,
        temperature=1.0, reasoning_tokens=own.reasoning_tokens, context_tokens=own.context_tokens,
        seed=own.seed,
    )  # fmt: skip


AFTER_RMT = SeedStudy(
    name=RLVR_AFTER_RMT,
    title="What RMT is worth as a start of verifiable rewards",
    lay=long_solver,
    arms=arms_on(shorter_thoughts.STUDY, ("RMT", "RPT"), shorter_thoughts.budget_of),
    tuned={},
    begins_from=shorter_thoughts.BEGINS_FROM,
    samples=SAMPLES,
    asked=problems_of,
    measure=MEASURE,
)
AFTER_RLPT = SeedStudy(
    name=RLVR_AFTER_RLPT,
    title="What RLPT is worth as a start of verifiable rewards",
    lay=segment_solver,
    arms=arms_on(next_segments.STUDY, ("RLPT", "more SFT"), next_segments.budget_of),
    tuned={},
    begins_from=next_segments.BEGINS_FROM,
    samples=SAMPLES,
    asked=solved,
    measure=MEASURE,
    ends_in=RlptReportRecipe,
)
