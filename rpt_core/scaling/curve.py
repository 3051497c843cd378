"""The picture of a scaling law: accuracy over compute, one colour per tier."""

from itertools import pairwise
from math import ceil, floor
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from rpt_core.artifacts.build import GIGA
from rpt_core.pages.ink import LIGHT, as_png, bare, new_figure, style
from rpt_core.pages.marks import Mark, mark
from rpt_core.pages.words import ends, percent, percent_bare, short_number

COLOURS = (LIGHT.easy, LIGHT.medium, LIGHT.hard)


def draw_curve(fit: dict[str, Any]) -> bytes:
    """``curve.png``: the points with their intervals and the fitted laws.

    Args:
        fit: The content of ``fit.json``.
    """
    with style():
        figure = new_figure(620, 400)
        axes = figure.add_axes((0.1, 0.14, 0.76, 0.76))
        plot_curve(axes, fit)
        axes.set_title("Accuracy over training compute", loc="left", fontsize=13, fontweight="bold", pad=12)
        return as_png(figure)


def plot_curve(axes: Axes, fit: dict[str, Any]) -> None:
    """Points with 95 % intervals, and for each identified law its curve with a band.

    Tiers whose law is undecided keep their points, joined by a thin dotted line that claims nothing.
    """
    bare(axes)
    drawn = [(tier, found) for tier, found in fit["tiers"].items() if found["points"]]
    for index, (tier, found) in enumerate(drawn):
        colour = COLOURS[index % len(COLOURS)]
        _plot_law(axes, found["power_law"], colour)
        _plot_points(axes, tier, found, colour, shift=1 + 0.02 * (index - (len(drawn) - 1) / 2))
    if not drawn:
        axes.text(
            0.5,
            0.5,
            "no checkpoints were evaluated",
            ha="center",
            transform=axes.transAxes,
            color=LIGHT.muted,
        )
        axes.set_xticks([])
        axes.set_yticks([])
        return
    points = [point for _, found in drawn for point in found["points"]]
    _scale(axes, points)
    ends = [(found["points"][-1]["gflops"], found["points"][-1]["value"]) for _, found in drawn]
    for index, y in enumerate(_apart([y for _, y in ends], axes)):
        axes.annotate(
            drawn[index][0], (ends[index][0], y), xytext=(10, 0), textcoords="offset points",
            va="center", color=COLOURS[index % len(COLOURS)], fontweight="bold", annotation_clip=False,
        )  # fmt: skip


def _plot_points(axes: Axes, tier: str, found: dict[str, Any], colour: str, shift: float) -> None:
    points = found["points"]
    x = [point["gflops"] * shift for point in points]
    y = [point["value"] for point in points]
    known = [point for point in points if point["low"] is not None]
    axes.vlines(
        [point["gflops"] * shift for point in known], [point["low"] for point in known],
        [point["high"] for point in known], color=colour, linewidth=1.6, alpha=0.55,
    )  # fmt: skip
    if found["power_law"]["curve"] is None:
        axes.plot(x, y, color=colour, linewidth=1.0, linestyle=(0, (1, 3)))
    (dots,) = axes.plot(
        x, y, "o", color=colour, markersize=6.5, markeredgecolor=LIGHT.paper, markeredgewidth=1.2
    )
    mark(axes, dots, [_mark(tier, point) for point in points])


def _mark(tier: str, point: dict[str, Any]) -> Mark:
    """A checkpoint in words and numbers."""
    words = f"{tier}, {short_number(point['gflops'] * GIGA)} operations: {percent(point['value'])}"
    interval = f" [{ends(point, percent_bare)}]"
    names = [name for name in ("step", "gflops", "value", "low", "high") if name in point]
    return Mark(words + interval, {"tier": tier} | {str(name): point[name] for name in names})


def _plot_law(axes: Axes, law: dict[str, Any], colour: str) -> None:
    if law["curve"] is None:
        return
    x, y, low, high = ([point[name] for point in law["curve"]] for name in ("gflops", "value", "low", "high"))
    axes.fill_between(x, low, high, color=colour, alpha=0.14, linewidth=0)
    axes.plot(x, y, color=colour, linewidth=2.0)


def _apart(heights: list[float], axes: Axes) -> list[float]:
    """The same heights, pushed apart until labels of one line each do not touch."""
    low, high = axes.get_ylim()
    line = 0.058 * (high - low)
    order = sorted(range(len(heights)), key=heights.__getitem__)
    placed = list(heights)
    for _ in range(50):
        for below, above in pairwise(order):
            overlap = line - (placed[above] - placed[below])
            if overlap > 0:
                placed[below] -= overlap / 2
                placed[above] += overlap / 2
    return placed


def _scale(axes: Axes, points: list[dict[str, Any]]) -> None:
    gflops = [point["gflops"] for point in points]
    lows = [point["value"] if point["low"] is None else point["low"] for point in points]
    highs = [point["value"] if point["high"] is None else point["high"] for point in points]
    axes.grid(axis="y")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("training compute, GFLOPs")
    bottom = floor(10 * (min(lows) - 0.02)) / 10
    axes.set_ylim(max(0.0, bottom) if bottom > 0.25 else 0.0, min(1.0, ceil(10 * (max(highs) + 0.02)) / 10))
    if max(gflops) > 4 * min(gflops):
        axes.set_xscale("log")
        subs = (1.0,) if max(gflops) > 500 * min(gflops) else (1.0, 2.0, 5.0)
        axes.xaxis.set_major_locator(LogLocator(10, subs=subs))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
