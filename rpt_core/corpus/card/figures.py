"""The card's pictures: what became of every row, how long documents are, what was measured on them.

All are drawn in the light palette; :mod:`rpt_core.pages.ink` turns them into themed SVG. Names of sources
come from the data, so no text is read as a formula.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter
from numpy import log1p

from rpt_core.pages.ink import LIGHT, bare, new_figure
from rpt_core.pages.words import clip, count_of, percent, short_number

WIDTH = 440
REASONS_SHOWN = 9
"""Of a source, the commonest; the rest are one bar."""
NAME_CHARS = 24
MEASURES = {
    "word_chars": "characters a word",
    "letter_share": "words with a letter",
    "symbol_share": "# and … per word",
    "bullet_share": "lines with a bullet",
    "ellipsis_share": "lines ending in …",
    "ended_share": "lines with an end mark",
    "repeated_line_share": "repeated lines",
    "top_ngram_share": "top phrase / its limit",
    "repeated_ngram_share": "repeated phrases",
    "stop_words": "stop words, of 12",
    "formula_share": "formulas and code",
}
"""What the rules look at, in words."""


@dataclass(frozen=True, slots=True)
class Ridge:
    """One row of distributions: its name, its histogram, and a mark."""

    name: str
    edges: Sequence[float]
    counts: Sequence[int]
    mark: float | None = None


def balance_figure(rows: Mapping[str, Any], reasons: Sequence[str]) -> Figure:
    """One source from what came in to what was kept, a step down for every reason.

    Args:
        rows: Its balance.
        reasons: All reasons in the order of the steps.
    """
    steps = _steps(rows, reasons)
    height = 34 + 24 * (len(steps) + 2)
    figure = new_figure(WIDTH, height)
    axes = figure.add_axes((0.315, 24 / height, 0.66, 1 - 28 / height))
    bare(axes)
    total = rows["rows_in"]
    bars = [("in", 0, total, LIGHT.before)]
    left = total
    for reason, num in steps:
        left -= num
        bars.append((reason, left, num, LIGHT.finetuned))
    bars.append(("kept", 0, rows["kept"], LIGHT.after))
    for y, (_, start, num, colour) in enumerate(bars):
        axes.barh(
            y, num / total, left=start / total, height=0.62, color=colour, edgecolor=colour, linewidth=0.8
        )
        share = "" if y == 0 else f" ({percent(num / total)})"
        axes.text(
            (start + num) / total + 0.015,
            y,
            f"{count_of(num) if num else 0}{share}",
            va="center",
            fontsize=11,
        )
    axes.set_yticks(range(len(bars)), [name for name, *_ in bars], color=LIGHT.ink)
    axes.set_ylim(len(bars) - 0.5, -0.55)
    axes.set_xlim(0, 1.34)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(axis="x")
    return figure


def _steps(rows: Mapping[str, Any], reasons: Sequence[str]) -> list[tuple[str, int]]:
    """The commonest reasons in the order of the steps, the rest as one."""
    dropped: Mapping[str, int] = rows["dropped"]
    common = set(sorted(dropped, key=lambda reason: (-dropped[reason], reason))[:REASONS_SHOWN])
    shown = [(reason, dropped[reason]) for reason in reasons if reason in common]
    rest = sum(dropped.values()) - sum(num for _, num in shown)
    return [*shown, ("other reasons", rest)] if rest else shown


def ridges_figure(ridges: Sequence[Ridge], label: str, *, log: bool, limit: float | None = None) -> Figure:
    """Distributions one above the other, each as high as its commonest bin.

    Args:
        ridges: From the top down.
        label: What is on the axis.
        log: Whether its scale is logarithmic; then no edge may be below 1.
        limit: Drawn through all rows.
    """
    height = 46 + 46 * len(ridges)
    figure = new_figure(WIDTH, height)
    axes = figure.add_axes((0.235, 38 / height, 0.73, 1 - 44 / height))
    bare(axes)
    if log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(10))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    for y, ridge in enumerate(ridges):
        edges = [max(edge, 1.0) for edge in ridge.edges] if log else list(ridge.edges)
        _ridge(axes, y, edges, [0.78 * num / max(*ridge.counts, 1) for num in ridge.counts])
        if ridge.mark is not None:
            mark = max(ridge.mark, 1.0) if log else ridge.mark
            axes.plot([mark, mark], [y, y - 0.86], color=LIGHT.ink, linewidth=1.4)
    if limit is not None:
        axes.axvline(limit, color=LIGHT.fails, linewidth=1.2, linestyle=(0, (3, 2)))
    axes.set_yticks(
        range(len(ridges)),
        [clip(ridge.name, NAME_CHARS) for ridge in ridges],
        color=LIGHT.ink,
        parse_math=False,
    )
    axes.tick_params(axis="y", pad=6)
    axes.set_ylim(len(ridges) - 0.86, -1.0)
    axes.set_xlabel(label)
    axes.grid(axis="x")
    return figure


def _ridge(
    axes: Axes, base: float, edges: Sequence[float], heights: Sequence[float], colour: str = LIGHT.medium
) -> None:
    """A histogram as one area that stands on a line."""
    ends = [base - height for height in heights]
    axes.fill_between(edges, [*ends, ends[-1]], base, step="post", color=colour, linewidth=0, alpha=0.85)
    axes.plot([edges[0], edges[-1]], [base, base], color=LIGHT.muted, linewidth=0.6)


def bars_figure(rows: Sequence[tuple[str, int]], colour: str = LIGHT.medium) -> Figure:
    """Counts as bars, each with its number."""
    height = 12 + 24 * len(rows)
    figure = new_figure(WIDTH, height)
    axes = figure.add_axes((0.26, 4 / height, 0.70, 1 - 8 / height))
    bare(axes)
    most = max(num for _, num in rows)
    for y, (_, num) in enumerate(rows):
        axes.barh(y, num / most, height=0.62, color=colour)
        axes.text(num / most + 0.015, y, count_of(num), va="center", fontsize=11)
    axes.set_yticks(
        range(len(rows)), [clip(name, NAME_CHARS) for name, _ in rows], color=LIGHT.ink, parse_math=False
    )
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, 1.2)
    axes.set_xticks([])
    return figure


def measures_figure(found: Mapping[str, Any]) -> Figure:
    """What was measured on the documents of one source, with the limits of its rules.

    Heights are logarithmic: what lies beyond a limit is rare, and should be seen.
    """
    shown = [name for name in MEASURES if name in found["of"]]
    height = 26 + 44 * len(shown)
    figure = new_figure(WIDTH, height)
    axes = figure.add_axes((0.345, 8 / height, 0.5, 1 - 34 / height))
    bare(axes)
    for y, name in enumerate(shown):
        _measure(axes, y, found["of"][name])
        broken = found["broken"].get(name, 0)
        axes.text(
            1.22, y - 0.18, count_of(broken) if broken else "0", ha="right", va="center", fontsize=11,
            color=LIGHT.fails if broken else LIGHT.muted, fontweight="bold" if broken else "normal",
        )  # fmt: skip
    axes.text(1.22, -0.97, "break the rule", ha="right", va="center", fontsize=10, color=LIGHT.muted)
    axes.set_yticks(range(len(shown)), [MEASURES[name] for name in shown], color=LIGHT.ink, va="bottom")
    axes.set_ylim(len(shown) - 0.6, -0.85)
    axes.set_xlim(0, 1)
    axes.set_xticks([])
    return figure


def _measure(axes: Axes, base: float, found: Mapping[str, Any]) -> None:
    """One measure over its range, which is written below its ends."""
    low, high, counts = found["low"], found["high"], found["counts"]
    edges = [number / len(counts) for number in range(len(counts) + 1)]
    most = float(log1p(max(*counts, 1)))
    _ridge(axes, base, edges, [0.52 * float(log1p(num)) / most for num in counts])
    places = [
        (min(max((limit - low) / (high - low), 0.0), 1.0), limit)
        for limit in found["limits"]
        if limit is not None
    ]
    for place, limit in places:
        axes.plot([place, place], [base, base - 0.6], color=LIGHT.fails, linewidth=1.3)
        _under(axes, place, base, limit, LIGHT.fails)
    for place, end in ((0.0, low), (1.0, high)):
        if all(abs(place - other) > 0.11 for other, _ in places):
            _under(axes, place, base, end, LIGHT.muted)


def _under(axes: Axes, place: float, base: float, value: float, colour: str) -> None:
    side = "left" if place < 0.03 else "right" if place > 0.97 else "center"
    axes.text(place, base + 0.03, f"{value:g}", ha=side, va="top", fontsize=8.5, color=colour)
