# ruff: noqa: E501  (tables of kinds)
"""Answers rewritten at random: what says the same is paid both ways round, what differs by a little never."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpt_core.objectives.problems.answer import grade_answer

LETTERS = "abcdkmnpqrtuvwxyz"  # without e, i (constants) and those that are read as functions
UNITS = ("cm", "kg", "m", "s", "km")


def tex(value: Fraction) -> str:
    sign = "-" if value < 0 else ""
    return f"{sign}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def grouped(n: int, mark: str) -> str:
    return f"{n:,}".replace(",", mark)


whole = st.integers(-10_000, 10_000)
large = st.integers(10**4, 10**12)
small = st.integers(2, 60)
decimal = st.tuples(st.integers(1, 9_999), st.integers(1, 4)).map(
    lambda pair: Fraction(pair[0], 10 ** pair[1])
)
ratio = st.fractions(-50, 50, max_denominator=60).filter(lambda f: f.denominator > 1)
items = st.lists(st.integers(-99, 99), min_size=2, max_size=6, unique=True)
letter = st.sampled_from(LETTERS)
choice = st.sampled_from("ABCDE")


def written(value: Fraction) -> str:
    """A decimal that ends, in full."""
    text = f"{float(value):.6f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


EQUAL = {
    "plus sign": whole.map(lambda n: (f"+{abs(n)}", f"{abs(n)}")),
    "dollars": whole.map(lambda n: (f"${n}$", f"{n}")),
    "full stop": whole.map(lambda n: (f"{n}.", f"{n}")),
    "decimal of a whole number": whole.map(lambda n: (f"{n}.0", f"{n}")),
    "zeros at the end": decimal.map(lambda d: (written(d) + "00", written(d))),
    "en dash for minus": small.map(lambda n: (f"\u2212{n}", f"-{n}")),
    "thousands by comma": large.map(lambda n: (grouped(n, ","), str(n))),
    "thousands by TeX": large.map(lambda n: (grouped(n, "{,}"), str(n))),
    "thousands by thin space": large.map(lambda n: (grouped(n, "\\,"), str(n))),
    "text around": whole.map(lambda n: (f"\\text{{{n}}}", f"{n}")),
    "left and right": whole.map(lambda n: (f"\\left({n}\\right)", f"{n}")),
    "box within": whole.map(lambda n: (f"\\boxed{{{n}}}", f"{n}")),
    "a name before": st.tuples(letter, whole).map(lambda p: (f"{p[0]} = {p[1]}", f"{p[1]}")),
    "fraction unreduced": st.tuples(ratio, small).map(
        lambda p: (f"\\frac{{{p[0].numerator * p[1]}}}{{{p[0].denominator * p[1]}}}", tex(p[0]))
    ),
    "dfrac": ratio.map(lambda f: (tex(f).replace("frac", "dfrac"), tex(f))),
    "slash": ratio.map(lambda f: (f"{f.numerator}/{f.denominator}", tex(f))),
    "minus below": ratio.map(lambda f: (f"\\frac{{{-f.numerator}}}{{-{f.denominator}}}", tex(f))),
    "decimal as fraction": decimal.map(lambda d: (tex(d), written(d))),
    "mixed number": ratio.filter(lambda f: f > 1).map(
        lambda f: (f"{int(f)}{tex(f - int(f))}", tex(f))
    ),
    "percent of a decimal": decimal.map(lambda d: (written(100 * d) + "\\%", written(d))),
    "unit left out": st.tuples(small, st.sampled_from(UNITS)).map(
        lambda p: (f"{p[0]}", f"{p[0]}\\text{{ {p[1]}}}")
    ),
    "degrees": small.map(lambda n: (f"{n}^\\circ", f"{n}")),
    "list in another order": items.map(
        lambda row: (", ".join(map(str, row[::-1])), ", ".join(map(str, row)))
    ),
    "set in another order": items.map(
        lambda row: (f"\\{{{','.join(map(str, sorted(row)))}\\}}", f"\\{{{', '.join(map(str, row))}\\}}")
    ),
    "repeats in a set": items.map(
        lambda row: (f"\\{{{','.join(map(str, [*row, row[0]]))}\\}}", f"\\{{{','.join(map(str, row))}\\}}")
    ),
    "blanks in a pair": items.map(lambda row: (f"( {row[0]} ,{row[1]} )", f"({row[0]}, {row[1]})")),
    "interval by left and right": items.map(
        lambda row: (f"\\left[{min(row)},{max(row)}\\right)", f"[{min(row)}, {max(row)})")
    ),
    "union in another order": small.map(
        lambda n: (f"(7{n},8{n})\\cup(1,{n})", f"(1,{n}) \\cup (7{n},8{n})")
    ),
    "plus or minus": small.map(lambda n: (f"\\pm {n}", f"{n}, -{n}")),
    "choice in brackets": choice.map(lambda c: (f"({c})", c)),
    "choice with a stop": choice.map(lambda c: (f"{c}.", c)),
    "root taken out": small.map(lambda n: (f"\\sqrt{{{2 * n * n}}}", f"{n}\\sqrt{{2}}")),
    "sum turned round": st.tuples(letter, small).map(lambda p: (f"{p[1]}+{p[0]}", f"{p[0]}+{p[1]}")),
    "product turned round": st.tuples(letter, small).map(lambda p: (f"{p[0]} \\cdot {p[1]}", f"{p[1]}{p[0]}")),
    "expanded": st.tuples(letter, small).map(
        lambda p: (f"{p[0]}^2 + {2 * p[1]}{p[0]} + {p[1] ** 2}", f"({p[0]}+{p[1]})^2")
    ),
    "power spelled": small.map(lambda n: (f"2^{{{n}}}", f"2^{{{n - 1}}} \\cdot 2")),
    "scientific": st.integers(2, 9).map(lambda n: (f"{n} \\times 10^{{{n}}}", str(n * 10**n))),
}  # fmt: skip

DIFFERENT = {
    "one more": whole.map(lambda n: (f"{n + 1}", f"{n}")),
    "sign": small.map(lambda n: (f"-{n}", f"{n}")),
    "digits apart": large.map(lambda n: (f"{str(n)[0]} {str(n)[1:]}", str(n))),
    "thousands as a list": st.integers(1000, 999_999).map(lambda n: (grouped(n, ", "), str(n))),
    "rounded": st.integers(7, 60).filter(lambda n: n % 2 and n % 5).map(
        lambda n: (f"{1 / n:.6f}", f"\\frac{{1}}{{{n}}}")
    ),
    "upside down": ratio.filter(lambda f: abs(f) != 1 and f).map(lambda f: (tex(1 / f), tex(f))),
    "product for a mixed number": ratio.filter(lambda f: f > 1).map(
        lambda f: (f"{int(f)} \\cdot {tex(f - int(f))}", tex(f))
    ),
    "percent of a whole number": small.map(lambda n: (f"{n}%", f"{n / 100 + 1:.2f}")),
    "another unit": small.map(lambda n: (f"{n} cm", f"{n} kg")),
    "another base": small.map(lambda n: (f"{n + 100}_8", f"{n + 100}_9")),
    "one missing": items.filter(lambda row: len(row) > 2).map(
        lambda row: (", ".join(map(str, row[1:])), ", ".join(map(str, row)))
    ),
    "one more in a list": items.map(lambda row: (", ".join(map(str, [*row, 100])), ", ".join(map(str, row)))),
    "hedge": st.tuples(whole, whole).filter(lambda p: p[0] != p[1]).map(lambda p: (f"{p[0]} or {p[1]}", f"{p[1]}")),
    "pair turned round": items.map(lambda row: (f"({row[1]},{row[0]})", f"({row[0]},{row[1]})")),
    "interval's ends": items.map(lambda row: (f"[{min(row)},{max(row)}]", f"[{min(row)},{max(row)})")),
    "another choice": choice.map(lambda c: ("ABCDE"["ABCDE".index(c) - 1], c)),
    "capital for small": letter.map(lambda c: (c.upper(), c)),
    "another letter": letter.map(lambda c: (f"{c}+1", f"{LETTERS[LETTERS.index(c) - 1]}+1")),
    "a factor": st.tuples(letter, small).map(lambda p: (f"{p[1]}{p[0]}", f"{p[1] + 1}{p[0]}")),
    "a sign within": st.tuples(letter, small).map(lambda p: (f"{p[0]}-{p[1]}", f"{p[0]}+{p[1]}")),
    "root of another": small.map(lambda n: (f"{n}\\sqrt{{2}}", f"{n}\\sqrt{{3}}")),
    "one more beside a large power": small.map(lambda n: (f"2^{{{20 * n}}}+1", f"2^{{{20 * n}}}")),
    "nothing": whole.map(lambda n: (" ", f"{n}")),
    "refused": whole.map(lambda n: (f"not {n}", f"{n}")),
}  # fmt: skip


@pytest.mark.parametrize("kind", EQUAL)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_what_says_the_same_is_correct(kind, data):
    left, right = data.draw(EQUAL[kind])
    assert grade_answer(left, right) == "correct"
    if kind not in ("percent of a decimal", "unit left out"):  # these ask what the known answer has
        assert grade_answer(right, left) == "correct"


@pytest.mark.parametrize("kind", DIFFERENT)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_what_differs_is_never_correct(kind, data):
    left, right = data.draw(DIFFERENT[kind])
    assert grade_answer(left, right) != "correct"
    assert grade_answer(right, left) != "correct"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_graded_and_nothing_is_raised(text):
    assert grade_answer(text, "12") in ("correct", "wrong", "unparsed")
    assert grade_answer("12", text) in ("correct", "wrong", "unparsed")
