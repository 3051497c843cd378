# ruff: noqa: E501  (tables of cases)
"""What the child process decides, in this process: identities hold, near identities do not, bounds end."""

import json
import signal
from fractions import Fraction

import pytest

from rpt_core.objectives.problems.answers import computing
from rpt_core.objectives.problems.answers import tree as t

X, PI, E, I = ("sym", "x"), ("const", "pi"), ("const", "e"), ("const", "i")  # noqa: E741


def num(value: int | str) -> t.Tree:
    return t.number(Fraction(value))


def fn(name: str, *arguments: t.Tree) -> t.Tree:
    return ("fn", name, *arguments)


def raised(base: t.Tree, exponent: t.Tree) -> t.Tree:
    """A power that is not folded while it is built."""
    return ("pow", base, exponent)


def decided(given: t.Tree, known: t.Tree) -> str:
    return computing.decide(*(json.loads(json.dumps(t.as_json(one))) for one in (given, known)))


def over(part: int) -> t.Tree:
    return t.mul(PI, num(f"1/{part}"))


ROOT_2, LN_2, HALF = raised(num(2), num("1/2")), fn("ln", num(2)), num("1/2")

VALUES = [
    (fn("sin", over(6)), HALF), (fn("cos", over(3)), HALF), (fn("tan", over(4)), num(1)),
    (fn("cot", over(4)), num(1)), (fn("sec", over(3)), num(2)), (fn("csc", over(6)), num(2)),
    (fn("arcsin", HALF), over(6)), (fn("arccos", HALF), over(3)), (fn("arctan", num(1)), over(4)),
    (fn("sinh", LN_2), num("3/4")), (fn("cosh", LN_2), num("5/4")), (fn("tanh", LN_2), num("3/5")),
    (fn("ln", E), num(1)), (fn("abs", t.neg(ROOT_2)), ROOT_2), (fn("factorial", num(5)), num(120)),
    (fn("binom", num(5), num(2)), num(10)), (fn("max", ROOT_2, num(1)), ROOT_2), (fn("min", ROOT_2, num(1)), num(1)),
    (fn("floor", ROOT_2), num(1)), (fn("ceil", ROOT_2), num(2)), (fn("floor", PI), num(3)), (fn("ceil", PI), num(4)),
    (fn("floor", raised(ROOT_2, num(2))), num(2)), (fn("ceil", raised(ROOT_2, num(2))), num(2)),
    (t.div(fn("log", num(100)), fn("log", num(10))), num(2)), (raised(E, t.mul(I, PI)), num(-1)),
    (raised(num(-8), num("1/3")), num(-2)), (raised(num(-8), num("2/3")), num(4)), (raised(num(-8), num("-1/3")), num("-1/2")),
    (raised(num(-4), HALF), t.mul(num(2), I)), (raised(num(-2), num(3)), num(-8)), (raised(num(-2), num(-2)), num("1/4")),
    (raised(num(0), num(2)), num(0)), (raised(num("9/4"), HALF), num("3/2")), (raised(num(10), num(-60)), num(Fraction(1, 10**60))),
    (t.add(ROOT_2, PI, num(-1)), t.add(num(-1), PI, ROOT_2)), (fn("binom", num(3_000), num(1)), num(3_000)),
    (fn("sin", num(10**9)), fn("sin", num(10**9))),
]  # fmt: skip


@pytest.mark.parametrize(("given", "known"), VALUES)
def test_values(given, known):
    assert decided(given, known) == "correct"
    assert decided(known, given) == "correct"
    for near in (t.add(known, num(Fraction(1, 10**40))), t.neg(t.add(known, num(3)))):
        assert decided(given, near) == "wrong"


@pytest.mark.parametrize(
    ("given", "known"),
    [
        (raised(num(0), num(0)), num(1)), (raised(num(0), num(-1)), num(0)), (fn("gcd", num(4), num(6)), num(2)),
        (fn("sin", num(10**9 + 1)), fn("sin", num(10**9 + 1))), (fn("binom", num(3_001), num(1)), num(3_001)),
        (fn("floor", I), I), (fn("max", I, num(1)), num(1)), (raised(num(10), num(6_001)), raised(num(10), num(6_001))),
        (fn("tan", fn("unknown", num(1))), num(1)),
    ],
)  # fmt: skip
def test_what_has_no_value_is_unparsed(given, known):
    assert decided(given, known) == "unparsed"


