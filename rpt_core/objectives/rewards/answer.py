r"""The answer reward: a boxed answer must equal the known one, by plain parsing.

Numbers are compared as exact fractions, whether written ``1/2``, ``0.5`` or ``\frac{1}{2}``; tuples and
words part by part; anything else as text after LaTeX's decorations are taken off. Nothing is ever
evaluated. Two expressions that are not numbers and are written differently may still be equal:
the verdict is then ``unparsed``, not ``wrong``.
"""

import re
from fractions import Fraction
from typing import Literal

Match = Literal["correct", "wrong", "unparsed"]

LONGEST = 2000
"""Characters; longer answers are not read. Digits beyond a few hundred would only cost time."""

_DECORATION = re.compile(
    r"\\(?:left|right|displaystyle|,|;|!|:|quad|qquad| )|\^\s*(?:\{\s*\\circ\s*\}|\\circ)|\\degree|[$~]"
)
_WRAPPED = re.compile(r"\\(?:text|mathrm|mathbf|textbf|mbox|operatorname|boxed|fbox)\s*\{([^{}]*)\}")
_FRACTION = re.compile(r"\\[dtc]?frac\s*(?:\{([^{}]+)\}|(\w))\s*(?:\{([^{}]+)\}|(\w))")
_NUMBER = re.compile(r"[+-]?(?:\d{1,300}(?:\.\d{0,300})?|\.\d{1,300})")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_WORD = re.compile(r"[^\W\d_]+(?: [^\W\d_]+)*")


def match_answer(given: str, known: str) -> Match:
    r"""Compare a model's answer with the known one.

    Args:
        given: What the model put into its box.
        known: The answer of the problem set, with or without LaTeX.

    Example:
        >>> match_answer("\\dfrac{1}{2}", "0.5"), match_answer(" 10", "$10$"), match_answer("9", "10")
        ('correct', 'correct', 'wrong')
        >>> match_answer("2\\sqrt{3}", "\\sqrt{12}")
        'unparsed'
    """
    if not given.strip() or len(given) > LONGEST:
        return "unparsed"
    left, right = normalise(given), normalise(known)
    if left == right:
        return "correct"
    first, second = _value(left), _value(right)
    if first is None or second is None:
        return "unparsed"
    return "correct" if first == second else "wrong"


def normalise(answer: str) -> str:
    r"""An answer without what does not change its meaning.

    Example:
        >>> normalise("$x = \\left( \\tfrac{1}{2} , 3 \\right)$.")
        '((1)/(2),3)'
    """
    text = answer.strip().replace("\u2212", "-").replace("\\%", "").replace("%", "")
    text = _repeat(_WRAPPED, r"\1", _DECORATION.sub("", text))
    text = _repeat(_FRACTION, lambda m: f"({m[1] or m[2]})/({m[3] or m[4]})", text)
    text = text.replace("{,}", ",").replace("\\{", "{").replace("\\}", "}")
    text = re.sub(r"\s+", " ", text).strip().rstrip(".").strip()
    text = re.sub(r"^[A-Za-z]\w{0,2} ?= ?", "", text)
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    return text.casefold() if _WORD.fullmatch(text) else text.replace(" ", "")


def _repeat(pattern: re.Pattern[str], by: object, text: str) -> str:
    """Substitute from the inside out; four levels are more than any answer needs."""
    for _ in range(4):
        changed = pattern.sub(by, text)  # type: ignore[call-overload]
        if changed == text:
            break
        text = changed
    return text


_Value = Fraction | str | tuple[str, tuple["_Value", ...]]


def _value(text: str) -> _Value | None:
    """What a normalised answer stands for, where we are sure of it: a number, a word, a tuple of such."""
    number = _number(text)
    if number is not None:
        return number
    if _WORD.fullmatch(text):
        return text.casefold()
    brackets = text[:1] + text[-1:]
    if brackets in {"()", "[]", "{}", "(]", "[)"} and "," in text:
        text = text[1:-1]
    elif "," in text:
        brackets = "()"
    else:
        inner = re.fullmatch(r"\(([^()]*)\)", text)  # "(C)" names the choice C
        return _value(inner[1]) if inner else None
    parts = tuple(_value(part) for part in text.split(","))
    known = tuple(part for part in parts if part is not None)
    return (brackets, known) if len(known) == len(parts) else None


def _number(text: str) -> Fraction | None:
    """A decimal, a fraction or a mixed number, exactly."""
    mixed = re.fullmatch(r"-?(\d+)\((\d+)\)/\((\d+)\)", text)  # 3\frac{1}{2}
    if mixed:
        whole, above, below = (int(part) for part in mixed.groups())
        size = whole + Fraction(above, below) if below else None
        return -size if size is not None and text.startswith("-") else size
    parts = [_bare(part) for part in text.split("/", 1)]
    if any(not _NUMBER.fullmatch(part) for part in parts):
        return None
    numbers = [Fraction(part.removesuffix(".") or "0") for part in parts]
    if len(numbers) == 1:
        return numbers[0]
    return numbers[0] / numbers[1] if numbers[1] else None


def _bare(part: str) -> str:
    """``(3)`` is 3 and ``-(3)`` is -3."""
    inner = re.fullmatch(r"(-?)\(([^()]*)\)", part)
    return inner[1] + inner[2] if inner else part
