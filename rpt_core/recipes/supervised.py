"""Recipes of supervised training: the base model and the cold start."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from rpt_core.artifacts.recipe import Artifact, Frozen, Recipe, Ref, later
from rpt_core.recipes.corpus import InputFile, PrepareRecipe
from rpt_core.recipes.given import GivenModel
from rpt_core.recipes.objectives import PromptName


class ModelShape(Frozen):
    """A Qwen3-shaped decoder trained from scratch; the defaults are the sample world's 0.64 M one."""

    hidden_size: int = Field(128, ge=16)
    num_layers: int = Field(3, ge=1)
    num_heads: int = Field(4, ge=1)
    num_kv_heads: int = Field(2, ge=1)
    head_dim: int = Field(32, ge=8)
    intermediate_size: int = Field(384, ge=16)
    vocab_size: int = Field(512, ge=264)
    """Asked for; the byte-level BPE may run out of merges earlier, and the model then has fewer rows."""
    context_tokens: int = Field(512, ge=32)
    rope_theta: float = 10_000.0
    tie_embeddings: bool = True
    prediction_marks: bool = later(False)
    """Whether the tokenizer gets tokens of their own for the marks of next-segment reasoning (RLPT)."""


class Optimiser(Frozen):
    """One update rule with its schedule."""

    name: Literal["adamw", "muon"] = "adamw"
    """``muon``: Muon on 2-D hidden weights, AdamW on embeddings and norms, one rate."""
    learning_rate: float = Field(1e-6, gt=0)
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = Field(0.01, ge=0)
    warmup_steps: int = Field(0, ge=0)
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    final_share: float = Field(0.0, ge=0, le=1)
    """Rate at the last step as a share of ``learning_rate`` (linear and cosine)."""
    muon_momentum: float = later(0.9, ge=0, lt=1)
    """Share of the old momentum that Muon keeps."""
    muon_weight_decay: float = later(0.05, ge=0)
    """Of the matrices Muon updates; ``weight_decay`` is AdamW's alone."""
    grad_clip: float = Field(1.0, gt=0)
    """Largest norm of the whole gradient."""


class BaseRecipe(Recipe):
    """A tokenizer and next-token training from scratch, or any Hugging Face model taken as it is."""

    kind: ClassVar[str] = "base"

    stage: Literal["train-base"] = "train-base"
    corpus: PrepareRecipe | Ref | Artifact
    model: ModelShape | GivenModel = ModelShape()
    steps: int = Field(50, ge=1)
    documents_per_step: int = Field(8, ge=1)
    optimiser: Optimiser = Optimiser()
    seed: int = 0


class ColdStartRecipe(Recipe):
    """Supervised traces on top of a base model, so that it can answer in the asked form at all."""

    kind: ClassVar[str] = "cold-start"

    stage: Literal["cold-start"] = "cold-start"
    corpus: PrepareRecipe | Ref | Artifact
    base: "BaseRecipe | ColdStartRecipe | Ref | Artifact"
    """A cold start here goes on with the same lessons: the control of equal tokens."""
    form: Literal["next-token", "segments"] = later("next-token")
    """What answers predict: the next tokens in a box (RPT), or a segment between RLPT's markers, half of the
    places with the text before alone and half with the segment after the gap too."""
    reword: Literal["", "sample-world", "second-world"] = later("")
    """Let segments be predicted in other words of the same meaning, where a world knows them: the sample
    world's first edition, or its second."""
    steps: int = Field(560, ge=1)
    max_gflops: float = later(0.0, ge=0)
    """Training ends after the step that reaches this many operations (1e9), or after ``steps``; 0 for no such
    end."""
    documents_per_step: int = Field(6, ge=1)
    think_share: float = Field(0.3, ge=0, le=1)
    """Share of answers the trained model is meant to begin with a thought; the rest guess directly."""
    direct_answers: bool = later(True)
    """Whether one answer a document guesses directly, with the truth; else only thoughts are shown."""
    problems_per_step: int = Field(4, ge=0)
    """Problems with a solution, beside the documents of every step; 0 leaves them to reinforcement."""
    plain_per_step: int = later(0, ge=0)
    """Windows of plain text, without instruction or answer, beside the lessons of every step; their
    next-token loss is part of the documents' (``ntp_weight``). With as many as ``documents_per_step``, or
    three times as many, it is Mixed SFT at 1:1 and 3:1 (arXiv 2608.23256); 0 for none."""
    trace_kinds: tuple[str, ...] = ()
    """Patterns such as ``clock-*``: only traces of these kinds are shown; empty for all."""
    whole_answers: bool = later(False)
    """Box what a thought concludes and no token more, where otherwise one or two true tokens are boxed: for
    objectives under which a whole number alone is right (``asked=results``)."""
    thought_tokens_max: int = Field(256, ge=1)
    """Longer thoughts are left out (counted)."""
    long_share: float = later(0.0, ge=0, le=1)
    """Share of the documents' thoughts that go over their steps again and again: a model that thinks longer
    than it must, so that a token budget (RMT) has something to cut."""
    long_passes: tuple[int, int] = later((2, 6))
    """How often a long thought goes over its steps, at least and at most; drawn anew at every visit."""
    context_tokens: int = Field(512, ge=16)
    """Longest trunk; longer documents are shown in windows, longer problems left out (counted)."""
    prompt: PromptName = "auto"
    """Words around documents; the same as the objective that follows."""
    budget_words: tuple[int, int] | None = later(None)
    """Every second document is shown with a token budget (RMT) drawn from this range after each cut, whatever
    the thought's length: the words become known, and to obey them is left to reinforcement. None for none."""
    optimiser: Optimiser = Optimiser()
    ntp_weight: float = Field(1.0, ge=0)
    """Weight of the next-token loss on the documents themselves."""
    seed: int = 0

    @model_validator(mode="after")
    def _ranges_in_order(self) -> "ColdStartRecipe":
        least, most = self.long_passes
        if not 1 <= least <= most:
            raise ValueError(f"long_passes {least} to {most}: give at least 1, and the smaller number first")
        if not self.direct_answers and self.think_share < 1:
            raise ValueError(
                f"think_share {self.think_share:g} without direct_answers: no answer would guess directly. "
                "Give think_share 1, or direct_answers"
            )
        lowest, highest = self.budget_words or (1, 1)
        if not 1 <= lowest <= highest:
            raise ValueError(
                f"budget_words {lowest} to {highest}: give at least 1, and the smaller number first"
            )
        return self


class SftRecipe(Recipe):
    """Supervised fine-tuning on conversations, so that a base model can follow a task's prompt at all.

    The defaults are the cold start of RLPT (section 3.4); the data set is not published.
    """

    kind: ClassVar[str] = "sft"
    location_fields: ClassVar[frozenset[str]] = frozenset({"data"})

    stage: Literal["sft"] = "sft"
    base: BaseRecipe | Ref | Artifact
    data: str = Field(min_length=1)
    """File or folder of JSON lines, each ``{"messages": [{"role": ..., "content": ...}, ...]}``."""
    files: tuple[InputFile, ...] = ()
    """Content of ``data``, filled in by ``resolve``."""
    conversations_per_step: int = Field(1024, ge=1)
    epochs: int = Field(3, ge=1)
    max_tokens: int = Field(8192, ge=16)
    """Longer conversations are left out (counted)."""
    optimiser: Optimiser = Optimiser(learning_rate=2e-5, schedule="cosine")
    seed: int = 0
