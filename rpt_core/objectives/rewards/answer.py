r"""The answer reward: the one door through which every answer is graded.

Reading comes first and decides most: numbers as exact fractions, lists, sets, intervals, units, percent,
words (:mod:`rpt_core.objectives.answers.compare` has the rules). What needs computing, such as
``2\sqrt{3}`` beside ``\sqrt{12}``, is computed in bounded child processes, with Math-Verify for what our
parser does not know. What neither can read is *unparsed*, never *wrong*.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from rpt_core.objectives.answers.compare import Comparison, Leaf, Match
from rpt_core.objectives.answers.pool import POOL
from rpt_core.objectives.answers.reading import Quantity, Value, read_answer
from rpt_core.objectives.answers.tokens import UnreadableError
from rpt_core.objectives.rewards.boxes import boxed_answer

LONGEST = 2000
"""Characters; longer answers are not read, given or known. More would only cost time."""
LEAVES_MAX = 64
"""Pairs of expressions that one comparison may ask to be computed."""
REMEMBERED = 100_000

tally: Counter[str] = Counter()
"""How often a rule or a child decided since the process started: ``computed``, ``timed-out``,
``percent``."""

_CHOICE = re.compile(
    r"\(?(?P<letter>[A-J])(?:\)|[.:])\s*(?P<rest>\S.*)|(?:[Oo]ption|[Cc]hoice|[Aa]nswer)\s*:?\s*\(?(?P<named>[A-J])\)?\.?",
    re.DOTALL,
)
_SECOND_CHOICE = re.compile(r"\b(?:or|and)\b\W{0,8}[A-J]\b(?!\w)|(?<!\w)\(?[A-J]\)")

_computed: dict[Leaf, Match] = {}


def grade_answer(given: str, known: str) -> Match:
    r"""Grade a model's answer against the known one.

    Args:
        given: What the model put into its box.
        known: The answer of the problem set, with or without LaTeX.

    Example:
        >>> grade_answer("\\dfrac{1}{2}", "0.5"), grade_answer(" 10", "$10$"), grade_answer("3 4", "34")
        ('correct', 'correct', 'wrong')
    """
    return grade_answers([(given, known)])[0]


def grade_answers(pairs: Sequence[tuple[str, str]]) -> list[Match]:
    """Grade many answers; what has to be computed is computed for all of them together."""
    verdicts: dict[tuple[str, str], Match] = {}
    wanted: dict[tuple[str, str], list[Leaf]] = {}
    for pair in dict.fromkeys(pairs):
        verdicts[pair], leaves = _read_and_compare(pair)
        if leaves:
            wanted[pair] = leaves
    if wanted:
        _compute(wanted)
        for pair in wanted:
            verdicts[pair], _ = _read_and_compare(pair)
    return [verdicts[pair] for pair in pairs]


def grade_completion(text: str, known: str) -> Match:
    r"""Grade a whole completion: the last closed box after the end of the thought.

    Example:
        >>> grade_completion(" so</think>It is \\boxed{12}.", "12"), grade_completion("</think>12", "12")
        ('correct', 'unparsed')
    """
    answer = boxed_answer(text)
    return "unparsed" if answer is None else grade_answer(answer, known)


def _read_and_compare(pair: tuple[str, str]) -> tuple[Match, list[Leaf]]:
    """The verdict as far as it is known, and the leaves that have to be computed first."""
    if any(not text.strip() or len(text) > LONGEST for text in pair):
        return "unparsed", []
    try:
        given, known = (read_answer(text) for text in pair)
    except UnreadableError:
        return ("correct" if pair[0].strip() == pair[1].strip() else "unparsed"), []
    comparison = Comparison(_computed)
    verdict = comparison.compare(given, known)
    if verdict != "correct" and (letter := _named_choice(pair[0])) and _is_letter(known):
        verdict = comparison.compare(read_answer(letter), known)
    leaves = list(dict.fromkeys(comparison.wanted))[:LEAVES_MAX] if verdict == "unparsed" else []
    if not leaves:
        tally.update(comparison.rules)
    return verdict, leaves


def _compute(wanted: Mapping[tuple[str, str], list[Leaf]]) -> None:
    """Have the leaves computed, and remember the verdicts; time that ran out is unparsed, and counted."""
    if len(_computed) > REMEMBERED:
        _computed.clear()
    for leaves, found in zip(wanted.values(), POOL.compute(list(wanted.values())), strict=True):
        tally["computed"] += len(leaves)
        tally["timed-out"] += found.count("timed-out")
        for leaf, verdict in zip(leaves, found, strict=True):
            _computed[leaf] = "unparsed" if verdict == "timed-out" else verdict


def _named_choice(text: str) -> str:
    """The letter of ``C) its text``, ``C: its text`` or ``Option C``; empty where a second one is named."""
    match = _CHOICE.fullmatch(text.strip())
    if not match or _SECOND_CHOICE.search(match["rest"] or ""):
        return ""
    return match["letter"] or match["named"]


def _is_letter(known: Value) -> bool:
    return isinstance(known, Quantity) and known.tree[0] == "sym" and known.tree[1] in tuple("ABCDEFGHIJ")
