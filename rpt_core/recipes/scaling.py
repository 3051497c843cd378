"""Recipe of the scaling law."""

from typing import ClassVar, Literal

from pydantic import Field

from rpt_core.artifacts.recipe import Artifact, Recipe, Ref
from rpt_core.recipes.evaluation import EvaluationRecipe


class ScalingRecipe(Recipe):
    """Fit P(C) = A / C^alpha + P* over the checkpoints of a training (RPT, section 4.2)."""

    kind: ClassVar[str] = "scaling"

    stage: Literal["fit-scaling"] = "fit-scaling"
    evaluation: EvaluationRecipe | Ref | Artifact
    """An evaluation with ``milestones``: accuracy over compute."""
    resamples: int = Field(200, ge=0)
    """Bootstrap resamples over documents for the intervals."""
    seed: int = 0
