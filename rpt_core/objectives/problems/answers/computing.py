"""The child process that computes: numeric equality by mpmath, the rest by Math-Verify.

Started as a script of its own, so that it imports neither this project nor anything of the working folder.
One job a line on standard input, one line of verdicts on standard output. It limits itself: address space,
processor time of a job, and it is killed by the kernel's timer where a computation in C does not come back,
so it outlives neither its job nor its parent for more than seconds.
"""

import json
import random
import resource
import signal
import sys
from typing import Any

import mpmath
from latex2sympy2_extended import latex2sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig
from math_verify.grader import verify
from sympy.core.relational import Relational

MEMORY_BYTES = 3 << 30
SOFT_S = 1.2
"""Processor seconds of a job; then what is left of it is unread."""
HARD_S = 2.0
"""Processor seconds of a job after which the kernel ends the process: a call in C that does not return."""
WALL_S = 4.0
"""Wall seconds of a job after which the kernel ends the process."""
DIGITS = 80
DIGITS_MAX = 6_000
AGREE = 50
"""Digits in which two values agree when they are called equal."""
_INTEGER_POINTS = 8
_REAL_POINTS = 4


class TimeUp(BaseException):
    """The job's processor time is spent."""


class NoValueError(Exception):
    """An expression has no finite value here."""


