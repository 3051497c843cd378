"""What answers to the world's questions are worth: right, verified, step by step right, and else wrong how.

All measures are functions of a question, the thought and the verdict. A2 *verified*: the thought is the true
chain word for word, and the answer is right. A3 *process accuracy*: the share of the true steps that the
thought takes in order with the right value. A6 *faults*: right, one of the teacher's three, other or unread;
:func:`form_of` says in words what an *other* thought did, for a list of the commonest.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from rpt_core.recipes.world import SALT
from rpt_core.sample.second.holdout import Row, row_of
from rpt_core.sample.second.kinds import KINDS, Kind
from rpt_core.sample.second.questions import Phrases, Question, Step, walk
from rpt_core.sample.second.reading import Thought, claims, read_thought, thought_words

Fault = Literal["right", "sloppy", "forgetful", "hasty", "other", "unread"]
FAULTS: tuple[Fault, ...] = ("right", "sloppy", "forgetful", "hasty", "other", "unread")
READ = ("correct", "wrong")
"""Verdicts of answers that could be read."""
Place = tuple[str, int]
"""Document id, and code points of it before the place."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One answer."""

    is_right: bool
    """A1: by the prefix rule."""
    is_verified: bool
    """A2."""
    process: float
    """A3, 0 to 1."""
    fault: Fault
    """A6."""
    form: str
    """What the thought did, in words."""
    thinks: bool


@dataclass(frozen=True, slots=True)
class Item:
    """One question with all answers to it, in the order they were drawn."""

    item_id: str
    doc_id: str
    question: Question
    row: Row
    answers: tuple[Measured, ...]

    @property
    def num_steps(self) -> int:
        """A1 is about 2 to 4 of them, A5 about 5 and 6."""
        return self.question.num_steps


def questions_of(documents: Iterable[Mapping[str, Any]]) -> dict[Place, Question]:
    """The questions of some documents, by the place of their values.

    Args:
        documents: Rows with ``doc_id`` and ``text``, such as those of a corpus.
    """
    return {
        (row["doc_id"], claim.char_offset): claim.question
        for row in documents
        for claim in claims(row["text"])
        if claim.question is not None and claim.char_offset is not None
    }


def items_of(
    rows: Iterable[Mapping[str, Any]], questions: Mapping[Place, Question], salt: str = SALT
) -> list[Item]:
    """An evaluation's answers, measured, by question; places that ask none of the world's are left out.

    Args:
        rows: Of one mode and checkpoint of an evaluation's table: ``item_id``, ``doc_id``, ``char_offset``,
            ``sample``, ``verdict``, ``thought``.
        questions: Of :func:`questions_of`.
        salt: Of the hold-out.
    """
    known = [row for row in rows if (row["doc_id"], row["char_offset"]) in questions]
    known.sort(key=lambda row: (row["item_id"], row["sample"]))
    found = []
    for item_id, group in groupby(known, key=lambda row: str(row["item_id"])):
        answers = list(group)
        place = (answers[0]["doc_id"], answers[0]["char_offset"])
        asked = questions[place]
        measured = tuple(measure(asked, row["thought"] or "", row["verdict"]) for row in answers)
        found.append(Item(item_id, place[0], asked, row_of(asked.sentence, salt), measured))
    return found


def measure(question: Question, thought: str, verdict: str) -> Measured:
    """One answer.

    Args:
        question: What was asked.
        thought: What stands before the answer's box.
        verdict: ``correct``, ``wrong``, or why the answer was not read.

    Example:
        >>> asked = Question("clock", "11", ("2 on", "3 back"))
        >>> measure(asked, " 11 2 on 1 3 back 10", "correct").is_verified
        True
        >>> lucky = measure(asked, " 11 2 on 2 3 back 10", "correct")
        >>> lucky.is_right, lucky.is_verified, lucky.process, lucky.fault
        (True, False, 0.5, 'other')
    """
    read = read_thought(question.kind, thought)
    fault = fault_of(question, thought) if verdict in READ else "unread"
    is_right = verdict == "correct"
    return Measured(
        is_right,
        is_right and is_true_chain(question, thought),
        process_accuracy(question, read) if verdict in READ else 0.0,
        fault,
        form_of(question, thought) if verdict in READ else f"unread: {verdict}",
        bool(thought.strip()),
    )


def is_true_chain(question: Question, thought: str) -> bool:
    """Whether a thought is the true chain, word for word."""
    return thought.strip() == question.thought


def process_accuracy(question: Question, thought: Thought | None) -> float:
    """Share of the true steps, phrase and value both, that the thought holds in their order.

    Example:
        >>> asked = Question("clock", "11", ("2 on", "3 back"))
        >>> process_accuracy(asked, read_thought("clock", " 11 3 back 10"))
        0.5
    """
    if thought is None:
        return 0.0
    return _common(question.steps, thought.steps) / question.num_steps


