"""What is decided on readings alone, before anything is computed."""

import pytest

from rpt_core.objectives.problems.answers.compare import ITEMS_MAX, AnswerComparison
from rpt_core.objectives.problems.answers.reading import read_answer

NUMBERS = [str(number) for number in range(ITEMS_MAX + 6)]
IN_ORDER, REVERSED = ", ".join(NUMBERS), ", ".join(reversed(NUMBERS))


@pytest.mark.parametrize(
    ("given", "known", "verdict"),
    [
        ("ABC", "A, B, C", "correct"), ("A, C, B", "ABX", "wrong"), ("5", "5, 6", "wrong"),
        ("12_3", "12_4", "wrong"), ("101_2", "101_3", "wrong"),
        ("101_2", "5", "unparsed"), ("5", "101_2", "unparsed"),
        ("101_2", "6", "unparsed"), ("6", "101_2", "unparsed"),
        ("5_8", "5_9", "unparsed"), ("10_8", "13_5", "unparsed"),
        (rf"\{{{IN_ORDER}\}}", IN_ORDER, "correct"), (rf"\{{{IN_ORDER}\}}", REVERSED, "unparsed"),
        (r"\{fall, rise\}", r"\{rise, fall\}", "unparsed"),
        (r"\{rise, fall\}", r"\{fall, rise\}", "unparsed"),
        (r"\{rise, fall\}", r"\{rise, fall\}", "correct"),
    ],
)  # fmt: skip
def test_a_pair_of_readings(given, known, verdict):
    assert AnswerComparison({}).compare(read_answer(given), read_answer(known)) == verdict


@pytest.mark.parametrize(("number", "verdict"), [("7/2", "wrong"), ("5", "unparsed")])
def test_equal_numbers_of_other_units_are_wrong_and_others_may_be_converted(number, verdict):
    given, known = read_answer(f"{number} cm"), read_answer("3.5 kg")
    asked = AnswerComparison({})
    asked.compare(given, known)
    decided = dict.fromkeys(asked.wanted, "wrong")
    assert AnswerComparison(decided).compare(given, known) == verdict
