"""What a reader can point at in a figure: every mark with its words, and the numbers behind it."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rpt_core.pages.words import slug

Number = float | int | str | None


@dataclass(frozen=True, slots=True)
class Mark:
    """One point or bar."""

    words: str
    """What a reader sees who points at it."""
    row: Mapping[str, Number]
    """Its numbers by name, as a row of the figure's data."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Points or bars that were drawn together, in the order they were drawn."""

    group: str
    """Id of their group in the SVG."""
    marks: Sequence[Mark]


class Chart(Figure):
    """A figure that knows what its marks stand for."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.marks: list[Marks] = []

    @property
    def data(self) -> list[Mapping[str, Number]]:
        """A row for every mark."""
        return [mark.row for several in self.marks for mark in several.marks]


def mark(axes: Axes, artist: Artist, marks: Sequence[Mark]) -> None:
    """Say what the points or bars of one artist stand for.

    Args:
        axes: Of a :class:`Chart`; elsewhere there is nobody to tell.
        artist: A line with markers, or one bar.
        marks: One for each of its points, in order.
    """
    chart = axes.get_figure(root=True)
    if isinstance(chart, Chart) and marks:
        group = f"marks-{len(chart.marks)}"
        artist.set_gid(group)
        chart.marks.append(Marks(group, tuple(marks)))


_TAG = re.compile(r"<(/?)g\b[^<>]*?(/?)>")
_USE = re.compile(r"<use\b[^<>]*?/>")
_PATH = re.compile(r"<path\b[^<>]*?/>")


def named(svg: str, chart: Figure, name: str) -> str:
    """The SVG with a title in every mark, which a browser shows to whoever points at it.

    A point beyond the canvas is not in the SVG; the marks of its group then go without titles, for it cannot
    be told which is which. Their numbers are in the figure's data all the same.

    Args:
        svg: As Matplotlib wrote it.
        chart: What was drawn.
        name: Of the figure, distinct in a page; it goes before the groups' ids.
    """
    for several in chart.marks if isinstance(chart, Chart) else ():
        opening = f'<g id="{several.group}">'
        start = svg.index(opening)
        end = _end_of_group(svg, start)
        body = svg[start:end]
        shapes = _USE if _USE.search(body) else _PATH
        if len(shapes.findall(body)) == len(several.marks):
            body = _titled(body, shapes, several.marks)
        own = f'<g id="{slug(name)}-{several.group}" class="marks">'
        svg = svg[:start] + body.replace(opening, own) + svg[end:]
    return svg


def _titled(group: str, shapes: re.Pattern[str], marks: Sequence[Mark]) -> str:
    """A group with the words of each mark in its shape."""
    left = iter(marks)

    def title(found: re.Match[str]) -> str:
        tag = found[0][1 : found[0].index(" ")]
        return f"{found[0][:-2]}><title>{escape(next(left).words)}</title></{tag}>"

    return shapes.sub(title, group)


def _end_of_group(svg: str, start: int) -> int:
    """Where the group that opens at a place ends."""
    depth = 0
    for found in _TAG.finditer(svg, start):
        depth += -1 if found[1] else 0 if found[2] else 1
        if depth == 0:
            return found.end()
    raise ValueError("the group is not closed: this is no SVG that Matplotlib wrote")


def as_csv(rows: Sequence[Mapping[str, Number]]) -> str:
    """Rows as CSV under all the names that any of them has."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def csv_uri(rows: Sequence[Mapping[str, Number]]) -> str:
    """The same as an address that holds it: a page that loads nothing offers it as a download."""
    return f"data:text/csv;charset=utf-8,{quote(as_csv(rows))}"
