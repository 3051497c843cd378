r"""The answer reward: the one door through which every answer is graded.

Reading comes first and decides most: numbers as exact fractions, lists, sets, intervals, units, percent,
words (:mod:`rpt_core.objectives.problems.answers.compare` has the rules). What needs computing, such as
``2\sqrt{3}`` beside ``\sqrt{12}``, is computed in bounded child processes, with Math-Verify for what our
parser does not know. What neither can read is *unparsed*, never *wrong*; an empty answer is *wrong*.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rpt_core.objectives.problems.answers.compare import AnswerComparison, Leaf, Match
from rpt_core.objectives.problems.answers.pool import POOL
from rpt_core.objectives.problems.answers.reading import Quantity, Value, read_answer
from rpt_core.objectives.problems.answers.tokens import UnreadableError
from rpt_core.objectives.problems.boxes import boxed_answer

LONGEST = 2000
"""Characters; longer answers are not read, given or known. More would only cost time."""
LEAVES_MAX = 64
"""Pairs of expressions that one comparison may ask to be computed."""
REMEMBERED = 100_000

_CHOICE = re.compile(
    r"\(?(?P<letter>[A-J])(?:\)|[.:])\s*(?P<rest>.*)|(?:[Oo]ption|[Cc]hoice|[Aa]nswer)\s*:?\s*\(?(?P<named>[A-J])\)?\.?",
    re.DOTALL,
)
_SECOND_CHOICE = re.compile(r"\b(?:or|and)\b\W{0,8}[A-J]\b(?!\w)|(?<!\w)\(?[A-J]\)")

_computed: dict[Leaf, Match] = {}
"""What the children decided. Time that ran out decides nothing, so it is not in here."""


@dataclass(frozen=True, slots=True)
class Grade:
    """One answer graded, and what decided it."""

    match: Match
    percent: bool = False
    """A percent sign was read as a factor of 100."""
    computed: bool = False
    """Reading alone did not decide: a child computed."""
    timed_out: bool = False
    """Unparsed because the time to compute ran out; graded again, it may come out."""


def grade_answer(given: str, known: str) -> Match:
    r"""Grade a model's answer against the known one.

    Args:
        given: What the model put into its box.
        known: The answer of the problem set, with or without LaTeX.

    Example:
        >>> grade_answer("\\dfrac{1}{2}", "0.5"), grade_answer(" 10", "$10$"), grade_answer("3 4", "34")
        ('correct', 'correct', 'wrong')
    """
    return grade_answers([(given, known)])[0].match


def grade_answers(pairs: Sequence[tuple[str, str]]) -> list[Grade]:
    """Grade many answers, each given with the known one.

    What has to be computed is computed for all of them together; the same pair is graded once.
    """
    if len(_computed) > REMEMBERED:
        _computed.clear()
    grades: dict[tuple[str, str], Grade] = {}
    wanted: dict[tuple[str, str], list[Leaf]] = {}
    for pair in dict.fromkeys(pairs):
        grades[pair], leaves = _read_and_compare(pair)
        if leaves:
            wanted[pair] = leaves
    if wanted:
        late = _compute(wanted)
        for pair in wanted:
            grade, _ = _read_and_compare(pair)
            grades[pair] = replace(grade, timed_out=pair in late)
    return [grades[pair] for pair in pairs]


def grading_counts(grades: Sequence[Grade]) -> Counter[str]:
    """How many answers were graded, and of how many a rule, a child or a lack of time decided.

    Example:
        >>> counts = grading_counts(grade_answers([("50%", "0.5"), ("1", "2")]))
        >>> counts["grading/answers"], counts["grading/percent_rule"], counts["grading/computed"]
        (2, 1, 0)
    """
    return Counter({
        "grading/answers": len(grades),
        "grading/computed": sum(grade.computed for grade in grades),
        "grading/percent_rule": sum(grade.percent for grade in grades),
        "grading/timed_out": sum(grade.timed_out for grade in grades),
    })  # fmt: skip


def grade_completion(text: str, known: str) -> Match:
    r"""Grade a whole completion: the last closed box after the end of the thought.

    Example:
        >>> grade_completion(" so</think>It is \\boxed{12}.", "12"), grade_completion("</think>12", "12")
        ('correct', 'unparsed')
    """
    answer = boxed_answer(text)
    return "unparsed" if answer is None else grade_answer(answer, known)


def _read_and_compare(pair: tuple[str, str]) -> tuple[Grade, list[Leaf]]:
    """The grade as far as it is known, and the leaves that have to be computed first."""
    if not pair[1].strip() or any(len(text) > LONGEST for text in pair):
        return Grade("unparsed"), []
    if not pair[0].strip():
        return Grade("wrong"), []
    try:
        given, known = (read_answer(text) for text in pair)
    except UnreadableError:
        return Grade("correct" if pair[0].strip() == pair[1].strip() else "unparsed"), []
    comparison = AnswerComparison(_computed)
    verdict = comparison.compare(given, known)
    if verdict != "correct" and (letter := _named_choice(pair[0])) and _is_letter(known):
        verdict = comparison.compare(read_answer(letter), known)
    leaves = list(dict.fromkeys(comparison.wanted))[:LEAVES_MAX] if verdict == "unparsed" else []
    rules = comparison.rules
    return Grade(verdict, percent=rules["percent"] > 0, computed=rules["computed"] > 0), leaves


def _compute(wanted: Mapping[tuple[str, str], list[Leaf]]) -> set[tuple[str, str]]:
    """Have the leaves computed and remember the verdicts; returns the pairs for which time ran out."""
    late = set()
    for (pair, leaves), found in zip(wanted.items(), POOL.compute(list(wanted.values())), strict=True):
        for leaf, verdict in zip(leaves, found, strict=True):
            if verdict == "timed-out":
                late.add(pair)
            else:
                _computed[leaf] = verdict
    return late


def _named_choice(text: str) -> str:
    """The letter of ``C) its text``, ``C: its text`` or ``Option C``; empty where a second one is named."""
    match = _CHOICE.fullmatch(text.strip())
    if not match or _SECOND_CHOICE.search(match["rest"] or ""):
        return ""
    return match["letter"] or match["named"]


def _is_letter(known: Value) -> bool:
    return isinstance(known, Quantity) and known.tree[0] == "sym" and known.tree[1] in tuple("ABCDEFGHIJ")
