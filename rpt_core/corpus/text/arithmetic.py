"""Sums as people write them in solutions, in exact arithmetic: ``48/2``, ``(20-5)*3``, ``20%*150``.

A reader of its own for numbers, the four operations, brackets and percent signs: it runs nothing, and what it
does not know it does not read.
"""

import re
from collections.abc import Iterator
from fractions import Fraction

NUMBER = r"[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?![\d,]*\d|\.\d)"
"""Digits with or without commas between thousands, and a fraction; a pattern."""
NOTE = re.compile(r"<<([^<>]{0,200})>>")
"""A calculator note, as solutions of GSM8K hold them; what stands inside is its first group."""
LONGEST = 200
"""Characters of an expression that are read."""
DEEPEST = 20
"""Brackets and signs inside each other."""
_TOKEN = re.compile(r"\s*(?:(?P<number>\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)|(?P<sign>[-+*/()%x\u00d7\u00f7]))")
_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?|\.\d+")
_PRODUCTS = {"*": False, "x": False, "\u00d7": False, "/": True, "\u00f7": True}
"""Signs of a product, and whether they divide."""


def value_of(expression: str) -> Fraction | None:
    """The value of an expression; None where it is none, or divides by nothing.

    Example:
        >>> value_of("48/2"), value_of("(20-5)*3"), value_of("1,200*.5"), value_of("150*20%")
        (Fraction(24, 1), Fraction(45, 1), Fraction(600, 1), Fraction(30, 1))
        >>> value_of("2(3)"), value_of("1/0"), value_of("x+1"), value_of("")
        (None, None, None, None)
    """
    try:
        return _Reader(expression).value()
    except (_UnreadError, ZeroDivisionError):
        return None


def without_notes(text: str) -> str:
    """The text without its calculator notes.

    Example:
        >>> without_notes("48/2 = <<48/2=24>>24 clips")
        '48/2 = 24 clips'
    """
    return NOTE.sub("", text)


def operands(expression: str) -> list[Fraction]:
    """The numbers that stand in a text, without their signs, in order.

    Example:
        >>> [str(one) for one in operands("1,200 eggs at $.50 each, 20% off")]
        ['1200', '1/2', '20']
    """
    return list(map(_number, _NUMBER.findall(expression)))


def claim_of(thought: str) -> tuple[str, str] | None:
    """Expression and result of a thought that is one equation; None of any other.

    Example:
        >>> claim_of(" 48/2=24"), claim_of("48/2"), claim_of("2*3=6=6")
        (('48/2', '24'), None, None)
    """
    sides = [side.strip() for side in thought.split("=")]
    return (sides[0], sides[1]) if len(sides) == 2 and all(sides) else None


def _number(text: str) -> Fraction:
    return Fraction(text.replace(",", ""))


class _UnreadError(Exception):
    """The expression is none that is known here."""


class _Reader:
    """One pass from left to right: a sum of products of signed numbers and brackets."""

    def __init__(self, expression: str) -> None:
        self._tokens = list(_tokens(expression))
        self._at = 0
        self._depth = 0

    def value(self) -> Fraction:
        """All of the expression.

        Raises:
            _UnreadError: it is no expression, or goes on after its end.
            ZeroDivisionError: it divides by nothing.
        """
        found = self._sum()
        if self._at < len(self._tokens):
            raise _UnreadError
        return found

    @property
    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        sign = self._next
        self._at += 1
        return sign

    def _sum(self) -> Fraction:
        found = self._product()
        while self._next in ("+", "-"):
            is_less = self._take() == "-"
            found += -self._product() if is_less else self._product()
        return found

    def _product(self) -> Fraction:
        found = self._signed()
        while self._next in _PRODUCTS:
            divides, more = _PRODUCTS[self._take()], self._signed()
            found = found / more if divides else found * more
        return found

    def _signed(self) -> Fraction:
        self._depth += 1
        if self._depth > DEEPEST:
            raise _UnreadError
        sign = self._take()
        if sign == "-":
            found = -self._signed()
        elif sign == "+":
            found = self._signed()
        elif sign == "(":
            found = self._sum()
            if self._take() != ")":
                raise _UnreadError
        elif sign[:1].isdigit() or sign[:1] == ".":
            found = _number(sign)
        else:
            raise _UnreadError
        while self._next == "%":
            self._take()
            found /= 100
        self._depth -= 1
        return found


def _tokens(expression: str) -> Iterator[str]:
    text = expression.replace("$", "").strip()
    if not text or len(text) > LONGEST:
        raise _UnreadError
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _UnreadError
        yield found["number"] or found["sign"]
        at = found.end()