def test_a_small_term_beside_a_large_one_is_seen():
    large = raised(num(2), num(1_000))
    assert decided(t.add(large, ROOT_2), large) == "wrong"
    assert decided(t.add(large, ROOT_2), t.add(ROOT_2, large)) == "correct"


def test_a_logarithm_of_no_base_is_no_natural_one():
    assert decided(fn("log", num(2)), LN_2) == "wrong"
    assert decided(fn("log", num(10)), num(1)) == "wrong"


def squared(one: t.Tree) -> t.Tree:
    return raised(one, num(2))


@pytest.mark.parametrize(
    ("given", "known", "verdict"),
    [
        (t.add(squared(fn("sin", X)), squared(fn("cos", X))), num(1), "correct"),
        (squared(t.add(X, ("sym", "y"))), t.add(squared(X), squared(("sym", "y")), t.mul(num(2), X, ("sym", "y"))), "correct"),
        (X, t.add(X, num(1)), "wrong"), (X, ("sym", "y"), "wrong"),
        (fn("abs", X), X, "unparsed"), (fn("floor", X), X, "unparsed"),  # equal at positive whole numbers alone
        (t.add(fn("abs", X), fn("floor", X)), t.add(X, fn("floor", X)), "correct"),  # where x is a whole number
        (fn("factorial", t.add(X, num(1))), t.mul(t.add(X, num(1)), fn("factorial", X)), "correct"),
        (fn("binom", X, num(2)), t.mul(HALF, X, t.add(X, num(-1))), "correct"),
        (fn("binom", t.mul(num(300), X), num(1)), t.mul(num(300), X), "correct"),
        (fn("binom", t.mul(num(2_900), X), num(1)), t.mul(num(2_900), X), "unparsed"),  # a value at few points
        (fn("gcd", X, num(2)), fn("gcd", num(2), X), "unparsed"),
    ],
)  # fmt: skip
def test_variables_are_compared_at_points(given, known, verdict):
    assert decided(given, known) == verdict
    assert decided(known, given) == verdict


@pytest.mark.parametrize(
    ("given", "known", "verdict"),
    [
        (r"\frac{1}{2}", "0.5", "correct"), ("x<5", "x < 5", "correct"), ("x", "X", "unparsed"), ("x+1", "x+2", "unparsed"),
        ("x=1", "1", "unparsed"), ("x<5", "x", "unparsed"), (r"\frac{1}{3}", "0.333333", "unparsed"),
        ("x", ["sym", "x"], "unparsed"), (["sym", "x"], "x", "unparsed"),
    ],
)  # fmt: skip
def test_latex_goes_to_math_verify(given, known, verdict):
    assert computing.decide(given, known) == verdict


def test_time_that_runs_out_is_said_and_no_timer_is_left(monkeypatch):
    def work(given: int, known: int) -> str:
        while given != known:
            pass
        return "correct"

    monkeypatch.setattr(computing, "decide", work)
    monkeypatch.setattr(computing, "SOFT_S", 0.05)
    before = signal.signal(signal.SIGPROF, computing._time_up)
    try:
        assert computing._job([[1, 1], [2, 2]]) == ["correct", "correct"]
        assert computing._job([[1, 1], [1, 2], [3, 3]]) == ["correct", "timed-out", "timed-out"]
        for timer in (signal.ITIMER_PROF, signal.ITIMER_VIRTUAL, signal.ITIMER_REAL):
            assert signal.getitimer(timer) == (0.0, 0.0)
    finally:
        signal.signal(signal.SIGPROF, before)


def test_lines_are_answered_one_by_one(monkeypatch, capsys):
    jobs = [[t.as_json(num(1)), t.as_json(num(1))]], [[t.as_json(num(1)), t.as_json(num(2))]]
    monkeypatch.setattr(computing.sys, "stdin", [json.dumps(job) + "\n" for job in jobs])
    monkeypatch.setattr(computing.resource, "setrlimit", lambda *_: None)
    monkeypatch.setattr(computing.signal, "signal", lambda *_: None)
    computing.main()
    assert capsys.readouterr().out.splitlines() == ["ready", '["correct"]', '["wrong"]']
