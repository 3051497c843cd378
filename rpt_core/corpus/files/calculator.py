"""Calculator notes of solutions, such as GSM8K's ``<<48/2=24>>``: out of the text, and into traces.

In "Half of 48 is 48/2 = <<48/2=24>>24 clips" the note says how the number after it is found. As text it would
tell the answer before it is asked for; as a trace its expression is the thought that leads to the number.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction

from rpt_core.corpus.files.parts import How
from rpt_core.corpus.rows import Dropped, Row, SourceProblem, Trace, preview
from rpt_core.corpus.text.arithmetic import NOTE, NUMBER, claim_of, value_of, without_notes
from rpt_core.recipes.corpus import CalculatorTeacher

RIGHT, SLIP = "calculator", "calculator-slip"
"""Kinds of traces: the result as it is, or another digit in it."""
_AFTER_EQUALS = re.compile(r"=\s*(?:\\?\$|\u20ac|\u00a3)?\s*$")
_NUMBER = re.compile(NUMBER, re.ASCII)
_WHOLE = 2**64


def with_traces(rows: Iterable[Row], how: How) -> Iterator[Row]:
    """The rows, of the problems among them those that are drawn alone, each followed by its traces."""
    for row in rows:
        if not isinstance(row, SourceProblem) or row.benchmark:
            yield row
        elif _chance("drawn", row.problem, row.answer) >= how.problem_share:
            yield Dropped(row.source, row.origin, "not-drawn", row.problem_id, preview=preview(row.problem))
        else:
            yield row
            if how.calculator:
                yield from traces_of(row, how.calculator)


def traces_of(problem: SourceProblem, teacher: CalculatorTeacher) -> Iterator[Trace]:
    """A trace for every note after an equals sign whose expression comes to the number behind it.

    Args:
        problem: With its solution as it was noted.
        teacher: Whether the problem is a lesson, and which thoughts slip.
    """
    if _chance(teacher.salt, "lesson", problem.problem_id) >= teacher.lesson_share:
        return
    for number, (before, expression, result) in enumerate(results(problem.noted)):
        place = (teacher.salt, problem.problem_id, str(number))
        slips = _chance(*place, "slips") < teacher.slip_share
        said = slipped(result, *place) if slips else result
        yield Trace(
            problem.problem_id, f"\n\n{before}", f"{expression}={said}", result, SLIP if slips else RIGHT,
            problem.origin, said,
        )  # fmt: skip


def results(noted: str) -> Iterator[tuple[str, str, str]]:
    """Text before a number, the expression of its note, and the number, for every note that holds.

    Args:
        noted: A solution with its notes, without blanks at its ends.

    Example:
        >>> list(results("It is 48/2 = <<48/2=24>>24, so 2 * 24 = $<<2*24=48>>48."))
        [('It is 48/2 = ', '48/2', '24'), ('It is 48/2 = 24, so 2 * 24 = $', '2*24', '48')]
    """
    for note in NOTE.finditer(noted):
        claim = claim_of(note[1])
        before, behind = without_notes(noted[: note.start()]), without_notes(noted[note.end() :])
        number = _NUMBER.match(behind)
        if claim is None or number is None or not _AFTER_EQUALS.search(before):
            continue
        if value_of(claim[0]) == Fraction(number[0].replace(",", "")):
            yield before, "".join(claim[0].split()), number[0]


def slipped(number: str, *place: str) -> str:
    """The number with another digit at one of its places; its first digit never becomes a 0 before others.

    Args:
        number: Digits, with or without commas, a sign and a fraction.
        place: Names the trace; which digit it is, and what it becomes, is a hash of it.

    Example:
        >>> said = slipped("1,200", "salt", "problem", "0")
        >>> len(said), sum(one != other for one, other in zip(said, "1,200")), said[0] != "0"
        (5, 1, True)
    """
    digits = [at for at, letter in enumerate(number) if letter.isdigit()]
    at = digits[int(_chance(*place, "digit") * len(digits))]
    leads = at == digits[0] and number[at + 1 : at + 2].isdigit()
    others = [digit for digit in "0123456789"[leads:] if digit != number[at]]
    return number[:at] + others[int(_chance(*place, "value") * len(others))] + number[at + 1 :]


def _chance(*parts: str) -> float:
    """A number from 0 up to 1 that follows from texts alone."""
    digest = hashlib.sha256("|".join(parts).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / _WHOLE
