# ruff: noqa: E501  (tables of cases)
"""Trees at their bounds: what is computed while one is built, what stays a node, and how one is spelled."""

import unicodedata
from fractions import Fraction

import pytest

from rpt_core.objectives.problems.answers import tree as t
from rpt_core.objectives.problems.answers.expression import parse_expression
from rpt_core.objectives.problems.answers.tokens import UnreadableError, tokenize

X, N = ("sym", "x"), ("sym", "n")


def num(value: int | str | Fraction) -> t.Tree:
    return t.number(Fraction(value))


@pytest.mark.parametrize(
    ("value", "folded"),
    [(0, 1), (1, 1), (5, 120), (t.FACTORIAL_MAX, None), (t.FACTORIAL_MAX + 1, False), (-1, False), ("5/2", False)],
)  # fmt: skip
def test_factorials_are_computed_up_to_their_bound(value, folded):
    found = t.factorial(num(value))
    assert (t.rational(found) is None) == (folded is False)
    if folded:
        assert found == num(folded)
    if folded is False:
        assert found == ("fn", "factorial", num(value))


@pytest.mark.parametrize(
    ("upper", "lower", "value"),
    [(5, 2, 10), (5, 0, 1), (5, 5, 1), (0, 0, 1), (1_000, 1, 1_000), (1_001, 1, None), (5, 6, None), (5, -1, None),
     ("5/2", "1/2", None), (5, "1/2", None)],
)  # fmt: skip
def test_binomials_are_computed_up_to_their_bound(upper, lower, value):
    found = t.binomial(num(upper), num(lower))
    assert found == (("fn", "binom", num(upper), num(lower)) if value is None else num(value))
    assert t.binomial(X, num(2)) == ("fn", "binom", X, num(2))
    assert t.binomial(num(2), X) == ("fn", "binom", num(2), X)


@pytest.mark.parametrize(
    ("base", "exponent", "value"),
    [
        (2, 3, 8), (2, -1, "1/2"), ("2/3", 2, "4/9"), (4, "1/2", 2), ("4/9", "1/2", "2/3"), (0, "1/2", 0), (0, 3, 0),
        (-2, 3, -8), (0, 1, 0), (-4, "1/2", None), (2, "1/2", None), ("4/3", "1/2", None), ("3/4", "1/2", None),
        (0, 0, None), (0, -1, None), (8, "1/3", None), (4, "3/2", None),
    ],
)  # fmt: skip
def test_powers_are_exact_or_stay(base, exponent, value):
    found = t.power(num(base), num(exponent))
    assert found == (("pow", num(base), num(exponent)) if value is None else num(value))


