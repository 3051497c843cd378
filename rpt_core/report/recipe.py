"""Recipe of the report."""

from typing import ClassVar, Literal

from rpt_core.artifacts.recipe import Artifact, Recipe, Ref
from rpt_core.evaluation.recipe import EvaluationRecipe
from rpt_core.scaling.recipe import ScalingRecipe


class ReportRecipe(Recipe):
    """One page that says what was done and found; every number links to its artifact."""

    kind: ClassVar[str] = "report"

    stage: Literal["report"] = "report"
    title: str = "Reinforcement learning on plain text"
    before: EvaluationRecipe | Ref | Artifact
    """The cold start."""
    after: EvaluationRecipe | Ref | Artifact
    """The trained policy, with its checkpoints."""
    finetuned: EvaluationRecipe | Ref | Artifact
    """After verifiable rewards."""
    scaling: ScalingRecipe | Ref | Artifact
