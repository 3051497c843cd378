"""What one arm of a study did under one seed: every answer to every question, and what it cost.

Legend of shapes: ``I`` questions, ``S`` answers to each, of which one is drawn like any other.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpt_core.evaluation.kept.course import Course
from rpt_core.evaluation.kept.judged import JudgedAnswers
from rpt_core.evaluation.statistics.intervals import Floats
from rpt_core.evaluation.statistics.passk import pass_at_k

FAULTS = ("right", "sloppy", "forgetful", "hasty", "other", "unread")
"""What a thought is taken for; their order is that of the codes in :attr:`Answers.faults_IS`."""
NEW_SENTENCE, NEW_PAIR, TUNING, SEEN = "new sentence", "new pair", "tuning", "seen"
HELD_ROWS = (NEW_SENTENCE, NEW_PAIR, TUNING)
"""How a question of 2 to 4 steps is new: its steps in this order; two of them side by side; or kept apart for
tuning runs, which are asked no others. Any other row stands in training texts."""
SHORT_STEPS, LONG_STEPS = (2, 3, 4), (5, 6)
"""Steps of the questions that are asked as training does, and of those longer than any that was shown."""
ACCURACY_SAMPLES = 8
"""Answers that an accuracy is the mean of, the first of those drawn."""
SHARED = ("base", "cold start")
"""Shares of :attr:`ArmOutcomes.gflops` that every arm of a seed stands on; none is charged with them."""


@dataclass(frozen=True, slots=True)
class Questions:
    """What was asked: the same for every arm of a seed."""

    digest: str
    """Of the questions' ids in their order, hex: two arms are compared where it is equal."""
    rows_I: NDArray[np.str_]
    """How new a question is; empty for a place the world knows nothing of."""
    steps_I: NDArray[np.int64]
    """Steps of the true chain; 0 where it is not known."""
    kinds_I: NDArray[np.str_]
    documents_I: NDArray[np.int64]
    """Documents numbered as they come: the cluster."""

    def __len__(self) -> int:
        return len(self.rows_I)

    @property
    def held_I(self) -> NDArray[np.bool_]:
        """Which stand in no training text and have as many steps as training shows."""
        return np.isin(self.rows_I, HELD_ROWS) & np.isin(self.steps_I, SHORT_STEPS)

    @property
    def long_I(self) -> NDArray[np.bool_]:
        """Which have more steps than any training shows."""
        return np.isin(self.steps_I, LONG_STEPS)


@dataclass(frozen=True, slots=True)
class Answers:
    """What was answered; parts that a world cannot judge are None."""

    right_IS: NDArray[np.bool_]
    thinks_I: NDArray[np.int64]
    """Answers with a thought, of S."""
    thought_tokens_I: NDArray[np.int64]
    """Sum over the answers."""
    verified_IS: NDArray[np.bool_] | None = None
    """Right, and the thought is the true chain token for token."""
    hits_I: NDArray[np.int64] | None = None
    """True steps that stand in the thought in order with their values, summed over the answers."""
    faults_IS: NDArray[np.uint8] | None = None
    """Codes of :data:`FAULTS`."""
    thought_nats_I: NDArray[np.float64] | None = None
    """Entropy of the S thoughts as they came, each text one outcome (:func:`plug_in_entropy`)."""
    checks_IS: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    """What else was verified of an answer and its thought, by name, where a text allows it."""

    @property
    def num_samples(self) -> int:
        """S."""
        return int(self.right_IS.shape[1])


@dataclass(frozen=True, slots=True)
class Shown:
    """One answer as text, for people to read."""

    question: int
    """Of the questions, from 0."""
    tail: str
    """Words before the place."""
    truth: str
    thought: str
    prediction: str
    verdict: str


