"""Recipe of the difficulty stage."""

from typing import ClassVar, Literal

from pydantic import Field

from rpt_core.artifacts.recipe import Artifact, Recipe, Ref
from rpt_core.recipes.corpus import PrepareRecipe
from rpt_core.recipes.supervised import BaseRecipe


class DifficultyRecipe(Recipe):
    """Entropy of every token of a corpus under a proxy model (RPT, section 3.3)."""

    kind: ClassVar[str] = "difficulty"

    stage: Literal["score-difficulty"] = "score-difficulty"
    corpus: PrepareRecipe | Ref | Artifact
    proxy: BaseRecipe | Ref | Artifact
    top_k: int = Field(16, ge=2)
    """Entropy of the distribution renormalised over this many likeliest tokens, in nats."""
    context_tokens: int = Field(512, ge=16)
    """Longer documents are scored in windows of this length (counted)."""
    stride_tokens: int = Field(256, ge=1)
    """New tokens per further window; the rest of the window is context."""
