"""What an answer's reward may need beside the answer, as data: the objective asks, the trainer measures.

Four kinds: the policy's *plain* prediction at a cut; log-probabilities of given tokens *forced* after an
answer, and after an empty thought in the same pass; the same under a *reference* model; and what a *judge*
says of a pair of texts. An objective declares its kinds (:class:`Needs`), asks for a batch of them
(:class:`Wanted`) and gets them back in the same shape (:class:`Evidence`). It never sees a model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar, get_args, runtime_checkable

from rpt_core.policy.tails import Tail

T = TypeVar("T")
Placed = Sequence[Sequence[Sequence[T]]]
"""By document, by cut, by answer (or by whatever was asked for there)."""


JudgeVerdict = Literal["yes", "no", "unparsed", "timed out", "unreachable"]
JUDGE_VERDICTS: tuple[JudgeVerdict, ...] = get_args(JudgeVerdict)


@dataclass(frozen=True, slots=True)
class Pair:
    """What a judge compares."""

    reference: str
    """For the prefix rule several true segments, for the strict one (and always for MSR) one."""
    predicted: str
    rule: Literal["prefix", "strict"] = "prefix"


class AsksPairs(Protocol):
    """A judge as the trainer asks it: everything at once, in order."""

    def ask(self, pairs: Sequence[Pair]) -> list[JudgeVerdict]:
        """A verdict for every pair."""


@runtime_checkable
class HasJudge(Protocol):
    """An objective whose rewards stand on a judge: it opens the judge that its recipe names."""

    @property
    def judge(self) -> AsksPairs:
        """Asked by the trainer for what :attr:`Wanted.pairs` holds."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Kinds of evidence an objective's rewards stand on."""

    plain: bool = False
    forced: bool = False
    judge: bool = False
    reference_decay: float | None = None
    """None: no reference. 1: the start model, frozen. Below: its moving average,
    ``phi <- decay * phi + (1 - decay) * theta`` after every step, kept in checkpoints."""
    reference_every: int = 1
    """Steps between two moves of that average."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be measured for a batch of answers; None where nothing of a kind is."""

    plain: Placed[int] | None = None
    """Next tokens whose probability is asked for on the document alone; a negative one has probability 0."""
    tails: Placed[Tail] | None = None
    """Scored under the policy."""
    empty_tails: Placed[Tail] | None = None
    """By document, cut and tail, scored under the policy as well: what all answers of a cut are compared
    with. They hang below the same trunk as ``tails``, in one pass."""
    reference_tails: Placed[Tail] | None = None
    """Scored under the reference."""
    pairs: Placed[Pair | None] | None = None
    """By document, cut and answer, what the judge is to compare; None for an answer that needs no judge."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured, in the shapes of :class:`Wanted`."""

    plain: Placed[float] = ()
    """Probabilities in [0, 1]: the document alone, no instruction, no thought, temperature 1."""
    tails: Placed[tuple[float, ...]] = ()
    """Log-probabilities, nats, of each tail's scored tokens at temperature 1 (and of its closing)."""
    empty_tails: Placed[tuple[float, ...]] = ()
    reference_tails: Placed[tuple[float, ...]] = ()
    judged: Placed[JudgeVerdict | None] = ()
