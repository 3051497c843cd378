"""Recipes of the reports: one journey, or several seeds of it."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from rpt_core.artifacts.recipe import Artifact, Recipe, Ref
from rpt_core.evaluation.recipe import EvaluationRecipe
from rpt_core.scaling.recipe import ScalingRecipe


class ReportRecipe(Recipe):
    """One page that says what was done and found; every number links to its artifact."""

    kind: ClassVar[str] = "report"
    reads_lineage: ClassVar[bool] = True

    stage: Literal["report"] = "report"
    title: str = "Reinforcement learning on plain text"
    before: EvaluationRecipe | Ref | Artifact
    """The cold start."""
    after: EvaluationRecipe | Ref | Artifact
    """The trained policy, with its checkpoints."""
    finetuned: EvaluationRecipe | Ref | Artifact
    """After verifiable rewards."""
    scaling: ScalingRecipe | Ref | Artifact
    least_gain: float = Field(0.15, ge=0)
    """The gain in accuracy that the second claim asks for."""
    rollouts: int = Field(8, ge=0)
    """Questions shown with both models' answers, drawn by chance."""
    seed: int = 0
    """Of the shown questions and of bootstrap resamples."""


class SeedsRecipe(Recipe):
    """The same journey under several seeds, compared: is the gain there every time?"""

    kind: ClassVar[str] = "seeds-report"
    reads_lineage: ClassVar[bool] = True

    stage: Literal["report-seeds"] = "report-seeds"
    title: str = "The same journey, several seeds"
    before: tuple[EvaluationRecipe | Ref | Artifact, ...]
    """The cold starts, one per seed."""
    after: tuple[EvaluationRecipe | Ref | Artifact, ...]
    """The trained policies, in the same order."""
    seeds: tuple[int, ...]
    """Their names in the page."""
    least_gain: float = Field(0.15, ge=0)
    """The mean gain in accuracy that the claim asks for."""
    seed: int = 0
    """Of bootstrap resamples."""

    @model_validator(mode="after")
    def _paired(self) -> "SeedsRecipe":
        if not len(self.before) == len(self.after) == len(self.seeds) or not self.seeds:
            raise ValueError(
                f"{len(self.seeds)} seeds, {len(self.before)} evaluations before and "
                f"{len(self.after)} after: give one of each per seed"
            )
        return self
