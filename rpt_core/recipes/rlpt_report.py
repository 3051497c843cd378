"""Recipe of the comparison of RLPT's arms."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from rpt_core.artifacts.recipe import Artifact, Recipe, Ref
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe
from rpt_core.recipes.reinforce import RlptRecipe

Judged = JudgedEvaluationRecipe | Ref | Artifact


class RlptReportRecipe(Recipe):
    """RLPT beside its start, beside supervised training gone on with, and beside its own ablations."""

    kind: ClassVar[str] = "rlpt-report"

    stage: Literal["report-rlpt"] = "report-rlpt"
    revision: int = 2
    title: str = "Reinforcement learning on pre-training data"
    arms: tuple[str, ...] = Field(("RLPT",), min_length=1)
    """Their names, ``RLPT`` first."""
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    before: tuple[Judged, ...]
    """The cold starts, one per seed."""
    trainings: tuple[RlptRecipe | Ref | Artifact, ...]
    """Arm by arm, within an arm by seed."""
    after: tuple[Judged, ...]
    """The trained models, in the same order."""
    supervised: tuple[Judged, ...] = ()
    """The cold starts after more supervised training, one per seed; none for no such control."""
    finetuned: tuple[Judged, ...] = ()
    """RLPT, then verifiable rewards; one per seed."""
    finetuned_alone: tuple[Judged, ...] = ()
    """Verifiable rewards from the cold start, as many steps; one per seed."""
    seed: int = 0
    """Of bootstrap resamples."""

    @model_validator(mode="after")
    def _complete(self) -> "RlptReportRecipe":
        seeds, arms = len(self.seeds), len(self.arms) * len(self.seeds)
        found = (len(self.before), len(self.trainings), len(self.after))
        controls = {len(x) for x in (self.supervised, self.finetuned, self.finetuned_alone)} - {0}
        if found != (seeds, arms, arms) or controls - {seeds}:
            raise ValueError(
                f"{len(self.arms)} arms under {seeds} seeds need {seeds} evaluations before, {arms} "
                f"trainings and evaluations after, and {seeds} of each control; given are {found} and "
                f"{sorted(controls)}"
            )
        return self
