"""What the training loop and the evaluation may ask of an objective.

An objective decides three things: which positions of which documents are asked, which words stand
around them, and what an answer earns. It knows no optimiser; the loop knows no objective by name.

Each module of this package that holds an objective offers one function

    open_objective(recipe, inputs, codec) -> Objective

with the stage's recipe, the folders of its inputs by name (``build.inputs``) and the policy's codec.
It raises :class:`~rpt_core.errors.StarvedError` when no position is eligible, saying how many were
looked at and which rule refused them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rpt_core.policy.trunk import Sample, Trunk

VerdictName = Literal["correct", "wrong", "unparsed", "truncated", "timed out"]
VERDICTS: tuple[VerdictName, ...] = get_args(VerdictName)
"""Unread is not wrong: each is counted apart."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked at one cut of a trunk, in forms for the judge and for people."""

    document: str
    """Id of the document or problem the question comes from."""
    position: int
    """Document tokens before the cut."""
    truth: str
    """The true continuation or answer, as a person reads it."""
    truth_ids: tuple[int, ...] = ()
    """The true tokens from the cut on, where the objective compares tokens or bytes."""
    tail: str = ""
    """The last words before the cut, for the table of rollouts."""
    budget: int | None = None
    """Thought tokens asked for, where the objective has a budget (RMT)."""
    tier: int | None = None
    """Tier of difficulty it was drawn from, 0 the easiest, where the objective has a curriculum (RMT)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One document with its questions: ``questions[i]`` is asked at ``trunk.cuts[i]``."""

    trunk: Trunk
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one answer earned, and why."""

    score: float
    """The reward, before any comparison with the rest of its group."""
    verdict: VerdictName
    thought_tokens: int
    """Tokens before the end of the thought; 0 for a direct answer."""
    answer_tokens: int
    """All tokens of the answer, thought included."""
    thought: str = ""
    prediction: str = ""
    """What was read as the prediction; empty when nothing could be read."""
    prediction_tokens: int = 0
    """Its tokens; 0 when nothing could be read."""


class Objective(Protocol):
    """Where questions come from and what answers earn.

    ``draw`` is a pure function of its arguments, so a training's whole place in its data is the one
    integer ``cursor``. The loop stores it in checkpoints. An objective that also follows how the policy
    fares is :class:`Observing`, and says what else a draw depends on.
    """

    name: str
    stop_ids: frozenset[int]
    """Tokens that end an answer."""

    def draw(self, step: int, cursor: int, num_prompts: int) -> tuple[list[Asked], int]:
        """About ``num_prompts`` training questions, gathered by document, and the cursor after them.

        Args:
            step: 1-based step of the training, for objectives with a curriculum.
            cursor: Where it is in its data, refills included; 0 at the start.
            num_prompts: Questions wanted; the last document may bring fewer or be cut short to fit.
        """

    def held_out(self, num_prompts: int) -> list[Asked]:
        """A fixed set of held-out questions, the same at every call, for quick looks during training."""

    def judge(self, asked: Asked, cut: int, samples: Sequence[Sample]) -> list[Verdict]:
        """Verdicts of one whole group: all answers to ``asked.questions[cut]``, in order."""


@runtime_checkable
class BoundsAnswers(Protocol):
    """An objective that limits answers more tightly than the recipe, by step."""

    def longest_answer(self, step: int) -> int:
        """Most tokens an answer of this 1-based step may have."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a step showed of the policy."""

    verdicts: Sequence[Sequence[Verdict]]
    """By question asked."""
    entropies_nats: Mapping[str, NDArray[np.float32]]
    """By trunk key: the policy's entropy where it predicts each document token, NaN where it does not. From
    the update's own pass, for the documents it passed over."""


@runtime_checkable
class Observing(Protocol):
    """An objective whose questions follow how the policy fares; its state is part of every checkpoint."""

    wants_entropies: bool
    """Whether updates must score the documents' own tokens for it."""

    def observe(self, seen: Seen) -> None:
        """Take in a step, after its update and before the next draw."""

    def state(self) -> dict[str, NDArray[np.generic]]:
        """What a draw depends on beside step and cursor."""

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from :meth:`state`."""


@runtime_checkable
class JudgesTogether(Protocol):
    """An objective whose verdicts come cheaper many at a time: one call of a judge for a whole step."""

    def judge_all(
        self, asked: Sequence[Asked], drawn: Sequence[Sequence[Sequence[Sample]]]
    ) -> list[list[list[Verdict]]]:
        """Verdicts by document, question and answer."""


@runtime_checkable
class Reporting(Protocol):
    """An objective with something of its own to say about how answers were judged."""

    def report(self) -> tuple[dict[str, float], dict[str, float]]:
        """Metrics and timings since the last call."""


def in_one_row(
    asked: Sequence[Asked], drawn: Sequence[Sequence[Sequence[Sample]]]
) -> Iterator[tuple[Question, Sample]]:
    """Every answer with its question, by document, question and answer."""
    for one, of_trunk in zip(asked, drawn, strict=True):
        for question, of_cut in zip(one.questions, of_trunk, strict=True):
            for sample in of_cut:
                yield question, sample


def by_place(
    verdicts: Iterable[Verdict], drawn: Sequence[Sequence[Sequence[Sample]]]
) -> list[list[list[Verdict]]]:
    """The other way round: verdicts in that order, by document, question and answer."""
    left = iter(verdicts)
    return [[[next(left) for _ in of_cut] for of_cut in of_trunk] for of_trunk in drawn]