def main() -> None:
    """Answer jobs until standard input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, _time_up)
    for kills in (signal.SIGALRM, signal.SIGVTALRM):
        signal.signal(kills, signal.SIG_DFL)
    _say("ready")
    for line in sys.stdin:
        verdicts = _job(json.loads(line))
        _say(json.dumps(verdicts))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _time_up(*_: object) -> None:
    raise TimeUp


def _job(leaves: list[list[Any]]) -> list[str]:
    """The verdicts of one pair of answers; what time does not allow is ``timed-out``."""
    verdicts: list[str] = []
    try:
        signal.setitimer(signal.ITIMER_REAL, WALL_S)
        signal.setitimer(signal.ITIMER_VIRTUAL, HARD_S)
        signal.setitimer(signal.ITIMER_PROF, SOFT_S)
        for given, known in leaves:
            verdicts.append(decide(given, known))
    except TimeUp:
        pass
    finally:
        for timer in (signal.ITIMER_PROF, signal.ITIMER_VIRTUAL, signal.ITIMER_REAL):
            signal.setitimer(timer, 0)
    return verdicts + ["timed-out"] * (len(leaves) - len(verdicts))


def decide(given: Any, known: Any) -> str:
    """One leaf: trees by value at points, LaTeX by Math-Verify.

    Returns:
        ``correct``, ``wrong`` or ``unparsed``.
    """
    try:
        if isinstance(given, str) or isinstance(known, str):
            return by_math_verify(given, known)
        return by_value(given, known)
    except (ArithmeticError, ValueError, MemoryError, RecursionError, TypeError, NoValueError):
        return "unparsed"


def by_value(given: Any, known: Any) -> str:
    """Compare two trees at points drawn by a fixed seed.

    They are equal when they agree to :data:`AGREE` digits wherever both have a value: at positive whole
    numbers, and at positive and negative fractions unless factorials, binomials or roundings restrict the
    variables to whole numbers. Agreement at whole numbers only is no verdict.
    """
    names = sorted(_names(given) | _names(known))
    if not names:
        return "correct" if _agree(given, known, {}) else "wrong"
    draw = random.Random(20_250_101)
    seen = 0
    for _ in range(_INTEGER_POINTS):
        point = {
            name: mpmath.mpf(whole)
            for name, whole in zip(names, draw.sample(range(2, 9 + len(names)), len(names)), strict=True)
        }
        verdict = _tried(given, known, point)
        if verdict is False:
            return "wrong"
        seen += verdict is True
    whole_only = bool(_functions(given) & _functions(known) & {"factorial", "binom", "floor", "ceil"})
    for number in range(_REAL_POINTS):
        sign = -1 if number % 2 and not whole_only else 1
        point = {name: sign * mpmath.mpf(draw.randint(11, 60)) / draw.choice((7, 13, 17)) for name in names}
        verdict = _tried(given, known, point)
        if verdict is False:
            return "unparsed"
        seen += verdict is True
    return "correct" if seen >= _INTEGER_POINTS // 2 else "unparsed"


def _tried(given: Any, known: Any, point: dict[str, Any]) -> bool | None:
    """Whether two trees agree at a point; None where neither has a value there."""
    try:
        return _agree(given, known, point)
    except (ArithmeticError, ValueError, NoValueError):
        return None


def _agree(given: Any, known: Any, point: dict[str, Any]) -> bool:
    digits = DIGITS
    while True:
        with mpmath.workdps(digits):
            largest = [0]
            left, right = _value(given, point, largest), _value(known, point, largest)
            needed = DIGITS + 2 * max(largest[0], 0)
            if needed <= digits:
                size = max(abs(left), abs(right), mpmath.mpf(10) ** -AGREE)
                return bool(
                    abs(left - right)
                    <= size * mpmath.mpf(10) ** -AGREE / mpmath.mpf(10) ** max(largest[0], 0)
                )
            if needed > DIGITS_MAX:
                raise NoValueError
            digits = needed


def _value(tree: Any, point: dict[str, Any], largest: list[int]) -> Any:
    """The value of a tree; ``largest`` keeps the decimal exponent of the largest number on the way."""
    found = _node(tree, point, largest)
    if not mpmath.isfinite(found):
        raise NoValueError
    size = abs(found)
    if size > 1:
        largest[0] = max(largest[0], int(mpmath.mag(size) * 0.30103))
    return found


def _node(tree: Any, point: dict[str, Any], largest: list[int]) -> Any:  # noqa: PLR0911  (one node a line)
    name, *parts = tree
    if name == "num":
        return mpmath.mpf(int(parts[0], 16)) / int(parts[1], 16)
    if name == "sym":
        return point[parts[0]]
    if name == "const":
        return {"pi": mpmath.pi, "e": mpmath.e, "i": mpmath.mpc(0, 1)}[parts[0]] + 0
    if name == "fn":
        return _function(parts[0], [_value(part, point, largest) for part in parts[1:]])
    values = [_value(part, point, largest) for part in parts]
    if name == "add":
        return mpmath.fsum(values)
    if name == "mul":
        return mpmath.fprod(values)
    base, exponent = values
    if base != 0 and abs(exponent) * abs(mpmath.log(abs(base), 10)) > DIGITS_MAX:
        raise NoValueError
    if base == 0 and mpmath.re(exponent) <= 0:
        raise NoValueError
    return _real_root(base, parts[1]) if base.imag == 0 and base.real < 0 else base**exponent


def _real_root(base: Any, exponent: Any) -> Any:
    """Odd roots of negative numbers are real, as answers mean them; everything else is principal."""
    if exponent[0] == "num" and int(exponent[2], 16) % 2 == 1 and int(exponent[2], 16) > 1:
        above, below = int(exponent[1], 16), int(exponent[2], 16)
        return (-1) ** (above % 2) * abs(base) ** (mpmath.mpf(above) / below)
    whole = exponent[0] == "num" and int(exponent[2], 16) == 1
    return (
        base ** int(exponent[1], 16)
        if whole
        else base ** _value(exponent, {}, [0])
        if exponent[0] == "num"
        else base**exponent
    )


_PLAIN = {
    "sin": mpmath.sin, "cos": mpmath.cos, "tan": mpmath.tan, "cot": mpmath.cot, "sec": mpmath.sec,
    "csc": mpmath.csc, "arcsin": mpmath.asin, "arccos": mpmath.acos, "arctan": mpmath.atan,
    "sinh": mpmath.sinh, "cosh": mpmath.cosh, "tanh": mpmath.tanh, "ln": mpmath.ln, "abs": abs,
}  # fmt: skip


def _function(name: str, values: list[Any]) -> Any:
    first = values[0]
    if name in _PLAIN:
        if name in ("sin", "cos", "tan", "cot", "sec", "csc") and abs(first) > 10**9:
            raise NoValueError
        return _PLAIN[name](first)
    if name == "log":  # of which base is not said: its ratio to the natural one is kept a number of its own
        return mpmath.ln(first) * mpmath.mpf(
            "0.7390851332151606416553120876738734040134117589007574649656806357732846548836"
        )
    if name in ("floor", "ceil", "factorial", "binom", "max", "min", "gcd", "lcm") and any(
        value.imag for value in values
    ):
        raise NoValueError
    if name in ("floor", "ceil"):
        return _rounded(name, mpmath.re(first))
    if name in ("factorial", "binom"):
        if max(abs(value) for value in values) > 3_000:
            raise NoValueError
        return mpmath.factorial(first) if name == "factorial" else mpmath.binomial(*values)
    if name in ("max", "min"):
        return (max if name == "max" else min)(mpmath.re(value) for value in values)
    raise NoValueError


def _rounded(name: str, value: Any) -> Any:
    """Floor or ceiling; a value that is a whole number but for rounding is that number."""
    nearest = mpmath.nint(value)
    if abs(value - nearest) < mpmath.mpf(10) ** -AGREE:
        return nearest
    return mpmath.floor(value) if name == "floor" else mpmath.ceil(value)


def _names(tree: Any) -> set[str]:
    if tree[0] == "sym":
        return {tree[1]}
    return set().union(*(_names(part) for part in tree[1:] if isinstance(part, list)))


def _functions(tree: Any) -> set[str]:
    found = {tree[1]} if tree[0] == "fn" else set()
    return found.union(*(_functions(part) for part in tree[1:] if isinstance(part, list)))


def by_math_verify(given: Any, known: Any) -> str:
    """Math-Verify, read strictly: same letters in the same case, no rounding, no unwrapping of equations."""
    if not all(isinstance(one, str) for one in (given, known)):
        return "unparsed"
    left, right = _sympy(given), _sympy(known)
    if left is None or right is None or left.free_symbols != right.free_symbols:
        return "unparsed"
    if isinstance(left, Relational) is not isinstance(right, Relational):
        return "unparsed"
    same = verify(right, left, float_rounding=30, numeric_precision=60, strict=True, timeout_seconds=None)
    return "correct" if same else "unparsed"


def _sympy(latex: str) -> Any:
    try:
        return latex2sympy(
            latex, normalization_config=None, conversion_config=ConversionConfig(lowercase_symbols=False)
        )
    except Exception:  # noqa: BLE001  (the parser raises bare exceptions: the text is then unread)
        return None


if __name__ == "__main__":
    main()
