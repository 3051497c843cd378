"""What the training loop and the evaluation may ask of an objective.

An objective decides three things: which positions of which documents are asked, which words stand
around them, and what an answer earns. It knows no optimiser; the loop knows no objective by name.

Each module of this package that holds an objective offers one function

    open_objective(recipe, inputs, codec) -> Objective

with the stage's recipe, the folders of its inputs by name (``build.inputs``) and the policy's codec.
It raises :class:`~rpt_core.errors.StarvedError` when no position is eligible, saying how many were
looked at and which rule refused them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

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


class Objective(Protocol):
    """Where questions come from and what answers earn.

    ``draw`` is a pure function of its arguments, so a training's whole place in its data is the one
    integer ``cursor``: how many questions were drawn before. The loop stores it in checkpoints.
    """

    name: str
    stop_ids: frozenset[int]
    """Tokens that end an answer."""

    def draw(self, step: int, cursor: int, num_prompts: int) -> tuple[list[Asked], int]:
        """About ``num_prompts`` training questions, gathered by document, and the cursor after them.

        Args:
            step: 1-based step of the training, for objectives with a curriculum.
            cursor: Questions drawn so far, refills included; 0 at the start.
            num_prompts: Questions wanted; the last document may bring fewer or be cut short to fit.
        """

    def held_out(self, num_prompts: int) -> list[Asked]:
        """A fixed set of held-out questions, the same at every call, for quick looks during training."""

    def judge(self, asked: Asked, cut: int, samples: Sequence[Sample]) -> list[Verdict]:
        """Verdicts of one whole group: all answers to ``asked.questions[cut]``, in order."""
