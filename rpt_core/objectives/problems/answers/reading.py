# ruff: noqa: SIM905  (word lists read better as text)
r"""What an answer stands for: a quantity, a list or set, an interval, a matrix, a named value, words.

Structure first: names, separators, brackets and units are told apart before anything is dropped. What is
none of these is :class:`Opaque` and equal only to its own spelling, unless Math-Verify reads it.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from rpt_core.objectives.problems.answers import tree as t
from rpt_core.objectives.problems.answers.expression import APPLIED, FUNCTIONS, parse_expression
from rpt_core.objectives.problems.answers.tokens import (
    OPENING,
    Tokens,
    UnreadableError,
    closes_at_end,
    spelled,
    split_at,
    tokenize,
)
from rpt_core.objectives.problems.answers.tree import Tree
from rpt_core.objectives.problems.answers.units import italic_unit, split_unit

LEVELS_MAX = 6
"""Lists within lists that are read."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """An expression, with its unit."""

    tree: Tree
    unit: str = ""
    percent: bool = False
    decimal: bool = False
    """Written as a plain decimal, with a point."""
    base: str = ""
    """``2`` in ``101_2``; the tree is then the digits' own value in that base."""
    italic: tuple[Tree, str] | None = None
    """``5 m/s`` read as a number and a unit; :attr:`tree` has the variables m and s."""


@dataclass(frozen=True, slots=True)
class ValueGroup:
    """Several values. ``kind`` is ``list`` (bare), ``set``, ``union``, ``matrix``, ``digits`` or brackets."""

    kind: str
    items: tuple["Value", ...]


@dataclass(frozen=True, slots=True)
class Assignment:
    """``x = 5``."""

    name: str
    value: "Value"


@dataclass(frozen=True, slots=True)
class WordAnswer:
    """A word or a sentence, case folded; ``text`` keeps the case."""

    text: str
    folded: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """Anything else; ``latex`` is what Math-Verify may try to read."""

    key: str
    latex: str


Value = Quantity | ValueGroup | Assignment | WordAnswer | Opaque

_SEPARATORS = frozenset({",", ";", "and", "or", "&&"})
_NAME = re.compile(
    r"(?:[A-Za-z]|\\(?:alpha|beta|gamma|delta|epsilon|theta|lambda|mu|nu|rho|sigma|tau|phi|varphi|psi|omega|ell))"
    r"(?: _ (?:\w+|\{ [^{}]{1,20} \}))?(?: ')?(?: \( [^()]{1,40} \))?"
)
_PUNCTUATION = frozenset(".,;:'\"()?!-&/`")
_QUOTES = frozenset({'"', "`", r"\cdot"})
"""Around a whole answer they mean nothing; a star is read as a dot."""
_MATRICES = frozenset({"matrix", "pmatrix", "bmatrix", "smallmatrix", "Bmatrix", "vmatrix", "Vmatrix"})
_NUMBER_WORDS = {
    word: number
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
        "sixteen seventeen eighteen nineteen twenty".split()
    )
}
_TENS = {
    word: 10 * number
    for number, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2)
}
_NUMBER_WORDS |= _TENS | {
    f"{tens}{between}{ones}": _TENS[tens] + _NUMBER_WORDS[ones]
    for tens in _TENS
    for ones in "one two three four five six seven eight nine".split()
    for between in (" - ", " ")
}
_CONSTANT_WORDS: dict[str, Tree] = {"infinity": ("const", "inf"), "inf": ("const", "inf")}


@lru_cache(maxsize=4096)
def read_answer(answer: str) -> Value:
    r"""Read an answer.

    Raises:
        UnreadableError: there is nothing in it, or it is nested beyond all answers.

    Example:
        >>> read_answer("x = 3").name, read_answer("two").tree
        ('x', ('num', Fraction(2, 1)))
    """
    return _read(tokenize(answer), 0)


def _read(tokens: Tokens, level: int) -> Value:
    if level > LEVELS_MAX:
        raise UnreadableError("lists within lists, too deep")
    tokens = _bare(tokens)
    if not tokens:
        raise UnreadableError("an empty answer")
    if _is_prose(tokens):
        return _words(tokens)
    for reader in (_bracketed, _matrix, _union, _member, _ratio, _listed, _equation, _plus_minus, _quantity):
        found = reader(tokens, level)
        if found is not None:
            return found
    return _digits(tokens) or Opaque(spelled(tokens), _latex(tokens))


def _bare(tokens: Tokens) -> Tokens:
    r"""Without full stops at the end, braces around everything, an ``\approx`` or ``=`` before it."""
    while tokens:
        if tokens[-1].text in (".", ";", ",", ":") and len(tokens) > 1:
            tokens = tokens[:-1]
        elif tokens[0].text in (r"\approx", "=") and len(tokens) > 1:
            tokens = tokens[1:]
        elif _is_braced(tokens) or _is_quoted(tokens):
            tokens = tokens[1:-1]
        else:
            break
    return tokens


