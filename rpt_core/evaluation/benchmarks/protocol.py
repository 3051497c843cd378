"""What an evaluation may ask of a benchmark: items, prompt, grader and scores.

A benchmark decides which questions stand in it (drawn by seed, the same for every model), which words stand
around them, how answers are graded and which scores follow from the table of outcomes. The stage knows no
benchmark by name: a new one is a module of this package, a row of
:mod:`rpt_core.evaluation.benchmarks.registry`, and the names of its modes in the recipe.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import pyarrow as pa

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.evaluation.answers import GradedAnswer, ModelUnderTest
from rpt_core.evaluation.scores import mode_scores
from rpt_core.objectives.objective import Asked, Verdict
from rpt_core.policy.codec import Codec
from rpt_core.policy.engines.engine import Drawn
from rpt_core.policy.trunk import Sampling
from rpt_core.recipes.evaluation import EvaluationFields

Report = tuple[dict[str, float], dict[str, float]]
"""Metrics and timings of how answers were graded."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What every benchmark is opened with. The model is not among it: a draw never looks at it."""

    recipe: EvaluationFields
    inputs: Mapping[str, Path]
    """Folders of the stage's inputs, by name."""
    codec: Codec

    @property
    def problem_corpus(self) -> Path:
        """The corpus whose held-out problems and benchmark items are asked."""
        return self.inputs.get("problem_corpus", self.inputs["corpus"])

    def sampling(self, *, problems: bool = False) -> Sampling:
        """How answers are drawn, about text or to problems."""
        how = (problems and self.recipe.problem_sampling) or self.recipe
        return Sampling(
            temperature=how.temperature,
            max_new_tokens=how.reasoning_tokens,
            stop_ids=self.codec.end_ids,
            group_size=how.samples,
            seed=self.recipe.seed,
            top_p=how.top_p,
        )


@dataclass(frozen=True, slots=True)
class Key:
    """What the table of outcomes says of a question; see :class:`rpt_core.evaluation.items.Item`."""

    item_id: str
    position: int | None = None
    entropy_nats: float | None = None
    tier: str = ""
    first_token: bool | None = None
    char_offset: int | None = None


class Benchmark(Protocol):
    """Questions with known answers, asked of every model alike.

    A benchmark says how its items are drawn (:meth:`open`) and how answers are graded (:meth:`grade`). What
    else is here fits items that are their own clusters and answers that are sampled; others replace it.
    An answer that cannot be read is ``unparsed``, one that was cut off ``truncated``: neither is ``wrong``.
    """

    name: ClassVar[str]
    """Under which ``scores.json`` counts its items."""
    modes: ClassVar[Mapping[str, tuple[str, ...]]]
    """Mode of the recipe -> modes of the table of outcomes, each asked by one call of :meth:`answers`."""

    asked: Sequence[Asked]
    """The questions, with the prompt around them."""
    balance: RowCounts
    """Items looked at, asked, and left out by reason."""
    sampling: Sampling
    """How answers are drawn, where they are."""

    @classmethod
    @abstractmethod
    def open(cls, setting: Setting) -> Self:
        """Draw the items by seed.

        Raises:
            StarvedError: the corpus can hold none under this recipe.
        """

    @abstractmethod
    def grade(self, asked: Sequence[Asked], drawn: Drawn) -> Sequence[Verdict]:
        """Verdicts of all answers to some documents' questions, by document, question and answer."""

    def num_answers(self, mode: str) -> int:
        """Answers that :meth:`answers` gives."""
        return self.sampling.group_size * sum(len(one.questions) for one in self.asked)

    def answers(self, mode: str, model: ModelUnderTest) -> Iterator[list[GradedAnswer]]:
        """Answers to all questions, graded, some whole documents at a time."""
        return model.sampled(self.asked, self.sampling, self.grade)

    def key(self, answer: GradedAnswer) -> Key:
        """What the table says of the question, and of the answer beside its verdict."""
        return Key(item_id=answer.question.document)

    def scores(self, items: pa.Table, mode: str, checkpoint: str) -> dict[str, Any]:
        """What ``scores.json`` says of one mode of one checkpoint: a function of the table alone."""
        return mode_scores(items, mode, checkpoint)

    def summary(self, items: pa.Table, counted: Mapping[str, float]) -> dict[str, Any]:
        """What it says of the whole benchmark, by top-level key; ``counted`` are :meth:`report`'s metrics."""
        return {}

    def report(self) -> Report:
        """What was counted since the last report."""
        return {}, {}

    def why_none(self) -> str:
        """One clause: what was looked at, where :attr:`asked` is empty."""
        refused = ", ".join(f"{num} {reason}" for reason, num in self.balance.dropped.items())
        because = f" ({refused})" if refused else ""
        return f"{self.balance.rows_in} {self.name} were looked at and none can be asked{because}"
