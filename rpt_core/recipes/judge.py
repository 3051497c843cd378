"""Recipe of the sample world's own judge, and the fields that name a judge in other recipes."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from rpt_core.artifacts.recipe import Address, Artifact, Recipe, Ref, later
from rpt_core.recipes.supervised import BaseRecipe, ModelShape, Optimiser


class JudgeRecipe(Recipe):
    """A tiny generative judge of the sample world: it notes what both texts say, then scores."""

    kind: ClassVar[str] = "judge"

    stage: Literal["train-judge"] = "train-judge"
    model: ModelShape = ModelShape(
        hidden_size=96, num_layers=2, num_heads=4, num_kv_heads=2, head_dim=24, intermediate_size=192,
        vocab_size=512, context_tokens=256,
    )  # fmt: skip
    steps: int = Field(800, ge=1)
    pairs_per_step: int = Field(48, ge=1)
    drills_per_step: int = Field(96, ge=0)
    """Bare notes beside the pairs, learnt for their verdict alone: comparing is what takes longest to learn,
    and a drill costs a fifth of a pair."""
    reference_sentences: int = Field(2, ge=1)
    """Longest reference shown, in sentences; the objective that asks may not show more."""
    held_out_pairs: int = Field(1000, ge=100)
    """Pairs of numbers never trained on, for the agreement with the world's own truth."""
    optimiser: Optimiser = Optimiser(
        name="muon", learning_rate=4e-3, betas=(0.9, 0.95), weight_decay=0.05, warmup_steps=20,
        schedule="linear", final_share=0.05,
    )  # fmt: skip
    world: Literal["first", "second"] = later("first")
    """Edition of the sample world whose sentences it compares."""
    seed: int = 0
    """Of pairs and weights; an evaluation asks a judge of another seed than the training did."""


class JudgeFields(Recipe):
    """Which judge a stage asks: a model run in this process, or one behind an address."""

    location_fields: ClassVar[frozenset[str]] = frozenset({"judge_url"})

    judge: JudgeRecipe | BaseRecipe | Ref | Artifact | None = None
    """The judge's model, run in this process; or none, and ``judge_model`` behind ``judge_url``. An
    evaluation takes another one than the training's: what a model learnt to please its own judge with
    shows there."""
    judge_model: str = ""
    """Model name at an OpenAI-compatible endpoint."""
    judge_url: Address = ""
    """Where that endpoint is, such as ``http://127.0.0.1:8000/v1``; no part of what is made."""
    judge_reply_tokens: int = Field(0, ge=0)
    """Longest reply; 0 for what the prompt's one line needs. A judge that thinks first needs more."""
    judge_deadline_seconds: float = Field(30.0, gt=0)
    """For one verdict, retries included."""
    unread_share_max: float = Field(0.2, ge=0, le=1)
    """Largest share of a step's verdicts that may go unread before the stage ends by name."""

    @property
    def is_judged(self) -> bool:
        """Whether any verdict is asked for, so that there must be a judge."""
        return True

    @model_validator(mode="after")
    def _one_judge(self) -> Self:
        if not self.is_judged:
            return self
        if (self.judge is None) == (not self.judge_model):
            raise ValueError(
                "give either a judge (a model) or judge_model (behind judge_url), not both or none"
            )
        if self.judge_model and not self.judge_url:
            raise ValueError(f"judge_model {self.judge_model!r} has no judge_url: say where it is served")
        return self