def test_no_exact_number_is_longer_than_its_bound():
    bits_of_two = 3  # two of the numerator, one of the denominator
    most = t.BITS_MAX // bits_of_two
    for sign in (1, -1):
        assert t.rational(t.power(num(2), num(sign * most))) is not None
        assert t.rational(t.power(num(2), num(sign * (most + 1)))) is None
    fits, large = (num(2 ** (t.BITS_MAX // 2 - less)) for less in (2, 1))
    for fold, name in ((t.add, "add"), (t.mul, "mul")):
        assert fold(fits, fits)[0] == "num"
        assert fold(large, large) == (name, large, large)


def test_roundings_and_sizes():
    for name, value in (("floor", 3), ("ceil", 4), ("abs", "7/2")):
        assert t.function(name, num("7/2")) == num(value)
    assert [t.function(name, num("-7/2")) for name in ("floor", "ceil", "abs")] == [
        num(-4),
        num(-3),
        num("7/2"),
    ]
    assert t.function("sin", num(1)) == ("fn", "sin", num(1))
    assert t.function("floor", X) == ("fn", "floor", X)


@pytest.mark.parametrize(
    ("tree", "latex"),
    [
        (("fn", "factorial", N), "(n)!"), (("fn", "binom", N, num(2)), r"\binom{n}{2}"), (("pow", X, num(2)), "(x)^{2}"),
        (("fn", "sin", X), r"\sin(x)"), (("fn", "max", X, N), r"\max(x, n)"), (t.mul(X, N), r"((n)\cdot (x))"),
        (t.add(X, N), "((n)+(x))"), (num("-1/2"), r"\frac{-1}{2}"), (num(7), "7"), (("const", "pi"), r"\pi"),
        (("const", "inf"), r"\infty"), (("const", "e"), "e"), (("sym", "alpha"), r"\alpha"), (("sym", "x_1"), "x_1"),
    ],
)  # fmt: skip
def test_a_tree_as_latex(tree, latex):
    assert t.as_latex(tree) == latex


def test_a_tree_as_json():
    tree = ("pow", X, num("-10/17"))
    assert t.as_json(tree) == ["pow", ["sym", "x"], ["num", "-0xa", "0x11"]]


def test_what_stands_in_a_tree():
    tree = t.add(t.mul(X, ("const", "pi")), ("fn", "sin", N))
    assert t.symbols(tree) == {"x", "n"}
    assert t.symbols(num(2)) == frozenset()
    assert all(t.has(tree, name) for name in ("add", "mul", "fn", "pi"))
    assert not any(t.has(tree, name) for name in ("pow", "e", "x", "sin"))


def parsed(text: str) -> t.Tree:
    return parse_expression(tokenize(text))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("1e3000", num(10**3000)), ("1e-3000", num(Fraction(1, 10**3000))), ("1.5e2", num(150)), (".5", num("1/2")),
        ("x^a", ("pow", X, ("sym", "a"))), (r"x^\pi", ("pow", X, ("const", "pi"))), ("x^2", ("pow", X, num(2))),
        ("x^{-2}", ("pow", X, num(-2))), ("x^-2", ("pow", X, num(-2))), ("--x", X), ("-x", t.neg(X)), ("+-x", t.neg(X)),
        (r"1/2 \cdot x", t.mul(num("1/2"), X)), ("x/-2", t.mul(num("-1/2"), X)), ("2x/3", t.mul(num("2/3"), X)),
        ("12/3/2", num(2)), ("2(3)", num(6)), ("2 1/2", num("5/2")), ("2|x|", t.mul(num(2), ("fn", "abs", X))),
    ],
)  # fmt: skip
def test_expressions(text, tree):
    assert parsed(text) == tree


@pytest.mark.parametrize(
    "text", ["1e3001", "1e-3001", "1/2x", "x^", "x^+2", "3 4", "x^(", "2_3", r"x^\unknown"]
)
def test_what_has_two_readings_or_none(text):
    with pytest.raises(UnreadableError):
        parsed(text)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("**12**", ["12"]), ("2**3**", ["2", r"\cdot", r"\cdot", "3", r"\cdot", r"\cdot"]), ("**12", [r"\cdot", r"\cdot", "12"]),
        ("$12$", ["12"]), ("$12", ["$", "12"]), (r"\text{ a {b} c}d", ["a", "{", "b", "}", "c", "d"]),
        (r"\text {ab}c", ["ab", "c"]), (r"\text ab", ["a", "b"]), ("1,234,567", ["1234567"]), ("1,23", ["1", ",", "23"]),
        ("(1,234)", ["(", "1", ",", "234", ")"]), ("(1{,}234)", ["(", "1234", ")"]), ("1,234.5", ["1234.5"]),
        ("1, 234", ["1", ",", "234"]), ("1234,567", ["1234", ",", "567"]), (r"\left.x\right|", ["x", "|"]), ("x²", ["x", "^", "{", "2", "}"]),
    ],
)  # fmt: skip
def test_tokens(text, tokens):
    assert [token.text for token in tokenize(text)] == tokens


def test_a_group_that_stays_open_is_unread():
    for text in (r"\text{a", r"\text{a\}", r"\text{{a}"):
        with pytest.raises(UnreadableError, match="stays open"):
            tokenize(text)


def test_texts_within_texts_end():
    def nested(levels: int) -> str:
        return r"\text{" * levels + "a" + "}" * levels

    assert [token.text for token in tokenize(nested(40))] == ["a"]
    with pytest.raises(UnreadableError, match="too deep"):
        tokenize(nested(41))


def test_fractions_of_one_sign_have_their_value():
    for sign in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞⅐⅑⅒":
        value = Fraction(unicodedata.numeric(sign)).limit_denominator(10)
        assert parsed(sign) == num(value)
        assert parsed(f"2{sign}") == num(2 + value)
