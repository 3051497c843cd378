"""Recipe of the comparison of RLPT's arms."""

from typing import ClassVar, Literal

from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe
from rpt_core.recipes.reinforce import RlptRecipe
from rpt_core.recipes.reports.report import StudyModel, StudyRecipe

COLD_START = "cold start"
SUPERVISED = "more supervised training"
THEN_RLVR = "RLPT, then RLVR"
RLVR_ALONE = "RLVR alone"
CONTROLS = (SUPERVISED, THEN_RLVR, RLVR_ALONE)
"""Models beside the arms: the cold start after more supervised steps; RLPT and then verifiable rewards; those
from the cold start, as many steps."""

JudgedModel = StudyModel[JudgedEvaluationRecipe, RlptRecipe]


class RlptReportRecipe(StudyRecipe):
    """RLPT beside its start, beside supervised training gone on with, and beside its own ablations.

    The first model is the cold start, the first arm RLPT; models without trainings are :data:`CONTROLS`.
    """

    kind: ClassVar[str] = "rlpt-report"

    stage: Literal["report-rlpt"] = "report-rlpt"
    revision: int = 4
    title: str = "Reinforcement learning on pre-training data"
    models: tuple[JudgedModel, ...]
