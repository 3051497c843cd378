"""The stages: for each its recipe, the function that makes it, and what else anybody asks about it.

A new stage is its recipe, its function, one row here, and a flow with its deployment, which a test compares
with the row. Functions and flows are named and not imported, so that a plan loads no model code.
"""

from dataclasses import dataclass
from typing import Literal

from rpt_core.artifacts.recipe import Recipe
from rpt_core.errors import RecipeError
from rpt_core.recipes.benchmark_evaluation import BenchmarkRecipe
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe, QualityRecipe
from rpt_core.recipes.difficulty import DifficultyRecipe
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.harness_evaluation import HarnessRecipe
from rpt_core.recipes.judge import JudgeRecipe
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe
from rpt_core.recipes.outcomes import KeptOutcomesRecipe, OutcomesRecipe
from rpt_core.recipes.reinforce import PassRateRecipe, PolicyRecipe, RlptRecipe, RlvrRecipe
from rpt_core.recipes.reports.leaderboard import LeaderboardRecipe
from rpt_core.recipes.reports.outcomes_report import OutcomesReportRecipe
from rpt_core.recipes.reports.report import ArmsRecipe, ReportRecipe, SeedsRecipe
from rpt_core.recipes.reports.rlpt_report import RlptReportRecipe
from rpt_core.recipes.reports.rlvr_report import RlvrReportRecipe
from rpt_core.recipes.scaling import ScalingRecipe
from rpt_core.recipes.supervised import BaseRecipe, ColdStartRecipe, SftRecipe


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the journey."""

    recipe: type[Recipe]
    function: str
    """``module:function`` of rpt_core, imported only where it runs."""
    exact: bool
    """Whether its content is the same on every machine, or only under the same numerics."""
    group: Literal["data", "train", "eval", "scaling", "report"]
    """What its runs in MLflow are found by, as the tag ``rpt.group``."""
    flow: str
    """Prefect flow that makes it."""
    work: Literal["train", "score"] | None = None
    """What it does with a model that a plan weighs against the machine; None where it holds none."""
    many_ranks: bool = False
    """Whether it can run in several processes that share its work; others run in one, on one GPU at most."""
    title: str = ""
    """What a report calls it; empty where the kind it writes is said instead."""

    @property
    def name(self) -> str:
        """What recipes, plans and ``--to`` call it."""
        return str(self.recipe.model_fields["stage"].default)

    @property
    def trains(self) -> bool:
        """Whether it takes optimiser steps, so that a placement's back end is its matter."""
        return self.function.startswith("rpt_core.train.")

    @property
    def recipe_class(self) -> str:
        """``module:class`` of the recipe."""
        return f"{self.recipe.__module__}:{self.recipe.__qualname__}"


