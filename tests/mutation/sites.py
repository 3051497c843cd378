"""Where a file can be mutated, and the mutated text."""

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

from cosmic_ray.ast import Visitor, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names

LEFT_OUT = ("core/VariableReplacer", "core/VariableInserter")
"""Operators that need the names of variables told."""

SIGNATURES = frozenset({"parameters", "lambdef"})
"""Parso's nodes whose own operators separate parameters."""

GUARDS = frozenset({"frozen", "slots", "kw_only", "strict"})

Position = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: an operator of Cosmic Ray at one place of one file."""

    path: str
    operator: str
    occurrence: int
    """Which of the operator's places in the file, from 0."""
    start: Position
    """Line, from 1, and column, from 0."""

    @property
    def family(self) -> str:
        """The kind of operator: ``core/ReplaceComparisonOperator`` for all pairs of comparisons."""
        return self.operator.split("_")[0]


class _Finder(Visitor):
    """Every place at which an operator applies, by operator, in the order in which Cosmic Ray counts them."""

    def __init__(self) -> None:
        self.starts: dict[str, list[Position]] = {
            name: [] for name in operator_names() if name not in LEFT_OUT
        }
        self.markers: set[Position] = set()
        """The ``*`` and ``/`` of signatures: Cosmic Ray counts them, but nothing is multiplied there."""

    def visit(self, node: Any) -> Any:
        if node.type == "operator" and node.parent.type in SIGNATURES:
            self.markers.add(node.start_pos)
        for name, starts in self.starts.items():
            starts += [start for start, _ in _operator(name).mutation_positions(node)]
        return node


def mutants_of(path: str, source: str) -> list[Mutant]:
    """Every mutant of a file in code that decides something, see :func:`_silent`."""
    finder, silent = _Finder(), _silent(source)
    finder.walk(get_ast(source))
    return [
        Mutant(path, name, i, start)
        for name, starts in finder.starts.items()
        for i, start in enumerate(starts)
        if start not in finder.markers and not any(begin <= start < end for begin, end in silent)
    ]


def sites_of(path: str, source: str) -> list[tuple[Mutant, ...]]:
    """The mutants of a file by place and kind of operator: ``a + b`` is one site with eleven mutants."""

    def by_site(mutant: Mutant) -> tuple[Position, str]:
        return mutant.start, mutant.family

    return [tuple(group) for _, group in groupby(sorted(mutants_of(path, source), key=by_site), by_site)]


def mutated(mutant: Mutant, source: str) -> str | None:
    """The file with the fault in it; None where the result is no Python or says the same."""
    text = mutate_code(source, _operator(mutant.operator), mutant.occurrence)
    if text is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # `x is 3`: a fault like any other
            same = ast.dump(ast.parse(text)) == ast.dump(ast.parse(source))
    except SyntaxError:
        return None
    return None if same else text


def one_of(site: tuple[Mutant, ...], source: str, random: Random) -> tuple[Mutant, str] | None:
    """A mutant of a site, drawn evenly among those that are another program."""
    for mutant in random.sample(site, len(site)):
        text = mutated(mutant, source)
        if text is not None:
            return mutant, text
    return None


def changed_line(source: str, text: str) -> tuple[str, str]:
    """The first line that differs, before and after, without its indentation."""
    before, after = source.splitlines(), text.splitlines()
    for old, new in zip(before, after, strict=False):
        if old != new:
            return old.strip(), new.strip()
    return before[-1].strip(), after[-1].strip()


def python_files(root: Path, package: str) -> Iterator[str]:
    """The files of a package, or the file itself, relative to ``root``."""
    if (root / package).is_file():
        yield package
    for path in sorted((root / package).rglob("*.py")):
        yield path.relative_to(root).as_posix()


@cache
def _operator(name: str) -> Operator:
    return get_operator(name)()


def _silent(source: str) -> list[tuple[Position, Position]]:
    """Ranges that decide nothing a test could see.

    Annotations; the guards a class or a call gives its own author (``frozen``, ``slots``, ``kw_only`` of a
    dataclass, ``strict`` of ``zip``, where the lengths agree by construction); the bodies of protocols.
    """
    return [_range(node) for tree in ast.walk(ast.parse(source)) for node in _silent_parts(tree)]


def _silent_parts(node: ast.AST) -> Iterator[ast.expr | ast.stmt | ast.keyword]:
    for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
        if isinstance(part, ast.expr):
            yield part
    if isinstance(node, ast.Call):
        yield from (k for k in node.keywords if k.arg in GUARDS)
    if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in node.bases):
        yield from node.body


def _range(node: ast.expr | ast.stmt | ast.keyword) -> tuple[Position, Position]:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    column = 0 if first < node.lineno else node.col_offset
    return (first, column), (node.end_lineno, node.end_col_offset)
