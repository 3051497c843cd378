"""Expressions as trees: rational arithmetic is done exactly while a tree is built, within bounds.

A tree is a nested tuple whose first entry names the node:

``("num", Fraction)``, ``("sym", name)``, ``("const", "pi" | "e" | "i" | "inf")``, ``("add", a, b, ...)``,
``("mul", a, b, ...)``, ``("pow", base, exponent)``, ``("fn", name, argument, ...)``.

Sums and products are flat, sorted and folded, so trees that differ only in order are equal.
"""

import math
from fractions import Fraction
from typing import Any

Tree = tuple[Any, ...]

BITS_MAX = 12_000
"""Longest exact number, in bits; anything larger stays a node, for the bounded child to judge."""
FACTORIAL_MAX = 1_000

ONE: Tree = ("num", Fraction(1))
MINUS_ONE: Tree = ("num", Fraction(-1))
HALF: Tree = ("num", Fraction(1, 2))


def number(value: int | str | Fraction) -> Tree:
    """A leaf that is a rational number."""
    return ("num", Fraction(value))


def rational(tree: Tree) -> Fraction | None:
    """The exact value of a tree that is a number."""
    return tree[1] if tree[0] == "num" else None


def add(*terms: Tree) -> Tree:
    """A sum.

    Example:
        >>> add(number(1), ("sym", "x"), number(2)) == add(("sym", "x"), number(3))
        True
    """
    flat = [part for term in terms for part in (term[1:] if term[0] == "add" else (term,))]
    total = Fraction(0)
    rest = []
    for part in flat:
        if part[0] == "num" and _bits(total) + _bits(part[1]) <= BITS_MAX:
            total += part[1]
        else:
            rest.append(part)
    return _folded("add", rest, total, Fraction(0))


def mul(*factors: Tree) -> Tree:
    """A product."""
    flat = [part for factor in factors for part in (factor[1:] if factor[0] == "mul" else (factor,))]
    total = Fraction(1)
    rest = []
    for part in flat:
        if part[0] == "num" and _bits(total) + _bits(part[1]) <= BITS_MAX:
            total *= part[1]
        else:
            rest.append(part)
    return _folded("mul", rest, total, Fraction(1))


def _folded(name: str, rest: list[Tree], total: Fraction, neutral: Fraction) -> Tree:
    parts = [*rest, *([("num", total)] if total != neutral or not rest else [])]
    return parts[0] if len(parts) == 1 else (name, *sorted(parts, key=repr))


def neg(tree: Tree) -> Tree:
    """The negative of a tree."""
    return mul(MINUS_ONE, tree)


def div(above: Tree, below: Tree) -> Tree:
    """A quotient; division by zero stays a node, which has no value."""
    return mul(above, power(below, MINUS_ONE))


def power(base: Tree, exponent: Tree) -> Tree:
    """A power, exact where base and exponent are numbers of bounded size."""
    under, over = rational(base), rational(exponent)
    if over == 1:
        return base
    if under is None or over is None or (under == 0 and over <= 0):
        return ("pow", base, exponent)
    if over.denominator == 1 and _bits(under) * abs(over.numerator) <= BITS_MAX:
        return ("num", under**over.numerator)
    if over == Fraction(1, 2) and under >= 0 and (root := _square_root(under)) is not None:
        return ("num", root)
    return ("pow", base, exponent)


def factorial(tree: Tree) -> Tree:
    """A factorial, exact up to :data:`FACTORIAL_MAX`."""
    value = rational(tree)
    if value is not None and value.denominator == 1 and 0 <= value <= FACTORIAL_MAX:
        return number(math.factorial(int(value)))
    return ("fn", "factorial", tree)


def binomial(upper: Tree, lower: Tree) -> Tree:
    """A binomial coefficient, exact up to :data:`FACTORIAL_MAX`."""
    top, bottom = rational(upper), rational(lower)
    small = top is not None and bottom is not None and 0 <= bottom <= top <= FACTORIAL_MAX
    if small and top is not None and bottom is not None and top.denominator == bottom.denominator == 1:
        return number(math.comb(int(top), int(bottom)))
    return ("fn", "binom", upper, lower)


def function(name: str, *arguments: Tree) -> Tree:
    """A named function; roundings and sizes of numbers are computed."""
    value = rational(arguments[0])
    if value is not None and name in ("floor", "ceil", "abs"):
        return number(
            math.floor(value) if name == "floor" else math.ceil(value) if name == "ceil" else abs(value)
        )
    return ("fn", name, *arguments)


def symbols(tree: Tree) -> frozenset[str]:
    """Names of the variables of a tree."""
    if tree[0] == "sym":
        return frozenset((tree[1],))
    return frozenset().union(*(symbols(part) for part in tree[1:] if isinstance(part, tuple)))


def has(tree: Tree, name: str) -> bool:
    """Whether a node or constant of this name stands in a tree."""
    return tree[0] == name or any(
        has(part, name) if isinstance(part, tuple) else part == name and tree[0] == "const"
        for part in tree[1:]
    )


def as_json(tree: Tree) -> list[Any]:
    """The tree as nested lists, numbers as ``[above, below]`` in hexadecimal (no limit on digits)."""
    if tree[0] == "num":
        return ["num", hex(tree[1].numerator), hex(tree[1].denominator)]
    return [as_json(part) if isinstance(part, tuple) else part for part in tree]


def as_latex(tree: Tree) -> str:
    r"""The tree as LaTeX with a bracket around every part, which has one reading only.

    Example:
        >>> as_latex(add(("sym", "n"), number(Fraction(1, 2))))
        '((\\frac{1}{2})+(n))'
    """
    name, *parts = tree
    if name == "fn" and parts[0] not in ("binom", "factorial"):
        return f"\\{parts[0]}({', '.join(as_latex(part) for part in parts[1:])})"
    if name in ("add", "mul"):
        return "(" + ("+" if name == "add" else "\\cdot ").join(f"({as_latex(part)})" for part in parts) + ")"
    if name in ("pow", "fn"):
        first, *rest = (as_latex(part) for part in (parts if name == "pow" else parts[1:]))
        if name == "pow":
            return f"({first})^{{{rest[0]}}}"
        return f"\\binom{{{first}}}{{{rest[0]}}}" if rest else f"({first})!"
    return _leaf_latex(name, parts[0])


def _leaf_latex(name: str, value: Any) -> str:
    if name == "num":
        above, below = value.numerator, value.denominator
        return str(above) if below == 1 else f"\\frac{{{above}}}{{{below}}}"
    if name == "const":
        return {"pi": "\\pi", "inf": "\\infty"}.get(value, str(value))
    return str(value) if len(value) == 1 or "_" in value else f"\\{value}"


def _bits(value: Fraction) -> int:
    return value.numerator.bit_length() + value.denominator.bit_length()


def _square_root(value: Fraction) -> Fraction | None:
    above, below = math.isqrt(value.numerator), math.isqrt(value.denominator)
    return Fraction(above, below) if above**2 == value.numerator and below**2 == value.denominator else None