ROWS = (
    Stage(
        IngestRecipe, "rpt_core.corpus.ingest:ingest",
        exact=True, group="data", flow="ingest-corpus", title="Text read",
    ),
    Stage(
        PrepareRecipe, "rpt_core.corpus.prepare:prepare",
        exact=True, group="data", flow="prepare-corpus", title="Corpus prepared",
    ),
    Stage(
        QualityRecipe, "rpt_core.quality.stage:score_quality",
        exact=False, group="data", flow="score-quality", work="score",
    ),
    Stage(
        BaseRecipe, "rpt_core.train.supervised.base:train_base", many_ranks=True,
        exact=False, group="train", flow="cold-start", work="train", title="Base model",
    ),
    Stage(
        DifficultyRecipe, "rpt_core.difficulty.score:score_difficulty", many_ranks=True,
        exact=False, group="data", flow="score-difficulty", work="score", title="Difficulty scored",
    ),
    Stage(
        ColdStartRecipe, "rpt_core.train.supervised.cold_start:train_cold_start", many_ranks=True,
        exact=False, group="train", flow="cold-start", work="train", title="Cold start",
    ),
    Stage(
        PolicyRecipe, "rpt_core.train.rl.reinforce:train_policy", many_ranks=True,
        exact=False, group="train", flow="train-rpt", work="train", title="RPT",
    ),
    Stage(
        RlptRecipe, "rpt_core.train.rl.reinforce:train_rlpt", many_ranks=True,
        exact=False, group="train", flow="train-rlpt", work="train",
    ),
    Stage(
        JudgeRecipe, "rpt_core.train.supervised.judge:train_judge", many_ranks=True,
        exact=False, group="train", flow="train-judge",
    ),
    Stage(
        SftRecipe, "rpt_core.train.supervised.sft:train_sft", many_ranks=True,
        exact=False, group="train", flow="sft", work="train",
    ),
    Stage(
        PassRateRecipe, "rpt_core.evaluation.pass_rates:score_pass_rate",
        exact=False, group="data", flow="score-pass-rate", work="score", title="Pass rates scored",
    ),
    Stage(
        RlvrRecipe, "rpt_core.train.rl.reinforce:finetune_rlvr", many_ranks=True,
        exact=False, group="train", flow="finetune-rlvr", work="train", title="Verifiable rewards",
    ),
    Stage(
        EvaluationRecipe, "rpt_core.evaluation.evaluate:evaluate",
        exact=False, group="eval", flow="evaluate", work="score", title="Evaluated",
    ),
    Stage(
        JudgedEvaluationRecipe, "rpt_core.evaluation.evaluate:evaluate",
        exact=False, group="eval", flow="evaluate-judged", work="score",
    ),
    Stage(
        BenchmarkRecipe, "rpt_core.evaluation.benchmarks.suite.stage:evaluate_benchmark",
        exact=False, group="eval", flow="evaluate-benchmark", work="score", title="Benchmark",
    ),
    Stage(
        HarnessRecipe, "rpt_core.evaluation.harness.stage:evaluate_harness",
        exact=False, group="eval", flow="evaluate-harness", work="score", title="Harness",
    ),
    Stage(
        ScalingRecipe, "rpt_core.scaling.fit:fit_scaling",
        exact=True, group="scaling", flow="fit-scaling", title="Scaling law",
    ),
    Stage(
        OutcomesRecipe, "rpt_core.report.outcomes.gather:gather_outcomes",
        exact=True, group="eval", flow="study", title="Outcomes gathered",
    ),
    Stage(
        KeptOutcomesRecipe, "rpt_core.report.outcomes.take:take_outcomes",
        exact=True, group="eval", flow="study",
    ),
    Stage(
        ReportRecipe, "rpt_core.report.study:write_report",
        exact=True, group="report", flow="pipeline",
    ),
    Stage(
        RlptReportRecipe, "rpt_core.report.study:write_report",
        exact=True, group="report", flow="pipeline",
    ),
    Stage(
        RlvrReportRecipe, "rpt_core.report.study:write_report",
        exact=True, group="report", flow="study",
    ),
    Stage(
        SeedsRecipe, "rpt_core.report.study:write_report",
        exact=True, group="report", flow="seeds",
    ),
    Stage(
        ArmsRecipe, "rpt_core.report.study:write_report",
        exact=True, group="report", flow="study",
    ),
    Stage(
        OutcomesReportRecipe, "rpt_core.report.study:write_report",
        exact=True, group="report", flow="study",
    ),
    Stage(
        LeaderboardRecipe, "rpt_core.report.study:write_report",
        exact=True, group="report", flow="leaderboard",
    ),
)  # fmt: skip
"""In the order of a journey."""
STAGES = {row.name: row for row in ROWS}


def stage_of(recipe: Recipe) -> Stage:
    """The stage that makes a recipe.

    Raises:
        RecipeError: there is no such stage.
    """
    try:
        return STAGES[recipe.stage]
    except KeyError:
        raise RecipeError(f"no stage is called {recipe.stage!r}; there are {', '.join(STAGES)}.") from None