def fault_of(question: Question, thought: str) -> Fault:
    """Which fault of the teacher a thought shows; *other* for everything else it could do.

    Of two steps, a thought without the first is hasty and forgetful at once: it counts as hasty.

    Example:
        >>> asked = Question("clock", "11", ("2 on", "1 on", "3 back"))
        >>> fault_of(asked, " 11 2 on 12 1 on 1 3 back 10"), fault_of(asked, " 11 3 back 8")
        ('sloppy', 'hasty')
        >>> fault_of(asked, " 11 2 on 1 3 back 10"), fault_of(asked, "")
        ('forgetful', 'other')
    """
    if is_true_chain(question, thought):
        return "right"
    read, kind = read_thought(question.kind, thought), KINDS[question.kind]
    if read is None or not _looks_up_right(question, read, kind):
        return "other"
    slips = _slips(read, kind)
    if read.phrases == question.phrases:
        return "sloppy" if len(slips) == 1 and abs(slips[0]) == 1 else "other"
    if slips:
        return "other"
    if read.phrases == question.phrases[-1:]:
        return "hasty"
    return "forgetful" if read.phrases in _one_left_out(question.phrases) else "other"


def form_of(question: Question, thought: str) -> str:
    """What a thought did, in words, alike for all that did the same.

    Example:
        >>> asked = Question("clock", "11", ("2 on", "3 back"))
        >>> form_of(asked, " 11 2 on 1 2 on 3 3 back 12")
        'a step said twice; sums right'
        >>> form_of(asked, " 11 2 on 4 3 back 1")
        'all steps; 1 sum off by 3'
        >>> form_of(asked, " 11 2 on")
        'not by turns'
    """
    if not thought.strip():
        return "no thought"
    read, kind = read_thought(question.kind, thought), KINDS[question.kind]
    if read is None:
        return "other words" if thought_words(question.kind, thought) is None else "not by turns"
    said = [_steps_said(question.phrases, read.phrases), _sums(_slips(read, kind))]
    if read.start != question.start:
        said.insert(0, "other start")
    elif not _looks_up_right(question, read, kind):
        said.append("a name looked up wrong")
    return "; ".join(said)


def commonest(
    items: Sequence[Item], faults: Sequence[Fault] = ("other",), num: int = 10
) -> list[tuple[str, int]]:
    """The commonest forms of the thoughts with these faults, with how many there were."""
    forms = Counter(one.form for item in items for one in item.answers if one.fault in faults)
    return forms.most_common(num)


def mean(items: Sequence[Item], of: Callable[[Measured], float]) -> float:
    """A measure's mean over items of its mean over answers; NaN for no item."""
    means = [sum(of(one) for one in item.answers) / len(item.answers) for item in items]
    return sum(means) / len(means) if means else float("nan")


def fault_shares(items: Sequence[Item]) -> dict[Fault, float]:
    """Share of each fault, by items; they add up to 1."""
    return {fault: mean(items, lambda one, fault=fault: one.fault == fault) for fault in FAULTS}  # type: ignore[misc]


def of_rows(items: Sequence[Item], rows: Sequence[Row], num_steps: Sequence[int]) -> list[Item]:
    """The items of some rows with some numbers of steps."""
    return [item for item in items if item.row in rows and item.num_steps in num_steps]


def _looks_up_right(question: Question, read: Thought, kind: Kind) -> bool:
    """Whether a thought starts where the question does, and names what it looks up as the kind does."""
    last = read.steps[-1].value if read.steps else read.entered
    return (
        read.start == question.start
        and kind.values.index(read.entered) == kind.states.index(read.start)
        and kind.values.index(last) == kind.states.index(read.left)
    )


def _slips(read: Thought, kind: Kind) -> list[int]:
    """By how many places each wrong step misses, from the value before it: on a circle the shorter way."""
    slips, before = [], read.entered
    for step in read.steps:
        [true] = walk(kind, kind.states[kind.values.index(before)], (step.phrase,))
        size = len(kind.values)
        miss = kind.values.index(step.value) - kind.values.index(true.value)
        if kind.wraps:
            miss = (miss + size // 2) % size - size // 2
        if miss:
            slips.append(miss)
        before = step.value
    return slips


def _one_left_out(phrases: Phrases) -> set[Phrases]:
    return {phrases[:at] + phrases[at + 1 :] for at in range(len(phrases))} if len(phrases) > 1 else set()


def _steps_said(true: Phrases, said: Phrases) -> str:
    missing = len(true) - _common(true, said)
    added = len(said) - _common(true, said)
    if said == true:
        return "all steps"
    if not said:
        return "no step"
    if not missing:
        twice = added == 1 and any(said[at] == said[at - 1] for at in range(1, len(said)))
        return (
            "a step said twice" if twice else f"{added} more steps than told" if added > 1 else "1 step more"
        )
    if not added:
        return "the last step alone" if said == true[-1:] else f"{missing} step{'s' * (missing > 1)} left out"
    if sorted(true) == sorted(said):
        return "steps in another order"
    return f"{missing} step{'s' * (missing > 1)} left out, {added} other in their place"


def _sums(slips: Sequence[int]) -> str:
    if not slips:
        return "sums right"
    if len(slips) > 1:
        return f"{len(slips)} sums wrong"
    return f"1 sum off by {abs(slips[0])}"


def _common(first: Sequence[Step | str], second: Sequence[Step | str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(second) + 1)
    for left in first:
        above = 0
        for at, right in enumerate(second, 1):
            above, row[at] = row[at], above + 1 if left == right else max(row[at], row[at - 1])
    return row[-1]
