r"""What a formula shows: bookkeeping out, quantities written, spare braces and inner dollars off."""

import itertools
import re

from rpt_core.corpus.latex.units import in_formula
from rpt_core.corpus.latex.words import QUANTITY
from rpt_core.corpus.text.pieces import Pieces

_NOT_SHOWN = re.compile(
    r"\\(?:label\s*\{[^{}]*\}|tag\*?\s*\{[^{}]*\}|ensuremath(?=\s*\{)"
    r"|(?:nonumber|notag|displaystyle|allowdisplaybreaks|xspace)(?![a-zA-Z]))"
)
r"""In a formula: bookkeeping, and ``\ensuremath``, whose braces alone do no harm."""
_QUANTITY = re.compile(rf"\\{QUANTITY}[ \t]*+\{{([^{{}}]*+)\}}")
_SPLIT_WORD = re.compile(r"(\\(?!xspace(?![a-zA-Z]))[a-zA-Z]++)(?:\\xspace(?![a-zA-Z])[ \t]*+)++(?=[a-zA-Z])")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


def formula(content: str, pieces: Pieces) -> str:
    r"""One formula without its dollars, on one line; empty when nothing of it is shown.

    Args:
        content: As the expanded source has it.
        pieces: What was taken out of the source before, by mark: a quantity's number may hold some.

    Example:
        >>> formula(r"{{x}} \label{eq:x} \nonumber", Pieces())
        '{x}'
    """
    if "\\xspace" in content:
        content = _SPLIT_WORD.sub(r"\1 ", content)
    content = _NOT_SHOWN.sub("", content)
    if QUANTITY in content:
        content = _QUANTITY.sub(lambda match: in_formula(pieces.restore(match[1])), content)
    return _single_braces(_inner_formulas(" ".join(content.split())))


def _inner_formulas(formula: str) -> str:
    r"""Formulas inside a formula's words (``\mbox{if $x$}``) without dollars, so that none stands inside it.

    Example:
        >>> _inner_formulas(r"a \mbox{ if $x$}, \$5")
        'a \\mbox{ if \\(x\\)}, \\$5'
    """
    if "$" not in formula:
        return formula
    marks = itertools.cycle(("\\(", "\\)"))
    return re.sub(r"\\.|\$", lambda match: match[0] if len(match[0]) > 1 else next(marks), formula)


def _single_braces(formula: str) -> str:
    r"""Braces round nothing but braces taken off: macros expanded into macros leave them by the dozen.

    Example:
        >>> _single_braces("{{{x}}}_{{k}}")
        '{x}_{k}'
    """
    if "{{" not in formula:
        return formula
    waiting: list[int] = []
    closes: dict[int, int] = {}
    for match in _BRACE.finditer(formula):
        if match[0] == "{":
            waiting.append(match.start())
        elif match[0] == "}" and waiting:
            closes[waiting.pop()] = match.start()
    doubled = [(start, end) for start, end in closes.items() if closes.get(start + 1) == end - 1]
    gone = {place for pair in doubled for place in pair}
    return "".join(character for place, character in enumerate(formula) if place not in gone)
