# ruff: noqa: E501  (tables of pairs)
"""Answers of real problem sets, rewritten by rule: equal ones are paid, near misses never."""

import json
import time
from pathlib import Path

import pytest

from rpt_core.objectives.problems.answer import grade_answer, grade_answers, grade_completion, grading_counts

CASES = json.loads(Path(__file__).with_name("cases.json").read_text())


def test_equivalents_are_accepted_and_near_misses_never():
    pairs = CASES["pairs"]
    grades = grade_answers([(pair["given"], pair["known"]) for pair in pairs])
    accepted = [pair for pair, grade in zip(pairs, grades, strict=True) if grade.match == "correct"]
    assert [pair for pair in accepted if pair["expected"] == "wrong"] == []
    due = [pair for pair in pairs if pair["expected"] == "correct" and pair["must"]]
    missed = [pair for pair in due if pair not in accepted]
    assert len(due) > 150
    assert len(missed) <= 0.03 * len(due), missed


@pytest.mark.parametrize("case", CASES["completions"], ids=lambda case: case["kind"])
def test_completions(case):
    grade = grade_completion(case["completion"], case["known"])
    assert grade == case["expected"]


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("f'(x)", "f(x)"), ("x'", "x"), (r"\gcd(a,b)", "1"), ("x>5", "x<5"), ("x>5", "x>6"), ("x>5", "y>5"),
        ("12 million", "12"), ("1 000", "1000"), ("12 squared", "12"), ("half of 12", "12"), ("101_2", "101_3"),
        ("101_2", "101"), ("10 m", "10 cm"), ("2^{1000}+1", "2^{1000}"), ("x=2, y=5", "5, 2"), ("12 or 13", "12"),
        ("(5,2)", "2,5"), (r"\sqrt{x^2}", "x"), ("x^2", "x^3"), ("0.33333333333333333", r"\frac13"), ("1/2x", "x/2"),
        (r"2^{1000}+\sqrt{2}", "2^{1000}"), ("A) or B)", "A"), ("not 12", "12"), ("5 dozen", "5"), ("XY", "xy"),
        ("1/2 1/3", "3/7"), ("2^3!", "64"), ("1F_{16}", "F_{16}"), ("A)", "B"), ("5 m/s", "5"), ("5 m", "5"), ("5 not", "5"),
        ("20 °C", "20 °F"), ("5 m/s", "5 km/h"), ("5 m/s^2", r"5\text{ m/s}"), ("5 square", "5"), ("6 m/s", r"5\text{ m/s}"),
        ("twenty-one", "20"), ("a^2b^2", "ab^2+0"), ("(ab)^2", "ab^2"), ("3,4;5,6", "3,5;4,6"), ("5 kg", "5 lb"), ("5 m/s", r"5 \text{ cm/s}"),
    ],
)  # fmt: skip
def test_near_misses_of_our_own(given, known):
    assert grade_answer(given, known) != "correct"
    assert grade_answer(known, given) != "correct"


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("x>5", "5<x"), ("x+y=3", "y+x=3"), (r"\{3, 1, 1\}", "1, 3"), (r"a \pm b", "a-b, a+b"), ("101_{10}", "101"),
        ("2 1/2 hours", "5/2"), (r"\sin^2 x + \cos^2 x", "1"), ("5 cm^2", r"5\text{ square centimeters}"),
        (r"(1, \frac{2}{4})", "(1,0.5)"), ("$1,250", "1250"), ("x \\in [0, 1)", "[0,1)"), ("2^3 = 8", "8"),
        ("5 m/s", r"5\text{ m/s}"), (r"5\,\mathrm{m/s^2}", "5 m/s^2"), ("5 hrs", "5 hours"), ("5 sq. ft.", r"5\text{ ft}^2"),
        ("20 °C", r"20^\circ\text{C}"), (r"20^{\circ}\mathrm{C}", "20 degrees Celsius"), ("A)", "A"), ('"5"', "5"), ("*12*", "12"),
        ("5 mph", "5 miles per hour"), (r"5 N \cdot m", r"5\text{ N m}"), ("twenty-one", "21"), ("5 dollars a day", "5 dollars per day"),
        ("5 kg", "5"), ("5", r"5\text{ kg}"), ("3,4;5,6", "5,6;3,4"), ("1F_{16}", "1F_16"), ("90^\\circ", "90 degrees"),
    ],
)  # fmt: skip
def test_equal_answers_of_our_own(given, known):
    assert grade_answer(given, known) == "correct"


HOSTILE = [
    "9^{9^{9^{9}}}", "10^{10^{10}}", "2^{2^{2^{2^{2^{2}}}}}", "9**9**9**9", "(" * 1900, "{" * 1999, r"\frac" * 390,
    "1," * 900, r"\text{" * 300, "-" * 1999, "1e999999999", "x" * 1_000_000, "1" * 1_000_000, "word " * 200_000,
    "(10^9)!", "1000000!", "5!" * 400, r"\sum_{k=1}^{10^{12}} k^{k}", r"\sum_{k=1}^{10^{12}} \frac{1}{k}",
    r"\prod_{k=1}^{10^{9}} k", r"\int_{0}^{1} x^{x^{x^{x}}} dx", "\ud800", "5\ud800", "__import__('os').system('x')",
    "import os; os._exit(1)", r"\sqrt" * 390, "^" * 1000, "2^" * 900 + "2", "|" * 1500, "|x" * 700,
    r"\binom{10^{9}}{10^{8}}", r"\binom{3000}{1500}^{3000}", r"\left(" * 300, "1/" * 900 + "1",
    r"\begin{pmatrix}" * 50, r"\lim_{x \rightarrow 0} \sin(x)/x", "\x00" * 100, "a_{" * 500, "0." + "3" * 1900,
    "e^{e^{e^{e^{e^{e}}}}}", "(1+x)^{100000}", "(x+y+z)^{500}", r"\cos(" * 100 + "1" + ")" * 100, "\n" * 1000,
    "²" * 900, "½" * 900, r"\pm" * 500, "=".join("x" * 900), r"\cup".join(["(1,2)"] * 200), "9" * 400 + "!",
    "{" + "},{".join(["1"] * 500) + "}", "1 or " * 300,
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_answers_end_in_time(text):
    grade_answer("x^2-1", "(x-1)(x+1)")  # the children are up
    for given, known in ((text, "10"), ("10", text), (text, r"\sqrt{2}+x"), (r"\sqrt{2}+x", text)):
        begun = time.perf_counter()
        assert grade_answer(given, known) in ("wrong", "unparsed")
        assert time.perf_counter() - begun < 5


def test_ordinary_grades_a_second():
    pairs = [(str(n), str(n + n % 2)) for n in range(1000)]
    pairs += [(f"\\frac{{{n}}}{{{n + 1}}}", f"{2 * n}/{2 * n + 2}") for n in range(1, 500)]
    grade_answers([(r"\sqrt{8}", r"2\sqrt{2}")])
    begun = time.perf_counter()
    grades = grade_answers(pairs)
    assert len(pairs) / (time.perf_counter() - begun) > 200
    assert sum(grade.match == "correct" for grade in grades) == 999


def test_the_percent_rule_is_counted():
    pairs = [("12.5%", "0.125"), ("12.5%", "12.5"), ("50%", "50"), ("12", "12")]
    grades = grade_answers(pairs)
    assert [grade.match for grade in grades] == ["correct", "wrong", "correct", "correct"]
    assert [grade.percent for grade in grades] == [True, True, False, False]
    counts = grading_counts(grades)
    assert (counts["grading/percent_rule"], counts["grading/answers"]) == (2, 4)
