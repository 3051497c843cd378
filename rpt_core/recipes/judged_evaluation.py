"""Recipe of the evaluation by a judge."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from rpt_core.artifacts.recipe import Address, Artifact, Ref, later
from rpt_core.recipes.difficulty import DifficultyRecipe
from rpt_core.recipes.evaluation import EvaluationFields
from rpt_core.recipes.judge import JudgeRecipe
from rpt_core.recipes.reinforce import PolicyRecipe, RlptRecipe, RlvrRecipe
from rpt_core.recipes.rlpt_objective import RlptObjective
from rpt_core.recipes.supervised import BaseRecipe, ColdStartRecipe, SftRecipe


class JudgedEvaluationRecipe(EvaluationFields):
    """Next and missing segments of held-out documents by a judge's word, and exact answers to problems.

    One rule for every model compared, whatever it was trained on.
    """

    kind: ClassVar[str] = "judged-evaluation"
    location_fields: ClassVar[frozenset[str]] = frozenset({"judge_url"})

    stage: Literal["evaluate-judged"] = "evaluate-judged"
    difficulty: DifficultyRecipe | Ref | Artifact | None = None
    model: RlptRecipe | RlvrRecipe | PolicyRecipe | SftRecipe | ColdStartRecipe | BaseRecipe | Ref | Artifact
    judge: JudgeRecipe | BaseRecipe | Ref | Artifact | None = None
    """Another one than the training's: what a model learnt to please its own judge with shows here."""
    judge_model: str = ""
    judge_url: Address = ""
    judge_reply_tokens: int = Field(0, ge=0)
    judge_deadline_seconds: float = Field(30.0, gt=0)
    unread_share_max: float = Field(0.2, ge=0, le=1)
    objective: RlptObjective = RlptObjective()
    modes: tuple[Literal["judged", "judged-forced", "problems"], ...] = (
        "judged",
        "judged-forced",
        "problems",
    )
    """``judged``: sampled thought and segment, ASR and MSR for every target. ``judged-forced``: the same,
    made to think. ``problems``: held-out problems."""
    num_targets: int = Field(300, ge=1)
    """Held-out segments, drawn once by seed; each is asked both ways."""
    temperature: float = Field(1.0, gt=0)
    milestones: bool = later(False)
    """Also evaluate, in the mode ``judged``, every published checkpoint of the model's training."""

    @model_validator(mode="after")
    def _one_judge(self) -> "JudgedEvaluationRecipe":
        if (self.judge is None) == (not self.judge_model):
            raise ValueError("give either a judge (a model) or judge_model (behind judge_url)")
        return self
