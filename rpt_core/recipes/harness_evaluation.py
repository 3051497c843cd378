"""Recipe of one model's evaluation on one task of lm-evaluation-harness."""

from typing import ClassVar, Literal

from pydantic import Field

from rpt_core.artifacts.recipe import Frozen
from rpt_core.recipes.corpus import InputFile
from rpt_core.recipes.given import AsksModel


class HarnessOptions(Frozen):
    """How tasks of the harness are asked; what is left out is each task's own."""

    shots: int | None = Field(None, ge=0)
    """Solved examples before a question; empty for the task's own number."""
    max_new_tokens: int = Field(0, ge=0)
    """Longest answer; 0 for the task's own."""
    limit: int = Field(0, ge=0)
    """Items of each task, the first of its data; 0 for all."""
    chat: bool = False
    """Whether prompts are put into the model's chat form."""
    seed: int = 0
    """Of what is sampled; the harness's choice of examples is the task's own."""


class HarnessTask(Frozen):
    """A task of the harness, as far as its data are concerned."""

    name: str
    definition: str
    """File that defines it, within the harness's package."""
    dataset: str
    """Its data set on the Hugging Face hub, ``openai/gsm8k``."""
    config: str = ""
    """Configuration of the data set; empty for its only one."""
    asked: str
    """Split whose rows are asked."""
    examples: str = ""
    """Split that gives solved examples; empty where the task brings its own."""
    splits: tuple[str, ...] = ()
    """All that it names."""


class HarnessRecipe(AsksModel):
    """Answers of one model to one task, or group of tasks, of lm-evaluation-harness.

    The definition of the task is that of the harness's version; the rows are those of ``files``.
    """

    kind: ClassVar[str] = "harness-evaluation"
    location_fields: ClassVar[frozenset[str]] = frozenset({"data"})

    stage: Literal["evaluate-harness"] = "evaluate-harness"
    benchmark: str
    """A task or group, as the harness calls it."""
    tasks: tuple[HarnessTask, ...] = Field(min_length=1)
    """What it consists of; itself where it is no group."""
    harness: str
    """Version of lm-evaluation-harness."""
    options: HarnessOptions = HarnessOptions()
    engine: str = "torch"
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the engine's products: both change what is drawn."""
    data: str
    """Folder with one folder for each data set."""
    files: tuple[InputFile, ...]
    """Of the data sets' folders."""
