"""The arithmetic of ``{{#expr:..}}``, by MediaWiki's precedences, in floating point and bounded."""

import math
import operator
import re
from collections.abc import Callable

TOKENS_MAX = 300
_TOKEN = re.compile(
    r"\s*(?:(\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)|([A-Za-z]+)|(<=|>=|<>|!=|[-+*/^()=<>−]))"
)
_BINARY: dict[str, tuple[int, Callable[[float, float], float]]] = {
    "^": (8, math.pow), "*": (7, operator.mul), "/": (7, operator.truediv), "div": (7, operator.truediv),
    "mod": (7, lambda a, b: math.fmod(math.trunc(a), math.trunc(b))), "fmod": (7, math.fmod),
    "+": (6, operator.add), "-": (6, operator.sub), "round": (5, lambda a, b: _rounded(a, int(b))),
    "=": (4, operator.eq), "<": (4, operator.lt), ">": (4, operator.gt), "<=": (4, operator.le),
    ">=": (4, operator.ge), "<>": (4, operator.ne), "!=": (4, operator.ne),
    "and": (3, lambda a, b: float(bool(a) and bool(b))), "or": (2, lambda a, b: float(bool(a) or bool(b))),
}  # fmt: skip
_UNARY: dict[str, Callable[[float], float]] = {
    "-": operator.neg, "+": operator.pos, "floor": math.floor, "ceil": math.ceil, "trunc": math.trunc,
    "abs": abs, "sqrt": math.sqrt, "exp": math.exp, "ln": math.log, "sin": math.sin, "cos": math.cos,
    "tan": math.tan, "not": lambda a: float(not a),
}  # fmt: skip
_NAMES = {"pi": math.pi, "e": math.e}
_UNARY_BINDS = 9


def evaluate(expression: str) -> float | None:
    """The value of an expression; None when it is none, or has no finite value.

    Example:
        >>> evaluate("2*(3+4) round 0"), evaluate("7 mod 4"), evaluate("1/0"), evaluate("")
        (14.0, 3.0, None, None)
    """
    try:
        result = _Reader(expression).whole()
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def shown(number: float) -> str:
    """A value as MediaWiki writes it: without a fraction where there is none.

    Example:
        >>> shown(6.0), shown(0.5)
        ('6', '0.5')
    """
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else f"{number:.12g}"


def _rounded(number: float, digits: int) -> float:
    """Halves go away from zero, as in PHP."""
    if abs(digits) > 15:
        raise ValueError(f"{digits} digits")
    scale = 10.0**digits
    return math.copysign(math.floor(abs(number) * scale + 0.5), number) / scale


class _Reader:
    """Precedence climbing over the tokens; operators of one level bind to the left."""

    def __init__(self, expression: str) -> None:
        self.tokens: list[float | str] = []
        position, text = 0, expression.strip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if not match or len(self.tokens) >= TOKENS_MAX:
                raise ValueError(text[:80])
            self.tokens.append(
                float(match[1]) if match[1] else (match[2] or match[3]).lower().replace("−", "-")
            )
            position = match.end()
        self.at = 0

    def whole(self) -> float:
        result = self._binary(0, 0)
        if self.at < len(self.tokens):
            raise ValueError(f"left over: {self.tokens[self.at]}")
        return result

    def _next(self) -> float | str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def _binary(self, least: int, depth: int) -> float:
        left = self._operand(depth)
        while isinstance(sign := self._next(), str) and sign in _BINARY and _BINARY[sign][0] > least:
            self.at += 1
            level, function = _BINARY[sign]
            left = float(function(left, self._binary(level, depth + 1)))
        return left

    def _operand(self, depth: int) -> float:
        found = self._next()
        self.at += 1
        if isinstance(found, float):
            return found
        if found is None or depth > 100:
            raise ValueError("no operand")
        if found == "(":
            inside = self._binary(0, depth + 1)
            if self._next() != ")":
                raise ValueError("a bracket stays open")
            self.at += 1
            return inside
        if found in _UNARY:
            return float(_UNARY[found](self._binary(_UNARY_BINDS - 1, depth + 1)))
        if found in _NAMES:
            return _NAMES[found]
        raise ValueError(f"no operand: {found}")
