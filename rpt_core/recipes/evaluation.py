"""Recipe of the evaluation stage."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from rpt_core.artifacts.recipe import Artifact, Frozen, Recipe, Ref, later
from rpt_core.recipes.corpus import PrepareRecipe
from rpt_core.recipes.difficulty import DifficultyRecipe
from rpt_core.recipes.objectives import RlvrObjective, RptObjective, TextObjective
from rpt_core.recipes.reinforce import PolicyRecipe, RlvrRecipe
from rpt_core.recipes.splits import corpora, overlap
from rpt_core.recipes.supervised import BaseRecipe, ColdStartRecipe, SftRecipe


class ProblemSampling(Frozen):
    """How answers to problems are drawn, where otherwise than answers about text."""

    samples: int = Field(8, ge=1)
    temperature: float = Field(0.6, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    reasoning_tokens: int = Field(32_000, ge=1)
    """Longest answer."""


class EvaluationFields(Recipe):
    """What both evaluations share: whose questions are asked, how many, and how answers are drawn."""

    reads_corpora_of: ClassVar[str] = "model"

    corpus: PrepareRecipe | Ref | Artifact
    difficulty: DifficultyRecipe | Ref | Artifact | None
    model: Recipe | Ref | Artifact
    modes: tuple[str, ...]
    problems: RlvrObjective = RlvrObjective()
    problem_corpus: PrepareRecipe | Ref | Artifact | None = later(None)
    """Whose held-out problems are asked, where not those of ``corpus``."""
    problem_sampling: ProblemSampling | None = later(None)
    """How their answers are drawn; None as all others."""
    num_problems: int = Field(100, ge=1)
    samples: int = Field(8, ge=1)
    temperature: float = Field(0.8, gt=0)
    top_p: float = later(1.0, gt=0, le=1)
    """Only the likeliest tokens with this share of the mass are drawn; 1 for all."""
    reasoning_tokens: int = Field(8192, ge=1)
    context_tokens: int = Field(4096, ge=16)
    milestones: bool
    seed: int = 0

    @model_validator(mode="after")
    def _held_out(self) -> Self:
        refuse_overlap(self.model, self.corpus, self.problem_corpus)
        return self


class EvaluationRecipe(EvaluationFields):
    """Next-token accuracy on held-out documents and exact answers on held-out problems, with intervals."""

    kind: ClassVar[str] = "evaluation"

    stage: Literal["evaluate"] = "evaluate"
    difficulty: DifficultyRecipe | Ref | Artifact | None = later(None)
    """Classes the positions; the same one for all models that are compared. Problems need none."""
    model: PolicyRecipe | RlvrRecipe | SftRecipe | ColdStartRecipe | BaseRecipe | Ref | Artifact
    objective: TextObjective = RptObjective()
    modes: tuple[
        Literal["plain", "reasoning", "forced", "problems", "benchmarks", "choice", "choice-boxed"], ...
    ] = ("plain", "reasoning", "forced", "problems")
    """``plain``: argmax on the raw trunk. ``reasoning``: sampled thought and prediction. ``forced``: the
    same, with the thought's first token given. ``problems``: held-out problems. ``benchmarks``: items of
    known benchmarks that the corpus holds. ``choice``: those and held-out problems with options, the options
    ranked by likelihood. ``choice-boxed``: the same, solved, with a letter as the answer."""
    benchmarks: tuple[str, ...] = later(())
    """Names of the known benchmarks asked, ``num_problems`` items of each; empty for all there are."""
    tiers_nats: tuple[float, ...] = (0.5, 1.0, 1.5)
    """Nested entropy thresholds of easy, medium and hard (RPT, section 4.1)."""
    num_positions: int = Field(600, ge=1)
    """Held-out positions above the lowest threshold, drawn once by seed."""
    milestones: bool = False
    """Also evaluate, in reasoning mode, every published checkpoint of the model's training."""
    milestone_modes: tuple[Literal["plain", "reasoning"], ...] = later(())
    """In which modes those checkpoints are asked instead; empty for reasoning alone."""
    text_nats: bool = later(False)
    """Also measure the mean negative log-likelihood of held-out text, in nats a token."""

    @model_validator(mode="after")
    def _modes_of_milestones(self) -> Self:
        if self.milestone_modes and not self.milestones:
            raise ValueError(
                f"milestone_modes {', '.join(self.milestone_modes)} without milestones: no checkpoint is "
                "asked. Set milestones, or leave milestone_modes empty"
            )
        return self

    @model_validator(mode="after")
    def _classed(self) -> Self:
        on_text = {"plain", "reasoning", "forced"} & set(self.modes)
        if self.difficulty is None and (on_text or self.milestones):
            raise ValueError(
                f"modes {', '.join(self.modes)} ask about positions by their difficulty, and there is none: "
                "give difficulty, or modes of problems alone"
            )
        return self


def refuse_overlap(model: object, *evaluated: object) -> None:
    """Refuse, before anything is made, a split under which a model has read what it is asked.

    Raises:
        ValueError: for the validator that calls this.
    """
    for corpus in evaluated:
        if isinstance(corpus, PrepareRecipe):
            for trained in corpora(model):
                if differing := overlap(corpus, trained):
                    raise ValueError(
                        "the splits overlap: the model is trained and evaluated on the same documents, "
                        f"split by {differing}, so held-out rows of one are training rows of the other; "
                        "make them equal"
                    )
