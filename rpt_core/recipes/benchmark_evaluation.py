"""Recipe of one model's evaluation on one published benchmark."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from rpt_core.artifacts.number_or_auto import Count, NotNegative, Positive, Share
from rpt_core.artifacts.recipe import Artifact, Frozen, Recipe, Ref
from rpt_core.recipes.corpus import InputFile
from rpt_core.recipes.given import GivenModel
from rpt_core.recipes.objectives import ThoughtName


class BenchmarkOptions(Frozen):
    """How several benchmarks are asked; what is left out is each benchmark's own."""

    mode: Literal["auto", "reasoning", "few-shot", "likelihood", "plain"] = "auto"
    """``auto``: the first that a benchmark has. A benchmark without the mode that is asked for is refused."""
    samples: Positive = "auto"
    """Answers to each item."""
    temperature: NotNegative = "auto"
    """Of what is drawn; 0 takes the likeliest token."""
    top_p: Share = "auto"
    """Share of the likeliest tokens that are drawn."""
    max_new_tokens: Positive = "auto"
    """Longest answer."""
    shots: Count = "auto"
    """Solved examples, where the mode has some."""
    limit: int = Field(0, ge=0)
    """Items of each benchmark; 0 for all."""
    seed: int = 0
    """Of what is drawn."""


class BenchmarkRecipe(Recipe):
    """Answers of one model to one published benchmark, with their verdicts.

    Its identity: the checkpoint, the items and the words around them, how answers are drawn, the engine, and
    the revision of this stage's code. Where files lie and which samples are taken over are none of it.
    """

    kind: ClassVar[str] = "benchmark-evaluation"
    location_fields: ClassVar[frozenset[str]] = frozenset({"data", "files", "earlier"})

    stage: Literal["evaluate-benchmark"] = "evaluate-benchmark"
    model: GivenModel | Ref | Artifact
    """A finished artifact with a model in it, or a Hugging Face folder or hub id, of which only the content
    counts."""
    benchmark: str
    """Name of a pack (:mod:`rpt_core.evaluation.benchmarks.packs`)."""
    mode: Literal["reasoning", "few-shot", "likelihood", "plain"] = "reasoning"
    shots: int = Field(0, ge=0)
    """Solved examples before a question, where the mode has some."""
    thought: ThoughtName = "auto"
    """Whether an answer begins inside a thought. ``open``: the prompt opens one, and the answer counts after
    its end. ``free``: the model does as it likes. ``auto``: open where the tokenizer has a token for it."""
    samples: int = Field(1, ge=1)
    """Answers to each item; sample ``k`` of an item is a function of seed, item and ``k`` alone."""
    temperature: float = Field(0.6, ge=0)
    """0 takes the likeliest token."""
    top_p: float = Field(0.95, gt=0, le=1)
    max_new_tokens: int = Field(32_768, ge=1)
    """Longest answer; shorter where the model has no place for it."""
    limit: int = Field(0, ge=0)
    """Items asked, drawn by seed so that fewer are a part of more; 0 for all."""
    seed: int = 0
    items: str = ""
    """Digest of all items, filled in when they are read."""
    prompt: str = ""
    """Digest of the words all items are put in, filled in with it."""
    engine: str = "torch"
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the engine's products: both change what is drawn."""
    data: str = ""
    """The benchmark's folder."""
    files: tuple[InputFile, ...] = ()
    earlier: tuple[Artifact, ...] = ()
    """Evaluations that differ in the number of samples or items alone, whose samples are taken over."""

    def canonical(self) -> dict[str, Any]:
        """As of any recipe, with a given model by its content alone."""
        plain = super().canonical()
        if isinstance(self.model, GivenModel):
            plain["model"] = self.model.digest
        return plain

    def drawing(self) -> dict[str, Any]:
        """What a sample is a function of, beside item and number: equal where samples can be shared."""
        return {name: one for name, one in self.canonical().items() if name not in ("samples", "limit")}
