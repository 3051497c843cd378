"""The stages: which recipe each has, which function of rpt_core makes it, and what its bytes depend on."""

from dataclasses import dataclass

from rpt_core.artifacts.recipe import Recipe
from rpt_core.errors import RecipeError
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe, QualityRecipe
from rpt_core.recipes.difficulty import DifficultyRecipe
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.judge import JudgeRecipe
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe
from rpt_core.recipes.reinforce import PolicyRecipe, RlptRecipe, RlvrRecipe
from rpt_core.recipes.report import ArmsRecipe, ReportRecipe, SeedsRecipe
from rpt_core.recipes.rlpt_report import RlptReportRecipe
from rpt_core.recipes.scaling import ScalingRecipe
from rpt_core.recipes.supervised import BaseRecipe, ColdStartRecipe, SftRecipe


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the journey."""

    recipe: type[Recipe]
    function: str
    """``module:function`` of rpt_core, imported only where it runs."""
    exact: bool
    """Whether its content is the same on every machine (design 3.2), or only under the same numerics."""
    experiment: str
    """MLflow experiment its metrics go to."""

    @property
    def recipe_class(self) -> str:
        """``module:class`` of the recipe."""
        return f"{self.recipe.__module__}:{self.recipe.__qualname__}"


STAGES: dict[str, Stage] = {
    "ingest-corpus": Stage(IngestRecipe, "rpt_core.corpus.ingest:ingest", True, "rpt/data"),
    "prepare-corpus": Stage(PrepareRecipe, "rpt_core.corpus.prepare:prepare", True, "rpt/data"),
    "score-quality": Stage(QualityRecipe, "rpt_core.quality.stage:score_quality", False, "rpt/data"),
    "train-base": Stage(BaseRecipe, "rpt_core.train.supervised.base:train_base", False, "rpt/train"),
    "score-difficulty": Stage(
        DifficultyRecipe, "rpt_core.difficulty.score:score_difficulty", False, "rpt/data"
    ),
    "cold-start": Stage(
        ColdStartRecipe, "rpt_core.train.supervised.cold_start:train_cold_start", False, "rpt/train"
    ),
    "train-rpt": Stage(PolicyRecipe, "rpt_core.train.rl.reinforce:train_policy", False, "rpt/train"),
    "train-rlpt": Stage(RlptRecipe, "rpt_core.train.rl.reinforce:train_rlpt", False, "rpt/train"),
    "train-judge": Stage(JudgeRecipe, "rpt_core.train.supervised.judge:train_judge", False, "rpt/train"),
    "sft": Stage(SftRecipe, "rpt_core.train.supervised.sft:train_sft", False, "rpt/train"),
    "finetune-rlvr": Stage(RlvrRecipe, "rpt_core.train.rl.reinforce:finetune_rlvr", False, "rpt/train"),
    "evaluate": Stage(EvaluationRecipe, "rpt_core.evaluation.evaluate:evaluate", False, "rpt/eval"),
    "fit-scaling": Stage(ScalingRecipe, "rpt_core.scaling.fit:fit_scaling", True, "rpt/scaling"),
    "evaluate-judged": Stage(
        JudgedEvaluationRecipe, "rpt_core.evaluation.evaluate:evaluate", False, "rpt/eval"
    ),
    "report-rlpt": Stage(RlptReportRecipe, "rpt_core.report.study:write_report", True, "rpt/report"),
    "report": Stage(ReportRecipe, "rpt_core.report.study:write_report", True, "rpt/report"),
    "report-seeds": Stage(SeedsRecipe, "rpt_core.report.study:write_report", True, "rpt/report"),
    "report-arms": Stage(ArmsRecipe, "rpt_core.report.study:write_report", True, "rpt/report"),
}


def stage_of(recipe: Recipe) -> Stage:
    """The stage that makes a recipe.

    Raises:
        RecipeError: there is no such stage.
    """
    try:
        return STAGES[recipe.stage]
    except KeyError:
        raise RecipeError(f"no stage is called {recipe.stage!r}; there are {', '.join(STAGES)}.") from None