@dataclass(frozen=True, slots=True)
class ArmOutcomes:
    """One arm under one seed."""

    study: str
    arm: str
    seed: int
    design: str
    """Of the arm's training and evaluation, hex (:func:`rpt_core.artifacts.design.design_of`)."""
    questions: Questions
    answers: Answers
    gflops: Mapping[str, float]
    """1e9 operations by what they were spent on; :data:`SHARED`, then the arm's own."""
    steps: int = 0
    """Optimiser steps of the arm's own training; 0 for a model that is no arm."""
    tokens: int = 0
    """Forwarded by it."""
    plain_I: NDArray[np.bool_] | None = None
    """Whether the likeliest next token of the plain text is the true one."""
    text_nats: float | None = None
    """Mean negative log-likelihood of held-out text, nats a token."""
    at_updates: int = 0
    """The step at which the arms are compared at equal updates; 0 where there is none."""
    updated_IS: NDArray[np.bool_] | None = None
    """Right answers of the checkpoint of that step."""
    setting: Mapping[str, Any] = field(default_factory=dict)
    """Of a tuning run, the fields it tried; of a study over worlds, the world's."""
    shown: tuple[Shown, ...] = ()
    """Some answers as texts, where the study keeps any."""
    course: Course | None = None
    """What its checkpoints answered, where a study keeps that."""
    judged: JudgedAnswers | None = None
    """Of answers that a judge reads beside the truth; None elsewhere."""

    @property
    def own_gflops(self) -> float:
        """What the arm is charged with."""
        return sum(value for name, value in self.gflops.items() if name not in SHARED)

    @property
    def shared_gflops(self) -> float:
        """What its start model took, charged to no arm; 0 for a model that was given."""
        return sum(value for name, value in self.gflops.items() if name in SHARED)

    def named(self, design: str, setting: Mapping[str, Any] | None = None) -> "ArmOutcomes":
        """The same under another design, as a tuning run with a setting."""
        return replace(self, design=design, setting=setting or {})


def accuracy(right_IS: NDArray[np.bool_], keep_I: NDArray[np.bool_], most: int = ACCURACY_SAMPLES) -> float:
    """Mean of the first answers to some questions; NaN where there are none.

    Example:
        >>> accuracy(np.array([[True, False], [True, True]]), np.array([True, False]))
        0.5
    """
    part = right_IS[keep_I, :most]
    return float(part.mean()) if part.size else float("nan")


def pass_rates(right_IS: NDArray[np.bool_], k: int) -> Floats:
    """Chance that one of k answers is right, by question, without bias: shape ``(I,)``."""
    return pass_at_k(right_IS.shape[1], right_IS.sum(axis=1), k)


def process_accuracy(outcomes: ArmOutcomes, keep_I: NDArray[np.bool_]) -> float:
    """Share of the true steps that stand in the thoughts, mean over questions; NaN where nobody looked."""
    hits_I, steps_I = outcomes.answers.hits_I, outcomes.questions.steps_I
    keep_I = keep_I & (steps_I > 0)
    if hits_I is None or not keep_I.any():
        return float("nan")
    return float(np.mean(hits_I[keep_I] / (steps_I[keep_I] * outcomes.answers.num_samples)))


def fault_shares(outcomes: ArmOutcomes, keep_I: NDArray[np.bool_]) -> dict[str, float]:
    """How often a thought is each of :data:`FAULTS`; empty where nobody looked."""
    faults_IS = outcomes.answers.faults_IS
    if faults_IS is None or not keep_I.any():
        return {}
    counts = np.bincount(faults_IS[keep_I].ravel(), minlength=len(FAULTS))
    return dict(zip(FAULTS, (counts / counts.sum()).tolist(), strict=True))


def think_share(outcomes: ArmOutcomes, keep_I: NDArray[np.bool_]) -> float:
    """How often an answer has a thought."""
    if not keep_I.any():
        return float("nan")
    return float(outcomes.answers.thinks_I[keep_I].mean() / outcomes.answers.num_samples)


def plug_in_entropy(texts: Sequence[str]) -> float:
    """Entropy in nats of the shares in which texts came.

    At most the log of their number, and too small by what so few draws do not show.

    Example:
        >>> plug_in_entropy(["a", "a"]), round(plug_in_entropy(["a", "b"]), 4)
        (0.0, 0.6931)
    """
    shares = np.array(list(Counter(texts).values())) / len(texts)
    return float(max(0.0, -(shares * np.log(shares)).sum()))


def thought_entropy(outcomes: ArmOutcomes, keep_I: NDArray[np.bool_]) -> float:
    """Mean of :attr:`Answers.thought_nats_I`; NaN where thoughts were not kept."""
    nats_I = outcomes.answers.thought_nats_I
    return float("nan") if nats_I is None or not keep_I.any() else float(nats_I[keep_I].mean())


def thought_tokens(outcomes: ArmOutcomes, keep_I: NDArray[np.bool_]) -> float:
    """Mean length of a thought, 0 for answers without one."""
    if not keep_I.any():
        return float("nan")
    return float(outcomes.answers.thought_tokens_I[keep_I].mean() / outcomes.answers.num_samples)