def _is_braced(tokens: Tokens) -> bool:
    return tokens[0].text == "{" and tokens[-1].text == "}" and closes_at_end(tokens)


def _is_quoted(tokens: Tokens) -> bool:
    return len(tokens) > 2 and tokens[0].text == tokens[-1].text and tokens[0].text in _QUOTES


def _is_prose(tokens: Tokens) -> bool:
    """Words and no mathematics: a word of three letters or two words, no number first."""
    words = [token for token in tokens if token.is_word and len(token.text) > 1]
    if any(not (token.is_word or token.is_number or token.text in _PUNCTUATION) for token in tokens):
        return False
    if not words or not any(token.text not in FUNCTIONS | _SEPARATORS for token in words):
        return False
    first = next((token for token in tokens if token.text not in _PUNCTUATION), None)
    if first is None or first.is_number:
        return False
    return not any(token.text in ("(", "/") for token in tokens) or any(
        len(token.text) > 3 for token in words
    )


def _words(tokens: Tokens) -> Value:
    text = " ".join(token.text for token in tokens if token.text not in "\"'`")
    folded = text.casefold()
    if folded in _NUMBER_WORDS:
        return Quantity(t.number(_NUMBER_WORDS[folded]))
    if folded in _CONSTANT_WORDS:
        return Quantity(_CONSTANT_WORDS[folded])
    article = re.match(r"(?:the|an?) (?=.*\w{3})", folded)
    return WordAnswer(text, folded[article.end() :] if article else folded)


def _bracketed(tokens: Tokens, level: int) -> Value | None:
    """A tuple, an interval or a set; brackets around a single value are dropped."""
    opening, closing = tokens[0].text, tokens[-1].text
    if opening == r"\emptyset" and len(tokens) == 1:
        return ValueGroup("set", ())
    if opening not in OPENING or closing not in OPENING.values() or not closes_at_end(tokens):
        return None
    inside = tokens[1:-1]
    parts = split_at(inside, frozenset({",", ";"}))
    kind = "set" if opening == r"\{" else opening + closing
    if not inside:
        return ValueGroup(kind, ())
    if any(token.text in (":", "|") for token in inside) and kind == "set":
        return None
    if len(parts) == 1:
        return ValueGroup("set", (_read(inside, level + 1),)) if kind == "set" else _read(inside, level + 1)
    return ValueGroup(kind, tuple(_read(part, level + 1) for part in parts))


def _union(tokens: Tokens, level: int) -> Value | None:
    parts = split_at(tokens, frozenset({r"\cup"}))
    return ValueGroup("union", tuple(_read(part, level + 1) for part in parts)) if len(parts) > 1 else None


def _member(tokens: Tokens, level: int) -> Value | None:
    r"""``x \in S`` is S under the name x."""
    if len(tokens) > 2 and tokens[1].text == r"\in" and tokens[0].is_word and len(tokens[0].text) == 1:
        return Assignment(tokens[0].text, _read(tokens[2:], level + 1))
    return None


def _ratio(tokens: Tokens, level: int) -> Value | None:
    """``3:4`` is three quarters; ``12:30`` may be a time and is only its own spelling."""
    del level
    parts = split_at(tokens, frozenset({":"}))
    if len(parts) != 2 or any(len(part) != 1 or not part[0].text.isdigit() for part in parts):
        return None
    above, below = (part[0].text for part in parts)
    if len(below) == 2 or int(below) == 0:
        return Opaque(f"{above} : {below}", "")
    return Quantity(t.div(t.number(above), t.number(below)))


def _listed(tokens: Tokens, level: int) -> Value | None:
    """A bare list: commas, semicolons, *and*, *or*; lists between semicolons where both stand."""
    rows = split_at(tokens, frozenset({";"}))
    parts = split_at(tokens, _SEPARATORS)
    if 1 < len(rows) < len(parts):
        parts = rows
    if len(parts) < 2:
        return None
    parts = [part for part in parts if part]  # "1, 2, and 3"
    return ValueGroup("list", tuple(_read(part, level + 1) for part in parts)) if len(parts) > 1 else None


def _equation(tokens: Tokens, level: int) -> Value | None:
    """A named value, or a chain of equal numbers (``2^3 = 8``)."""
    parts = split_at(tokens, frozenset({"="}))
    if len(parts) < 2 or not all(parts):
        return None
    values = [_read(part, level + 1) for part in parts[1:]]
    same = all(value == values[0] for value in values)
    if not same:
        return None
    name = spelled(parts[0])
    if _NAME.fullmatch(name):
        return Assignment(name, values[-1])
    first = _quantity(parts[0], level)
    return values[-1] if first is not None and first == values[-1] else None


