"""How KOR-Bench compares answers: the rules of its five categories (Ma et al. 2024, and the authors' code).

Most answers are compared by their spelling, without blanks, quotes and brackets. Where an answer may be
written in several orders or forms, the number of the rule or question says how; formulas are compared as
mathematics by our own grader instead of the authors' SymPy call. Arithmetic of a model is never handed to
Python: its signs and numbers are read by :func:`value_of`.
"""

import ast
import operator
import re
from collections.abc import Callable, Sequence
from fractions import Fraction

from rpt_core.objectives.problems.answer import Grade, grade_answers

_SINGLE = re.compile(r"\[([^\[\]]++)\]")
LONGEST = 2000
"""Characters of an answer; more is no answer to any of these questions."""
ARITHMETIC_MAX = 100
"""Characters of a sum; more is not worked out."""
FORMULAS = frozenset(
    map(str, [18, 73, 74, 77, 94, *range(115, 118), *range(121, 124), 125, 131, 132, 134, 135, 136, 141, 143,
              *range(145, 148), 149, *range(151, 157), 160, 161, 162, 164, 165, 166, 170, 206, 209,
              *range(211, 216), 217, 218])
)  # fmt: skip
"""Questions of ``operation`` whose answers are formulas."""
INEQUALITIES = frozenset({"178", "179"})
_OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def bracketed(text: str) -> str | None:
    """What stands in the last double brackets; without any, in a box or in single ones; None without any.

    Example:
        >>> bracketed("so [[x]] or rather [[N]]."), bracketed("[[[c*]p]]"), bracketed("N")
        ('N', '[c*]p', None)
    """
    for found in (_between(text, "[[", "]]"), _between(text, "\\boxed{", "}"), _SINGLE.findall(text)):
        if found:
            return str(found[-1]).strip()
    return None


def _between(text: str, opening: str, closing: str) -> list[str]:
    """What stands from each opening to the next closing, from left to right; ``]]]`` closes at its end.

    Example:
        >>> _between("[[a]] [[[b]]] [[c", "[[", "]]")
        ['a', '[b]']
    """
    found, at = list[str](), 0
    while (start := text.find(opening, at)) >= 0:
        start += len(opening)
        if (end := text.find(closing, start)) < 0:
            break
        while closing == "]]" and text.startswith("]", end + 2):
            end += 1
        found.append(text[start:end])
        at = end + len(closing)
    return found


def graded(answered: Sequence[tuple[str, str, str, str, str]]) -> list[Grade]:
    """Verdicts on answers: what was said, the known answer in its brackets, category, rule and question.

    Example:
        >>> [grade.match for grade in graded([("n", "[[N]]", "cipher", "1", "1")])]
        ['wrong']
    """
    formulas = [
        (_formula(said), _formula(bracketed(known) or known))
        for said, known, category, rule, number in answered
        if _is_formula(category, rule, number)
    ]
    computed = iter(grade_answers(formulas))
    return [
        next(computed)
        if _is_formula(*where)
        else Grade("correct" if _equal(said, known, *where) else "wrong")
        for said, known, *where in answered
    ]


def _is_formula(category: str, rule: str, number: str) -> bool:
    return category == "operation" and number in FORMULAS and rule not in ("18", "23", "24", "25")


def _formula(text: str) -> str:
    """The last side of an equation, without words and signs of display."""
    bare = re.sub(r"\\[()\[\]]|\\text\{.*?\}|\\(?:left|right|displaystyle)(?![a-zA-Z])|[\"\[\]$\n]", "", text)
    return bare.rpartition("=")[2].strip()


def _equal(said: str, known: str, category: str, rule: str, number: str) -> bool:
    known = bracketed(known) or known
    if len(said) > LONGEST:
        return False
    if category == "logic":
        parts = [re.sub(r"[\"\n .]", "", text).split(";") for text in (said, known)]
        return sorted(parts[0]) == sorted(parts[1]) if rule == "5" else parts[0] == parts[1]
    if category == "puzzle":
        return _PUZZLES.get(rule, _same_characters)(said, known)
    if category == "operation":
        return _operation(said, known, rule, number)
    return _clean(said) == _clean(known)


def _operation(said: str, known: str, rule: str, number: str) -> bool:
    if number in INEQUALITIES:
        return _inequalities(said) == _inequalities(known)
    if rule == "18":
        return sorted(re.sub(r"\W", "", said)) == sorted(re.sub(r"\W", "", known))
    if rule in ("23", "24", "25"):
        return re.findall(r"\d+", said) == re.findall(r"\d+", known)
    if "or" in known:
        said = said.replace("\\text{or}", "or")
        return sorted(_clean(said).split("or")) == sorted(_clean(known).split("or"))
    return _clean(said) == _clean(known)


def _clean(text: str) -> str:
    return re.sub(r"[\"\n \[\]]", "", text)


def _inequalities(text: str) -> list[str]:
    return sorted(sign + bound for sign, bound in re.findall(r"(≥|≤)\s*(-?\d+\.?\d*)", text))


def _same_characters(said: str, known: str) -> bool:
    return re.sub(r"\W", "", said) == re.sub(r"\W", "", known)


def _small_letters(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.lower())


def _words(said: str, known: str) -> bool:
    return sorted(filter(None, re.split(r"\W+", said.lower()))) == sorted(known.split(" "))


def _parts(said: str, known: str) -> bool:
    return sorted(re.sub(r"\s", "", said).split(",")) == sorted(known.split(","))


def _equation(said: str, known: str) -> bool:
    """The known operators in their order, and the known result."""
    left, right = (_ascii(text).split("=") for text in (said, known))
    if re.findall(r"[-+*/]", left[0]) != re.findall(r"[-+*/]", right[0]) or len(right) < 2:
        return False
    return value_of(left[0]) == value_of(right[1]) is not None


def _makes_24(said: str, known: str) -> bool:
    """The known numbers, and 24."""
    left, right = (_ascii(text).split("\n")[0].split("=")[0] for text in (said, known))
    same = sorted(re.sub(r"\W", "", left)) == sorted(re.sub(r"\W", "", right))
    return same and value_of(left) == Fraction(24)


def _ascii(text: str) -> str:
    return text.replace("×", "*").replace("−", "-").replace("÷", "/")


_PUZZLES: dict[str, Callable[[str, str], bool]] = {
    "1": lambda said, known: _small_letters(said) == _small_letters(known),
    "2": lambda said, known: _small_letters(said) in known.split(","),
    "3": _words,
    "4": lambda said, known: _small_letters(said) in known and _small_letters(said) != "",
    "5": _parts,
    "9": _equation,
    "10": _makes_24,
    "18": lambda said, known: re.sub(r"[,\s\[\]]", "", said) == re.sub(r"[,\s\[\]]", "", known),
}
"""Rules of ``puzzle`` whose answers may be written in more than one way."""


def value_of(text: str) -> Fraction | None:
    """The value of a sum of whole numbers with ``+ - * /`` and brackets; None for anything else.

    Example:
        >>> value_of("(8 - 2) * 4"), value_of("2 ** 9"), value_of("1/0")
        (Fraction(24, 1), None, None)
    """
    if len(text) > ARITHMETIC_MAX:
        return None
    try:
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError):
        return None


def _value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return Fraction(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    raise ValueError("no sum of whole numbers")
