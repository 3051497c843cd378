"""Colours, type and export of figures: one drawing serves a light page, a dark page and a PNG.

A figure is drawn once with the light palette. In a page its colours become CSS variables, so that the
same SVG follows the reader's theme; a PNG keeps the light ones.
"""

import base64
import io
import re
import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from html import escape

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rpt_core.pages.marks import Chart, named

PIXELS_PER_INCH = 72
"""Figures are laid out in CSS pixels; an SVG of Matplotlib has 72 units to the inch."""


@dataclass(frozen=True, slots=True)
class Palette:
    """One colour per role; every value differs from all others, because roles are found by value."""

    paper: str
    ink: str
    muted: str
    grid: str
    before: str
    after: str
    finetuned: str
    easy: str
    medium: str
    hard: str
    holds: str
    fails: str
    undecided: str

    def css(self) -> str:
        """The roles as declarations of CSS variables."""
        return " ".join(f"--{field.name}: {getattr(self, field.name)};" for field in fields(self))


LIGHT = Palette(
    paper="#fcfbf8", ink="#1c2230", muted="#687080", grid="#e6e3db",
    before="#98a1b0", after="#0d7a70", finetuned="#c7511a",
    easy="#7db3dd", medium="#3a81bd", hard="#17457a",
    holds="#1a7f4b", fails="#b3372f", undecided="#946200",
)  # fmt: skip
DARK = Palette(
    paper="#14161c", ink="#ebe8e2", muted="#9ba2b0", grid="#2b303b",
    before="#7c8596", after="#35cdb9", finetuned="#ff9a5c",
    easy="#5286bd", medium="#82b6e8", hard="#cfe5ff",
    holds="#4fce8d", fails="#ff8277", undecided="#e3b04b",
)  # fmt: skip

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 12,
    "svg.fonttype": "none",
    "axes.edgecolor": LIGHT.grid,
    "axes.labelcolor": LIGHT.muted,
    "axes.titlecolor": LIGHT.ink,
    "text.color": LIGHT.ink,
    "xtick.color": LIGHT.muted,
    "ytick.color": LIGHT.muted,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.major.size": 0,
    "figure.facecolor": LIGHT.paper,
    "axes.facecolor": "none",
    "grid.color": LIGHT.grid,
    "grid.linewidth": 1.0,
    "lines.solid_capstyle": "round",
}


def style() -> AbstractContextManager[None]:
    """The context every figure is drawn and saved in."""
    return mpl.rc_context(STYLE)


def new_figure(width: float, height: float) -> Chart:
    """An empty figure of some CSS pixels, bound to no window and no global state."""
    figure = Chart(figsize=(width / PIXELS_PER_INCH, height / PIXELS_PER_INCH), dpi=PIXELS_PER_INCH)
    FigureCanvasAgg(figure)
    return figure


def bare(axes: Axes) -> None:
    """Only the grid across the reading direction; no box."""
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_axisbelow(True)


def as_png(figure: Figure, scale: float = 2.0) -> bytes:
    """The figure as PNG, the same bytes every time."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=PIXELS_PER_INCH * scale, metadata={"Software": None})
    return buffer.getvalue()


def as_data_uri(figure: Figure, name: str) -> str:
    """The figure as an image within its own address, for pages that show no other: light colours."""
    svg = _drawn(figure, name, transparent=False)
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def as_svg(figure: Figure, name: str, label: str) -> str:
    """The figure as an SVG element for a page: colours are variables, type is the page's, marks have titles.

    Args:
        figure: Drawn with :data:`LIGHT`.
        name: Distinct per figure of a page; keeps the ids inside apart.
        label: What it shows, for readers who do not see it.
    """
    svg = named(_drawn(figure, name, transparent=True), figure, name)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'font: ([\d.]+px) [^;"]*', r"font-size: \1; font-family: inherit", svg)
    for field in fields(Palette):
        svg = svg.replace(getattr(LIGHT, field.name), f"var(--{field.name})")
    opening = svg[: svg.index(">")]
    box = re.search(r'viewBox="[^"]*"', opening)
    assert box, "Matplotlib writes a viewBox"
    described = f'<svg xmlns="http://www.w3.org/2000/svg" {box[0]} role="img" aria-label="{escape(label)}"'
    linked = ' xmlns:xlink="http://www.w3.org/1999/xlink"'
    return described + linked + svg[svg.index(">") :]


def _drawn(figure: Figure, name: str, *, transparent: bool) -> str:
    """The SVG element as Matplotlib writes it, the same bytes every time."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}), warnings.catch_warnings():
        # the page's font draws the letters; ours only measures them
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(
            buffer, format="svg", transparent=transparent, metadata={"Date": None, "Creator": None}
        )
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]
