"""Recipes of a study's outcomes: gathered from what was trained and evaluated here, or taken from a file."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from rpt_core.artifacts.recipe import Artifact, Recipe, Ref, later
from rpt_core.recipes.corpus import PrepareRecipe
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe
from rpt_core.recipes.reinforce import RlvrRecipe, Trained
from rpt_core.recipes.supervised import BaseRecipe, ColdStartRecipe

KIND = "outcomes"
MeasureName = Literal[
    "first-world", "second-world", "second-world-segments", "second-world-problems", "calculator"
]
"""What judges thoughts: a name of :data:`rpt_core.evaluation.kept.measures.MEASURES`."""


class OutcomesRecipe(Recipe):
    """Every answer of one arm under one seed, and what it cost, in one small file without weights."""

    kind: ClassVar[str] = KIND
    reads_lineage: ClassVar[bool] = True

    stage: Literal["gather-outcomes"] = "gather-outcomes"
    study: str = Field(min_length=1)
    arm: str = Field(min_length=1)
    seed: int = 0
    evaluation: EvaluationRecipe | JudgedEvaluationRecipe | Ref | Artifact
    corpus: PrepareRecipe | Ref | Artifact
    """What was asked about, for what its world knows of the questions."""
    start: BaseRecipe | ColdStartRecipe | Ref | Artifact
    """The model that the arms of this seed go on from: it and what it stands on are nobody's charge."""
    training: Trained | RlvrRecipe | None = None
    """What made the arm's model; None for the start model itself."""
    measure: MeasureName = "second-world"
    at_updates: int = Field(0, ge=0)
    """Step whose checkpoint is compared at equal updates; 0 for none."""
    course: bool = later(False)
    """Whether what published checkpoints of the training were asked is kept as well; of a model that was not
    trained here, its own answers as the course's only point."""
    checkpoints: bool = later(False)
    """Also keep what every checkpoint that the evaluation asked had right, and the tokens it had taken; of
    measures that know the truth."""
    setting: dict[str, Any] = {}
    """Of a tuning run, the fields it tries; of a study over worlds, the world's; and their values."""
    shown: int = later(0, ge=0)
    """Answers kept as texts: the first one to each of so many questions. These are chosen by a hash of their
    ids, so that every arm shows the same. 0 for none."""
    design: str = ""
    """Of the training and the evaluation, before anything of them is made; filled in where the study is laid
    out, and written into the file."""


class KeptOutcomesRecipe(Recipe):
    """The same from a file that another machine, or an earlier store, has left."""

    kind: ClassVar[str] = KIND
    location_fields: ClassVar[frozenset[str]] = frozenset({"file"})

    stage: Literal["take-outcomes"] = "take-outcomes"
    file: str = Field(min_length=1)
    """Where it lies."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Of its bytes."""
    study: str = Field(min_length=1)
    arm: str = Field(min_length=1)
    seed: int = 0
    design: str = Field(min_length=1)
    """That the file must have."""


def setting_words(setting: Mapping[str, Any]) -> str:
    """A setting by dotted names in one line.

    Example:
        >>> setting_words({"optimiser.learning_rate": 0.0004, "ntp_weight": 0.1})
        'optimiser.learning_rate=0.0004, ntp_weight=0.1'
    """
    return ", ".join(f"{name}={value}" for name, value in setting.items())
