"""What is read from an answer, spelled out; ``readings.json`` holds input and reading, each read by eye.

A reading is written as the tree of every value: ``mul(2, x)``, ``fn(sin, x)``, ``list[1 ; 2]``, ``x := 3``,
``5 unit=cm``, ``words`` with and without their case, ``opaque`` with the key and what Math-Verify would get.
To change one on purpose, change it in the file.
"""

import json
from pathlib import Path

import pytest

from rpt_core.objectives.problems.answers import reading as r
from rpt_core.objectives.problems.answers.tokens import UnreadableError
from rpt_core.objectives.problems.answers.tree import Tree

READINGS: list[tuple[str, str]] = json.loads(Path(__file__).with_name("readings.json").read_text())
AT_ONCE = 40
LONG_BITS = 130


def of_tree(tree: Tree) -> str:
    name, *parts = tree
    if name == "num":
        bits = [part.bit_length() for part in (parts[0].numerator, parts[0].denominator)]
        return str(parts[0]) if max(bits) < LONG_BITS else f"number of {bits[0]}/{bits[1]} bits"
    if name in ("sym", "const"):
        return parts[0] if name == "sym" else f"<{parts[0]}>"
    return f"{name}({', '.join(of_tree(part) if isinstance(part, tuple) else part for part in parts)})"


def of_value(value: r.Value) -> str:
    if isinstance(value, r.Quantity):
        marks = [f"unit={value.unit}"] if value.unit else []
        marks += ["PERCENT"] if value.percent else []
        marks += ["decimal"] if value.decimal else []
        marks += [f"base {value.base}"] if value.base else []
        marks += [f"or {of_tree(value.italic[0])} in {value.italic[1]}"] if value.italic else []
        return " ".join([of_tree(value.tree), *marks])
    if isinstance(value, r.ValueGroup):
        return f"{value.kind}[{' ; '.join(map(of_value, value.items))}]"
    if isinstance(value, r.Assignment):
        return f"{value.name} := {of_value(value.value)}"
    if isinstance(value, r.WordAnswer):
        return f"words {value.text!r} {value.folded!r}"
    return f"opaque {value.key!r} latex {value.latex!r}"


def read(answer: str) -> str:
    try:
        return of_value(r.read_answer(answer))
    except UnreadableError as error:
        return f"unreadable: {error}"


@pytest.mark.parametrize("begin", range(0, len(READINGS), AT_ONCE))
def test_answers_are_read_as_they_were(begin):
    some = READINGS[begin : begin + AT_ONCE]
    assert [(answer, read(answer)) for answer, _ in some] == [(answer, reading) for answer, reading in some]


def test_no_answer_stands_twice():
    assert len({answer for answer, _ in READINGS}) == len(READINGS) > 600
