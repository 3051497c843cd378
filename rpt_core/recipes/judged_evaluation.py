"""Recipe of the evaluation by a judge."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from rpt_core.artifacts.recipe import Artifact, Ref, later
from rpt_core.recipes.corpus import PrepareRecipe
from rpt_core.recipes.difficulty import DifficultyRecipe
from rpt_core.recipes.evaluation import ProblemSampling, refuse_overlap
from rpt_core.recipes.judge import JudgeFields
from rpt_core.recipes.objectives import RlvrObjective
from rpt_core.recipes.reinforce import PolicyRecipe, RlptRecipe, RlvrRecipe
from rpt_core.recipes.rlpt_objective import RlptObjective
from rpt_core.recipes.supervised import BaseRecipe, ColdStartRecipe, SftRecipe


class JudgedEvaluationRecipe(JudgeFields):
    """Next and missing segments of held-out documents by a judge's word, and exact answers to problems.

    One rule for every model compared, whatever it was trained on.
    """

    kind: ClassVar[str] = "judged-evaluation"
    reads_corpora_of: ClassVar[str] = "model"

    stage: Literal["evaluate-judged"] = "evaluate-judged"
    corpus: PrepareRecipe | Ref | Artifact
    difficulty: DifficultyRecipe | Ref | Artifact | None = None
    model: RlptRecipe | RlvrRecipe | PolicyRecipe | SftRecipe | ColdStartRecipe | BaseRecipe | Ref | Artifact
    objective: RlptObjective = RlptObjective()
    problems: RlvrObjective = RlvrObjective()
    problem_corpus: PrepareRecipe | Ref | Artifact | None = later(None)
    """Whose held-out problems are asked, where not those of ``corpus``."""
    problem_sampling: ProblemSampling | None = later(None)
    """How their answers are drawn; None as all others."""
    modes: tuple[Literal["judged", "judged-forced", "problems"], ...] = (
        "judged",
        "judged-forced",
        "problems",
    )
    """``judged``: sampled thought and segment, ASR and MSR for every target. ``judged-forced``: the same,
    made to think. ``problems``: held-out problems."""
    num_targets: int = Field(300, ge=1)
    """Held-out segments, drawn once by seed; each is asked both ways."""
    num_problems: int = Field(100, ge=1)
    samples: int = Field(8, ge=1)
    temperature: float = Field(1.0, gt=0)
    top_p: float = later(1.0, gt=0, le=1)
    """Only the likeliest tokens with this share of the mass are drawn; 1 for all."""
    reasoning_tokens: int = Field(8192, ge=1)
    context_tokens: int = Field(4096, ge=16)
    milestones: bool = later(False)
    """Also evaluate, in the mode ``judged``, every published checkpoint of the model's training."""
    seed: int = 0

    @model_validator(mode="after")
    def _held_out(self) -> "JudgedEvaluationRecipe":
        refuse_overlap(self.model, self.corpus, self.problem_corpus)
        return self
