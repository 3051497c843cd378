"""Sums in exact arithmetic: as Python's own fractions have it, and nothing read that has no single value."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpt_core.corpus.text.arithmetic import DEEPEST, LONGEST, claim_of, operands, value_of


def numbers():
    return st.integers(0, 10_000).map(lambda n: (str(n), Fraction(n))) | st.integers(0, 9_999).map(
        lambda n: (f"{n // 100}.{n % 100:02d}", Fraction(n, 100))
    )


def joined(parts):
    one, sign, other = parts
    values = {"+": one[1] + other[1], "-": one[1] - other[1], "*": one[1] * other[1]}
    if sign == "/":
        return f"({one[0]}/{other[0]})", one[1] / other[1] if other[1] else None
    return f"({one[0]} {sign} {other[0]})", values[sign]


expressions = st.recursive(
    numbers(),
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(joined).filter(lambda pair: pair[1] is not None)
    ),
    max_leaves=6,
)


@given(expressions)
def test_brackets_and_the_four_operations_have_the_value_of_fractions(pair):
    text, value = pair
    assert value_of(text) == (value if len(text) <= LONGEST else None)


@given(st.lists(st.tuples(st.sampled_from("+-*/"), st.integers(1, 99)), min_size=1, max_size=6))
def test_products_come_before_sums_and_both_go_from_left_to_right(steps):
    text = "7" + "".join(f"{sign}{number}" for sign, number in steps)
    done, product = Fraction(0), Fraction(7)
    for sign, number in steps:
        if sign in "*/":
            product = product * number if sign == "*" else product / number
        else:
            done, product = done + product, Fraction(number if sign == "+" else -number)
    assert value_of(text) == done + product


@pytest.mark.parametrize(
    "text",
    ["", " ", "2(3)", "(2)(3)", "2 3", "1/0", "5/(3-3)", "2**3", "x", "2x", "__import__('os')", "(2", "2)",
     "+", "1e3", "2^3", "1,20,0", "9" * (LONGEST + 1), "-" * (DEEPEST + 1) + "1", "(" * 99 + "1" + ")" * 99],
)  # fmt: skip
def test_what_has_no_single_value_is_not_read(text):
    assert value_of(text) is None


def test_a_number_as_solutions_write_it():
    assert value_of("$1,200.50 * 2") == 2401
    assert value_of("20% x 150") == 30
    assert value_of("12 ÷ 4 × 3") == 9
    assert value_of("-.5+1") == Fraction(1, 2)
    assert operands("Of 1,200 eggs 3/4, or .25, cost $2.") == [1200, 3, 4, Fraction(1, 4), 2]
    assert claim_of("2*3=6=6") is None
    assert claim_of("=6") is None
