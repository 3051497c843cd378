"""The answer reward: equal numbers are equal however written, and what cannot be compared is not wrong."""

import time

import pytest

from rpt_core.objectives.problems.answer import grade_answer
from rpt_core.objectives.problems.boxes import boxed_answer
from tests.least_time import least_seconds


@pytest.mark.parametrize(
    ("given", "known"),
    [
        (" 10", "10"),
        ("10", "$10$"),
        ("10.0", "10"),
        (r"\frac{1}{2}", "0.5"),
        (r"\dfrac12", "1/2"),
        (r"-\frac{3}{4}", "-0.75"),
        (r"3\frac{1}{2}", "7/2"),
        (r"-3\frac{1}{2}", "-3.5"),
        ("1,000", "1000"),
        ("12{,}345", "12345"),
        (r"50\%", "50"),
        ("x = 5", "5"),
        (r"90^\circ", "90"),
        (r"\text{Tuesday}", "tuesday"),
        ("(1, 2)", r"\left(1,2\right)"),
        ("[0, 1)", "[0,1)"),
        (r"\{1, 2\}", "{1,2}"),
        ("(C)", "C"),
        (r"2\sqrt{3}", r"2 \sqrt{3}"),
        ("(1,200)", "(1, 200)"),
        ("−4", "-4"),
        ("7.", "7"),
        (r"\boxed{3}", "3"),
        (r"\sqrt{12}", r"2\sqrt{3}"),
        ("x^2+1", "1+x^2"),
        ("(x+1)^2", "x^2+2x+1"),
    ],
)
def test_equal_answers(given: str, known: str):
    assert grade_answer(given, known) == "correct"


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("9", "10"), ("0.5", r"\frac{1}{3}"), ("(1,2)", "(2,1)"), ("(0,1)", "[0,1]"), ("Monday", "Tuesday"),
        ("1", "Tuesday"), ("1,2", "1,2,3"), ("-4", "4"), ("A", "B"),
    ],
)  # fmt: skip
def test_wrong_answers(given: str, known: str):
    assert grade_answer(given, known) == "wrong"


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("1/0", "1"),
        ("9" * 3000, "1"),
    ],
)
def test_what_cannot_be_compared_is_unparsed(given: str, known: str):
    assert grade_answer(given, known) == "unparsed"


def test_an_empty_answer_is_wrong_and_an_empty_known_one_says_nothing():
    assert [grade_answer(blank, "1") for blank in ("", " ", "\n")] == ["wrong"] * 3
    assert [grade_answer("1", blank) for blank in ("", " ", "\n")] == ["unparsed"] * 3


@pytest.mark.parametrize(
    "given",
    [
        "9**9**9**9",
        "(" * 1500,
        "{" * 1999,
        r"\frac" * 300,
        "1," * 900,
        r"\text{" * 300,
        "-" * 1999,
        "1e999999999",
    ],
)
def test_hostile_answers_cost_no_time(given: str):
    grade_answer(r"\sqrt{12}-2\sqrt{3}", "0")  # the second reader has started
    assert grade_answer(given, "10") in ("wrong", "unparsed")
    assert least_seconds(lambda: grade_answer(given, "10"), 0.5, time.perf_counter) < 0.5


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{\boxed{1}, 2}", r"\boxed{1}, 2"), (r"\fbox{a \boxed{1}} b", r"a \boxed{1}"),
        (r"\boxed{1} and \boxed{2}", "2"), (r"\boxed{1} \boxed{2", "1"),
        (r"\boxed{\text{\boxed{3}}}", r"\text{\boxed{3}}"),
    ],
)  # fmt: skip
def test_a_box_within_a_box_is_told_by_the_outer_one(text, answer):
    assert boxed_answer(f"</think>{text}") == answer


def test_what_has_no_end_is_no_number():
    assert grade_answer(r"\infty", "5") == grade_answer("-\\infty", r"\infty") == "wrong"
    assert grade_answer(r"x + \infty", "5") == "unparsed"