def _plus_minus(tokens: Tokens, level: int) -> Value | None:
    r"""``a \pm b`` is the list of its two values."""
    at = [number for number, token in enumerate(tokens) if token.text == r"\pm"]
    if len(at) != 1 or any(token.text == r"\mp" for token in tokens):
        return None
    both = [(*tokens[: at[0]], replace(tokens[at[0]], text=sign), *tokens[at[0] + 1 :]) for sign in "+-"]
    return ValueGroup("list", tuple(_read(tuple(one), level + 1) for one in both))


def _matrix(tokens: Tokens, level: int) -> Value | None:
    r"""``\begin{pmatrix} ... \end{pmatrix}``: rows of entries, whatever the brackets but bars."""
    if len(tokens) < 9 or tokens[0].text != r"\begin" or tokens[2].text not in _MATRICES:
        return None
    name = tokens[2].text
    if spelled(tokens[-4:]) != f"\\end {name}" or any(token.text == r"\begin" for token in tokens[1:]):
        return None
    rows = [row for row in split_at(tokens[4:-4], frozenset({r"\\"})) if row]
    read = [
        ValueGroup("row", tuple(_read(entry, level + 2) for entry in split_at(row, frozenset({"&"}))))
        for row in rows
    ]
    return ValueGroup("determinant" if name.lower() == "vmatrix" else "matrix", tuple(read))


def _quantity(tokens: Tokens, level: int) -> Value | None:
    del level
    if based := _based(tokens):
        return based
    marked = split_unit(tokens)
    for inside, unit, percent in ((marked.tokens, marked.unit, marked.percent), (tokens, "", False)):
        try:
            found = parse_expression(inside)
        except UnreadableError:
            continue
        if unit and (t.has(found, "fn") or (t.symbols(found) and not tokens[-1].upright)):
            continue
        digits = [token.text for token in inside if token.text not in "+-"]
        decimal = len(digits) == 1 and "." in digits[0]
        italic = _italic(tokens) if t.symbols(found) and not unit else None
        return Quantity(found, unit, percent, decimal, italic=italic)
    return None


def _italic(tokens: Tokens) -> tuple[Tree, str] | None:
    marked = italic_unit(tokens)
    try:
        return None if marked is None else (parse_expression(marked.tokens), marked.unit)
    except UnreadableError:
        return None


def _based(tokens: Tokens) -> Quantity | None:
    """``101_2`` is five written in base two; in base ten it is a plain number. ``A_2`` is a variable."""
    texts = [token.text for token in tokens]
    at = texts.index("_") if "_" in texts else 0
    numeral, index = "".join(texts[:at]), "".join(texts[at + 1 :])
    base = re.fullmatch(r"(\d{1,2})|\{(\d{1,2})\}", index)
    if (
        not base
        or not re.fullmatch(r"\d[0-9A-Fa-f]{0,59}", numeral)
        or any(token.gap for token in tokens[1:at])
    ):
        return None
    number = int(base[1] or base[2])
    try:
        value = int(numeral, number) if number in range(2, 17) else None
    except ValueError:
        return None
    return None if value is None else Quantity(t.number(value), base="" if number == 10 else str(number))


def _digits(tokens: Tokens) -> Value | None:
    """Numbers with nothing but blanks between: a list of digits, never the number they would spell."""
    if all(token.is_number for token in tokens):
        return ValueGroup(
            "digits", tuple(Quantity(t.number(token.text)) for token in tokens if len(token.text) < 300)
        )
    return None


_COMPUTED = frozenset({r"\sum", r"\prod", r"\int", r"\lim", r"\leq", r"\geq", "<", ">", "="})
"""What makes a text worth Math-Verify's reading: our parser has no sums, integrals, relations."""
_SAFE = frozenset(
    r"\frac \sqrt \binom \pi \cdot \infty \rightarrow \ln \sin \cos \tan { } ( ) [ ] + - / ^ _ ! | \alpha "
    r"\beta \theta \lambda \mu \epsilon \delta \phi".split()
)


def _latex(tokens: Tokens) -> str:
    r"""The tokens as LaTeX for Math-Verify; empty where it would drop or misread some.

    It drops primes, turns ``\gcd`` of letters into 1, reads numbers side by side as a sum and ``I`` as the
    imaginary unit: only what is known to be read faithfully is handed over.
    """
    safe = all(
        token.text in _SAFE | _COMPUTED or token.is_number or (token.is_word and len(token.text) == 1)
        for token in tokens
    )
    side_by_side = any(left.is_number and right.is_number for left, right in pairwise(tokens))
    applied = any(left.text in APPLIED and right.text == "(" for left, right in pairwise(tokens))
    if not safe or side_by_side or applied or any(token.text == "I" for token in tokens):
        return ""
    return (
        " ".join(token.text for token in tokens) if any(token.text in _COMPUTED for token in tokens) else ""
    )
