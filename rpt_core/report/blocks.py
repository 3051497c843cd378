"""What pages are put together from: cells, tables, figures and lists, for HTML, Markdown and JSON."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, TypeVar

from rpt_core.pages.marks import csv_uri
from rpt_core.pages.words import DASH, amount_text, count_of, ends, flops_of, percent, percent_bare, points
from rpt_core.report.sources import SourceArtifact

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Cell:
    """A number or a few words, with what stands beside it and where it came from."""

    text: str
    detail: str = ""
    """Beside it and muted, such as an interval."""
    source: SourceArtifact | None = None
    """The artifact a number links to."""
    look: str = ""
    """``muted`` or ``chip``, where it is not plain."""
    facts: tuple[str, ...] = ()
    """A line of further facts below, in HTML alone."""
    value: Any = None
    """What the JSON holds in place of the text."""


Inline = Cell | str
NOTHING = Cell(DASH, look="muted")


def share(estimate: Any, source: SourceArtifact | None = None) -> Cell:
    """A share with its 95 % interval, in percent."""
    return _estimated(estimate, percent, percent_bare, source)


def gain(estimate: Any, source: SourceArtifact | None = None) -> Cell:
    """A difference of shares with its 95 % interval, in points."""
    return _estimated(estimate, points, points, source)


def amount(estimate: Any, source: SourceArtifact | None = None) -> Cell:
    """A number of something with its 95 % interval."""
    return _estimated(estimate, amount_text, amount_text, source)


def mean_count(estimate: Any, source: SourceArtifact | None = None) -> Cell:
    """A mean of large counts with its 95 % interval, in whole numbers."""
    return _estimated(estimate, count_of, count_of, source)


def nats(estimate: Any, source: SourceArtifact | None = None) -> Cell:
    """An entropy or a likelihood with its 95 % interval, to a thousandth."""
    return _estimated(estimate, "{:.3f}".format, "{:.3f}".format, source)


def _estimated(estimate: Any, whole: Any, end: Any, source: SourceArtifact | None) -> Cell:
    if not estimate:
        return NOTHING
    value = estimate["value"] if isinstance(estimate, dict) else estimate.value
    return Cell(whole(value), f"[{ends(estimate, end)}]", source, value=estimate)


def count(number: float) -> Cell:
    """How many."""
    return Cell(count_of(number), value=number)


def flops(number: float) -> Cell:
    """Operations."""
    return Cell(flops_of(number), value=number)


def by_seed(numbers: Sequence[float], form: Callable[[float], str] = count_of) -> Cell:
    """One number per seed."""
    return Cell(" ".join(map(form, numbers)), value=list(numbers))


def chip(word: str) -> Cell:
    """A verdict in its colour."""
    return Cell(word, look="chip")


def say(text: str, *cells: Cell) -> tuple[Inline, ...]:
    """A paragraph with numbers in it, each where the text says ``{}``."""
    first, *rest = text.split("{}")
    return (first, *(part for pair in zip(cells, rest, strict=True) for part in pair))


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """A box under the title: what a reader in a hurry takes away."""

    number: Cell
    name: str
    below: str = ""

    @classmethod
    def of(cls, cell: Cell, name: str, below: str = "") -> "KeyFigure":
        """A number with its interval in the line below, unless that says something else."""
        return cls(
            Cell(cell.text, source=cell.source), name, below or cell.detail[1:-1].replace(", ", " to ")
        )


Row = Sequence[Inline]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of numbers under a head; the first cell of a row is its name."""

    kind: ClassVar[str] = "table"
    head: Sequence[str]
    rows: Sequence[Row] = ()
    groups: Sequence[tuple[str, Sequence[Row]]] = ()
    """Headings with their rows, where the rows are grouped."""
    total: Row | None = None
    words: frozenset[int] = frozenset()
    """Columns of words, which are left-aligned; all others but the first hold numbers."""
    narrow: bool = False
    caption: str = ""

    @classmethod
    def of(
        cls, name: str, items: Iterable[Item], columns: Mapping[str, Callable[[Item], Inline]], **more: Any
    ) -> "Table":
        """One row per item, a string or of a ``name``; one column per function of it. ``name`` heads them."""
        rows = [(_name(one), *(column(one) for column in columns.values())) for one in items]
        return cls((name, *columns), rows, **more)

    def parts(self) -> Sequence[tuple[str, Sequence[Row]]]:
        """The rows under their headings; an empty heading for none."""
        return self.groups or (("", self.rows),)


def _name(item: Any) -> str:
    return item if isinstance(item, str) else item.name


@dataclass(frozen=True, slots=True)
class Card:
    """A figure."""

    kind: ClassVar[str] = "card"
    svg: str
    title: str = ""
    caption: str = ""
    width: int = 0
    """The most pixels it may take; 0 for all there are."""
    file: str = "figure"
    """Name that its numbers are downloaded under, without an ending."""
    data: Sequence[Mapping[str, Any]] = ()
    """The numbers that are drawn, a row a mark."""

    @property
    def download(self) -> str:
        """An address that holds the numbers as CSV."""
        return csv_uri(self.data)


@dataclass(frozen=True, slots=True)
class Columns:
    """Blocks side by side, where the page is wide enough."""

    kind: ClassVar[str] = "columns"
    blocks: "Sequence[Block]"

    @property
    def look(self) -> str:
        """How many there are, in words of the style sheet."""
        return "three" if len(self.blocks) == 3 else "two"


@dataclass(frozen=True, slots=True)
class Notes:
    """A list of sentences."""

    kind: ClassVar[str] = "notes"
    sentences: Sequence[str]


@dataclass(frozen=True, slots=True)
class Rollouts:
    """Questions (tail, truth, entropy_nats) with answers (name, thought, prediction, verdict), as cards."""

    kind: ClassVar[str] = "rollouts"
    rollouts: Sequence[Mapping[str, Any]]


Block = str | tuple[Inline, ...] | Table | Card | Columns | Notes | Rollouts
"""A string is a paragraph; so is a tuple of words and numbers."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: Sequence[Block]


LOOK = frozenset({"svg", "width", "narrow", "words", "file"})
"""Fields that only say how a block is drawn."""


def plain(value: Any) -> Any:
    """The JSON form of blocks and of what they hold: numbers where there are numbers, no drawings."""
    if isinstance(value, Cell):
        return f"{value.text} {value.detail}".strip() if value.value is None else plain(value.value)
    if hasattr(value, "as_json"):
        return value.as_json()
    if is_dataclass(value):
        names = [field.name for field in fields(value) if field.name not in LOOK]
        return {name: plain(one) for name in names if (one := getattr(value, name)) not in ((), None, "")}
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value
