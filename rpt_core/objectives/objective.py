"""What the training loop and the evaluation may ask of an objective.

An objective decides three things: which positions of which documents are asked, which words stand
around them, and what an answer earns. It knows no optimiser; the loop knows no objective by name.

:mod:`rpt_core.objectives.registry` opens them by the name of the recipe.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rpt_core.objectives.evidence import Evidence, Needs, Placed, T, Wanted
from rpt_core.objectives.outcomes import VerdictName
from rpt_core.policy.tails import Tail
from rpt_core.policy.trunk import Sample, Trunk


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
class ForcedTarget:
    """True tokens forced after a thought, which the update learns beside it: ``weight * log p(tail)``."""

    tail: Tail
    """Below the question's cut."""
    logprobs: tuple[float, ...] = ()
    """Of the scored tokens, nats, as they were measured at temperature 1."""
    weight: float = 0.0
    """Without gradient; 0 where nothing is learnt."""
    emphasis: tuple[float, ...] = ()
    """By scored token, a factor of the weight; none of them: 1 for all."""


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
    forced: tuple[ForcedTarget, ...] = ()
    """What the update learns beside the answer, where the objective says so."""
    advantage: float | None = None
    """What the answer's log-probability is multiplied with, where the objective says so itself; None leaves
    the comparison within the group to the loss."""


Drawn = Placed[Sample]
"""Answers by document, question and answer."""
Verdicts = list[list[list[Verdict]]]


class Objective(Protocol):
    """Where questions come from and what answers earn.

    ``draw`` is a pure function of its arguments, so a training's whole place in its data is the one
    integer ``cursor``. The loop stores it in checkpoints. An objective that also follows how the policy
    fares is :class:`StatefulObjective`, and says what else a draw depends on.
    """

    name: str

    @property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end an answer."""

    @property
    def needs(self) -> Needs:
        """Kinds of evidence the rewards stand on; the trainer opens what they take."""

    def draw(self, step: int, cursor: int, num_prompts: int) -> tuple[list[Asked], int]:
        """About ``num_prompts`` training questions, gathered by document, and the cursor after them.

        Args:
            step: 1-based step of the training, for objectives with a curriculum.
            cursor: Where it is in its data, refills included; 0 at the start.
            num_prompts: Questions wanted; the last document may bring fewer or be cut short to fit.
        """

    def held_out(self, num_prompts: int) -> list[Asked]:
        """A fixed set of held-out questions, the same at every call, for online evaluation."""

    def wanted(self, asked: Sequence[Asked], drawn: Drawn) -> Wanted:
        """What must be measured before these answers can be rewarded."""

    def verdicts(self, asked: Sequence[Asked], drawn: Drawn, evidence: Evidence | None = None) -> Verdicts:
        """Verdicts of whole groups: all answers to each of the questions.

        Args:
            asked: Documents with their questions.
            drawn: Their answers by document, question and answer.
            evidence: What :meth:`wanted` asked for; None where only right and wrong are of interest, not
                what they earn.
        """


@runtime_checkable
class LimitsLength(Protocol):
    """An objective that limits answers more tightly than the recipe, by step."""

    def longest_answer(self, step: int) -> int:
        """Most tokens an answer of this 1-based step may have."""


@runtime_checkable
class AsksFurther(Protocol):
    """An objective that asks again in the same step, about what the answers to its first questions name.

    Both are drawn by the same policy and learnt in the same update, on one trunk a document.
    """

    def further(self, step: int, asked: Sequence[Asked], drawn: Drawn) -> list[Asked]:
        """By document of ``asked``, the same trunk with the cuts that its answers lead to, perhaps none.

        Args:
            step: 1-based step of the training.
            asked: The first questions.
            drawn: Their answers.
        """

    def concluded(
        self, asked: Sequence[Asked], drawn: Drawn, further: Sequence[Asked], found: Verdicts
    ) -> Verdicts:
        """Verdicts of the first answers, now that those of ``further`` are ``found``."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a step showed of the policy."""

    verdicts: Sequence[Sequence[Verdict]]
    """By question asked."""
    entropies_nats: Mapping[str, NDArray[np.float32]]
    """By trunk key: the policy's entropy where it predicts each document token, NaN where it does not. From
    the update's own pass, for the documents it passed over."""


@runtime_checkable
class StatefulObjective(Protocol):
    """An objective whose questions follow how the policy fares; its state is part of every checkpoint."""

    @property
    def wants_entropies(self) -> bool:
        """Whether updates must score the documents' own tokens for it."""

    def observe(self, seen: Seen) -> None:
        """Take in a step, after its update and before the next draw."""

    def state(self) -> dict[str, NDArray[np.generic]]:
        """What a draw depends on beside step and cursor."""

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from :meth:`state`."""


Gather = Callable[[Any], list[Any]]
"""A value of every process that judges a share of the answers."""


def by_itself(value: Any) -> list[Any]:
    """The gathering of a process that judges alone."""
    return [value]


@runtime_checkable
class Reporting(Protocol):
    """An objective with something of its own to say about how answers were judged."""

    def report(self, gather: Gather = by_itself) -> tuple[dict[str, float], dict[str, float]]:
        """Metrics and timings since the last call, of all that ``gather`` brings together."""


def in_one_row(asked: Sequence[Asked], drawn: Drawn) -> Iterator[tuple[Question, Sample]]:
    """Every answer with its question, by document, question and answer."""
    for one, of_trunk in zip(asked, drawn, strict=True):
        for question, of_cut in zip(one.questions, of_trunk, strict=True):
            for sample in of_cut:
                yield question, sample


def by_place(values: Iterable[T], drawn: Drawn) -> list[list[list[T]]]:
    """The other way round: one value an answer in that order, by document, question and answer."""
    left = iter(values)
    return [[[next(left) for _ in of_cut] for of_cut in of_trunk] for of_trunk in drawn]
