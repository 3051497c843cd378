"""Recipe of the sample world's own judge."""

from typing import ClassVar, Literal

from pydantic import Field

from rpt_core.artifacts.recipe import Recipe
from rpt_core.recipes.supervised import ModelShape, Optimiser


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
    seed: int = 0
    """Of pairs and weights; an evaluation asks a judge of another seed than the training did."""
