"""Recipes of the reports: one journey, or several seeds of it."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from rpt_core.artifacts.recipe import Artifact, Recipe, Ref, later
from rpt_core.recipes.corpus import PrepareRecipe
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.reinforce import PolicyRecipe
from rpt_core.recipes.scaling import ScalingRecipe

ALWAYS_THINKS = "start that always thinks"
"""Name of the baseline that the last claim of table 1 is about."""


class ReportRecipe(Recipe):
    """One page that says what was done and found; every number links to its artifact."""

    kind: ClassVar[str] = "report"
    reads_lineage: ClassVar[bool] = True

    stage: Literal["report"] = "report"
    revision: int = 2
    title: str = "Reinforcement learning on plain text"
    method: str = later("RPT")
    """What the page calls the training between the two."""
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
    revision: int = 2
    title: str = "The same journey, several seeds"
    method: str = later("RPT")
    """What the page calls the training between the two."""
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


class ArmsRecipe(Recipe):
    """Several trainings from one start model, at equal training tokens: which part of a method does what?"""

    kind: ClassVar[str] = "arms-report"
    reads_lineage: ClassVar[bool] = True

    stage: Literal["report-arms"] = "report-arms"
    revision: int = 2
    title: str = "One start model, several trainings"
    arms: tuple[str, ...] = Field(min_length=2)
    """Their names: the reference first, then the method, then what is left of it without one of its parts."""
    seeds: tuple[int, ...] = Field(min_length=1)
    starts: tuple[EvaluationRecipe | Ref | Artifact, ...]
    """The start models, one per seed."""
    evaluations: tuple[EvaluationRecipe | Ref | Artifact, ...]
    """The trained models, arm by arm, within an arm by seed."""
    trainings: tuple[PolicyRecipe | Ref | Artifact, ...]
    """What they were trained by, in the same order: for tokens and compute."""
    study: Literal["mid-training", "table-1", "rewards", "positions"] = later("mid-training")
    """What is claimed. ``mid-training``: RMT's goals. ``table-1``: the baselines of RPT's table 1; the arms
    are continual next-token training, RPT, and RPT from a start that always thinks. ``rewards``,
    ``positions``: every arm beside the first."""
    baseline_names: tuple[str, ...] = later(())
    baselines: tuple[EvaluationRecipe | Ref | Artifact, ...] = later(())
    """Further models that were not trained by an arm, baseline by baseline, within one by seed."""
    corpora: tuple[PrepareRecipe | Ref | Artifact, ...] = later(())
    """By seed, the corpus; of the sample world's, the page says how much of its headroom is closed."""
    tolerated_loss: float = Field(0.05, ge=0)
    """How much less accurate than the reference the method may be and still be called as accurate."""
    short_share: float = Field(0.5, gt=0, le=1)
    """The method's goal: thoughts of at most this share of the reference's length."""
    seed: int = 0
    """Of bootstrap resamples."""

    @model_validator(mode="after")
    def _complete(self) -> "ArmsRecipe":
        wanted = len(self.arms) * len(self.seeds)
        found = (len(self.starts), len(self.evaluations), len(self.trainings))
        extra = (len(self.baselines), len(self.corpora))
        if extra[0] != len(self.baseline_names) * len(self.seeds) or extra[1] not in (0, len(self.seeds)):
            raise ValueError(
                f"{len(self.baseline_names)} baselines under {len(self.seeds)} seeds are given by {extra[0]} "
                f"evaluations, and there are {extra[1]} corpora: give one of each per seed"
            )
        if found != (len(self.seeds), wanted, wanted):
            raise ValueError(
                f"{len(self.arms)} arms under {len(self.seeds)} seeds need {len(self.seeds)} evaluations of "
                f"start models and {wanted} each of trained models and trainings; given are {found}"
            )
        return self
