"""Every compiled pattern of the package, and inputs that double."""

import importlib.util
import inspect
import pkgutil
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import rpt_core

METHODS = ("search", "match", "fullmatch", "sub", "subn", "split", "finditer", "findall")
LETTERS = [*"aA1é中.,;:!?-_=+*/#%&~^<>()[]{}|\\$`'\"@"]
BLANKS = [" ", "\t", "\n", "\r\n", " \n", "\n ", "\u00a0", "\u3000"]
MIXED = [
    "ab ",
    "a.",
    "a, ",
    "1.",
    "1,",
    "a-",
    "{}",
    "[]",
    "()",
    "{{",
    "}}",
    "[[",
    "]]",
    "\\a",
    "\\a{",
    "a=",
    "|a",
    "$a$",
    "$$",
    "<a>",
    "</a>",
    "<!--",
    "&amp;",
    "'' ",
    "A. ",
    "a@",
    "@a.",
    "10.",
    "::",
    "\\\\",
    "\\{",
    "a'",
]
"""Units of repeated text, beside a pattern's own literal pieces."""


@dataclass(frozen=True)
class Found:
    """One pattern, where it stands, and how the code there uses it."""

    name: str
    pattern: re.Pattern
    methods: tuple[str, ...]


def modules() -> Iterator[ModuleType]:
    """Every module of the package that compiles a pattern."""
    for info in pkgutil.walk_packages(rpt_core.__path__, "rpt_core."):
        spec = importlib.util.find_spec(info.name)
        if spec and spec.origin and "re.compile(" in Path(spec.origin).read_text("utf-8"):
            yield importlib.import_module(info.name)


def patterns() -> dict[str, Found]:
    """Every pattern by the name of its module and variable."""
    found: dict[str, Found] = {}
    seen: set[tuple[str | bytes, int, str]] = set()
    found_in = list(modules())
    whole = "\n".join(map(inspect.getsource, found_in))
    for module in found_in:
        own = inspect.getsource(module)
        for variable, value in vars(module).items():
            for number, pattern in enumerate(_inside(value)):
                name = f"{module.__name__.removeprefix('rpt_core.')}.{variable}" + (
                    f"[{number}]" if number else ""
                )
                key = (pattern.pattern, pattern.flags, module.__name__)
                if key not in seen:
                    seen.add(key)
                    found[name] = Found(
                        name, pattern, _methods(own if variable[0] == "_" else whole, variable, value)
                    )
    return dict(sorted(found.items()))


def _inside(value: object, depth: int = 0) -> Iterator[re.Pattern]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict) and depth < 4:
        for item in (*value, *value.values()):
            yield from _inside(item, depth + 1)
    elif isinstance(value, list | tuple | set | frozenset) and depth < 4:
        for item in value:
            yield from _inside(item, depth + 1)


def _methods(source: str, variable: str, value: object) -> tuple[str, ...]:
    """How the module, or for a public name any, uses it; what is taken out of a table is searched with."""
    if not isinstance(value, re.Pattern):
        return ("search", "sub")
    used = {method for method in METHODS if re.search(rf"\b{variable}\.{method}\b", source)}
    return tuple(sorted(used)) or ("search",)


def literals(pattern: re.Pattern) -> list[str]:
    """Runs of literal characters of a pattern, and one text that each of its alternatives begins with."""
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    plain = re.sub(r"\\[AbBdDsSwWZ]|\(\?[a-zA-Z<!=:>]*|[\[\]()|*+?^$]|\{\d*,?\d*\}", "\0", text)
    pieces = {re.sub(r"\\(.)", r"\1", piece) for piece in plain.split("\0")}
    return sorted(piece for piece in pieces if 0 < len(piece) <= 40)


def texts(unit: str, size: int, heads: tuple[str, ...] = ()) -> tuple[str, ...]:
    """A unit to the end; with what stops it; on a line of its own; behind what the pattern may begin with."""
    run = unit * (size // len(unit))
    return (run, f"x{run}\x01y", f"\n{run}\x01", *(f"{head}x{run}\x01y" for head in heads))


def calls(found: Found, text: str) -> Iterator[Callable[[], object]]:
    """The pattern applied to a text as the code applies it."""
    given = text if isinstance(found.pattern.pattern, str) else text.encode()
    for method in found.methods:
        bound = getattr(found.pattern, method)
        if method in ("sub", "subn"):
            yield lambda bound=bound: bound(given[:0], given)
        elif method == "finditer":
            yield lambda bound=bound: sum(1 for _ in bound(given))
        else:
            yield lambda bound=bound: bound(given)


def seconds(call: Callable[[], object]) -> float:
    """CPU seconds, the best of two."""
    best = sys.float_info.max
    for _ in range(2):
        began = time.process_time()
        call()
        best = min(best, time.process_time() - began)
    return best


def growth(make: Callable[[int], Callable[[], object]], size: int, budget: float) -> list[float]:
    """CPU seconds at doubling sizes: until the budget is spent, or growth was plainly linear, or six."""
    taken: list[float] = []
    for step in range(6):
        taken.append(seconds(make(size << step)))
        if taken[-1] > budget or (taken[-1] > CLEAR_SECONDS and _is_linear(taken[-3:])):
            break
    return taken


CLEAR_SECONDS = 0.004
"""Long enough that a doubling tells more than noise."""


def _is_linear(taken: list[float]) -> bool:
    return len(taken) == 3 and taken[2] < 2.6 * taken[1] and taken[1] < 2.6 * taken[0]


def is_super_linear(taken: list[float]) -> bool:
    """Whether doubling the text multiplies the time by more than three, twice in a row, beyond the noise."""
    return len(taken) > 2 and taken[-1] > 0.02 and taken[-1] > 3 * taken[-2] and taken[-2] > 3 * taken[-3]
