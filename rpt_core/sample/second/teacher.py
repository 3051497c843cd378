"""The teacher: thoughts that are right in some cases, and else wrong by a named fault.

What a thought concludes is what is boxed, right or not. A trace's random state is that of the world's seed,
its document's title and its claim's number, so another quality is another outcome of the same draws.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rpt_core.sample.second.holdout import is_reserved
from rpt_core.sample.second.kinds import KINDS, Kind
from rpt_core.sample.second.questions import Question, Sentence, Step, concluded, spoken, walk

TeacherFault = Literal["right", "sloppy", "forgetful", "hasty"]
FAULT_WEIGHTS: dict[TeacherFault, float] = {"sloppy": 0.357, "forgetful": 0.357, "hasty": 0.286}
"""How often each fault among the thoughts that are wrong by intent."""
LONG_STEPS = 4
LONG_SHARE_OF_CLAIMS = 1 / 6
"""Of the claims of training documents, those with four steps."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A thought as the teacher shows it."""

    thought: str
    boxed: str
    """What the thought comes to, in the text's words."""
    fault: TeacherFault


def lesson(question: Question, rng: random.Random, right_share: float, salt: str) -> Lesson:
    """Think about a question, right with a given chance.

    Args:
        question: What is asked.
        rng: The trace's random state.
        right_share: Chance of a right thought.
        salt: Of the hold-out: a step is left out only where what remains may be shown.

    Example:
        >>> asked = Question("clock", "11", ("2 on", "3 back"))
        >>> lesson(asked, random.Random(0), 1.0, "study-1").thought
        '11 2 on 1 3 back 10'
        >>> lesson(asked, random.Random(0), 0.0, "study-1")
        Lesson(thought='11 3 back 8', boxed='8', fault='hasty')
    """
    kind = KINDS[question.kind]
    fault: TeacherFault = "right"
    if rng.random() >= right_share:
        [fault] = rng.choices(list(FAULT_WEIGHTS), list(FAULT_WEIGHTS.values()))
        fault = fault if question.num_steps > 1 else "sloppy"
    steps = _WAYS[fault](question, kind, rng, salt)
    if steps is None:
        fault, steps = "sloppy", _sloppy(question, kind, rng, salt)
    assert steps is not None
    thought = spoken(kind, question.start, steps)
    return Lesson(thought, concluded(kind, question.start, steps), fault)


def trace_rng(seed: int, title: str, claim: int) -> random.Random:
    """The random state of a trace."""
    return random.Random(f"trace {seed} {title} {claim}")


def is_shown(num_steps: int, rng: random.Random, long_share: float) -> bool:
    """Whether a claim gets a trace at all, so that ``long_share`` of all traces have four steps."""
    long, short = LONG_SHARE_OF_CLAIMS, 1 - LONG_SHARE_OF_CLAIMS
    wanted = long_share / (1 - long_share) * short / long  # long ones kept for one short one kept, by chance
    chance = min(1.0, wanted) if num_steps == LONG_STEPS else min(1.0, 1 / wanted if wanted else 1.0)
    return rng.random() < chance


Steps = tuple[Step, ...]


def _right(question: Question, kind: Kind, rng: random.Random, salt: str) -> Steps:
    return question.steps


def _sloppy(question: Question, kind: Kind, rng: random.Random, salt: str) -> Steps:
    """One step lands one place off; the others go on from there."""
    at = rng.randrange(question.num_steps)
    before, true = question.steps[:at], question.steps[at]
    position = kind.values.index(true.value)
    landed = [end for end in (kind.moved(position, 1), kind.moved(position, -1)) if end != position]
    end = rng.choice(landed)
    slip = Step(true.phrase, kind.values[end])
    return (*before, slip, *walk(kind, kind.state(end), question.phrases[at + 1 :]))


def _forgetful(question: Question, kind: Kind, rng: random.Random, salt: str) -> Steps | None:
    """One step is left out; None where all that could remain is held out."""
    phrases = question.phrases
    remaining = [phrases[:at] + phrases[at + 1 :] for at in range(len(phrases))]
    shown = [left for left in remaining if not is_reserved(Sentence(question.kind, left), salt)]
    return walk(kind, question.start, rng.choice(shown)) if shown else None


def _hasty(question: Question, kind: Kind, rng: random.Random, salt: str) -> Steps:
    return walk(kind, question.start, question.phrases[-1:])


_WAYS: dict[TeacherFault, Callable[[Question, Kind, random.Random, str], Steps | None]] = {
    "right": _right,
    "sloppy": _sloppy,
    "forgetful": _forgetful,
    "hasty": _hasty,
}
