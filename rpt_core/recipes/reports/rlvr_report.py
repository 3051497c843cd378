"""Recipe of the comparison of start models for reinforcement with verifiable rewards."""

from typing import ClassVar, Literal

from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.reinforce import RlvrRecipe
from rpt_core.recipes.reports.report import StudyModel, StudyRecipe

SolvingModel = StudyModel[EvaluationRecipe, RlvrRecipe]


class RlvrReportRecipe(StudyRecipe):
    """Verifiable rewards from several start models: which is the better start?

    The first model is the start of all, the first arm the one in question; models without trainings are what
    arms started from. Where a claim is decided, its unit is the seed.
    """

    kind: ClassVar[str] = "rlvr-report"

    stage: Literal["report-rlvr"] = "report-rlvr"
    revision: int = 2
    title: str = "Verifiable rewards from several start models"
    models: tuple[SolvingModel, ...]
