"""Recipe of the evaluation by a judge."""

from typing import ClassVar, Literal

from pydantic import Field

from rpt_core.artifacts.recipe import Artifact, Ref, later
from rpt_core.recipes.difficulty import DifficultyRecipe
from rpt_core.recipes.evaluation import EvaluationFields
from rpt_core.recipes.judge import JudgeFields
from rpt_core.recipes.reinforce import PolicyRecipe, RlptRecipe, RlvrRecipe
from rpt_core.recipes.rlpt_objective import RlptObjective
from rpt_core.recipes.supervised import BaseRecipe, ColdStartRecipe, SftRecipe


class JudgedEvaluationRecipe(JudgeFields, EvaluationFields):
    """Next and missing segments of held-out documents by a judge's word, and exact answers to problems.

    One rule for every model compared, whatever it was trained on.
    """

    kind: ClassVar[str] = "judged-evaluation"

    stage: Literal["evaluate-judged"] = "evaluate-judged"
    difficulty: DifficultyRecipe | Ref | Artifact | None = None
    model: RlptRecipe | RlvrRecipe | PolicyRecipe | SftRecipe | ColdStartRecipe | BaseRecipe | Ref | Artifact
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
