"""The reports' pictures: accuracy by tier, over compute and over training, and where a gain comes from.

All are drawn in the light palette; :mod:`rpt_core.pages.ink` turns them into themed SVG or PNG.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, PercentFormatter

from rpt_core.evaluation.statistics.intervals import Estimate, Floats
from rpt_core.evaluation.strategy import Split
from rpt_core.pages.ink import LIGHT, as_svg, bare, new_figure
from rpt_core.pages.marks import Chart, Mark, mark
from rpt_core.pages.words import ends, percent, percent_bare, points, short_number
from rpt_core.report.blocks import Card
from rpt_core.report.models import Evaluated, Model
from rpt_core.scaling.curve import plot_curve

MODE_NAMES = {"plain": "plain next token", "reasoning": "thinks if it likes", "forced": "made to think"}
ROW, GAP = 1.0, 0.9
COLOURS = (LIGHT.before, LIGHT.after, LIGHT.finetuned)
"""Of a start model, the trained one, and the one after verifiable rewards."""
MARGIN = 0.015
"""Left edge of headings, as a share of the figure's width."""


@dataclass(frozen=True, slots=True)
class _Row:
    y: float
    label: str
    mode: str
    tier: str


def card(figure: Chart, file: str, label: str, title: str = "", caption: str = "", width: int = 0) -> Card:
    """A figure for a page, with the numbers that it shows.

    Args:
        figure: Drawn in the light palette.
        file: Distinct per figure of a page; its numbers are downloaded under this name.
        label: What it shows, for readers who do not see it.
        title: Above it.
        caption: Below it.
        width: The most pixels it may take; 0 for all there are.
    """
    return Card(as_svg(figure, file, label), title, caption, width, file, figure.data)


def accuracy_figure(models: Sequence[Evaluated], width: float = 400) -> Chart:
    """Accuracy by tier and mode, one mark per model with its 95 % interval."""
    rows, headings, depth = _rows(models)
    height = 60 + 21 * depth
    figure = new_figure(width, height)
    axes = figure.add_axes((0.345, 30 / height, 0.635, 1 - 60 / height))
    plot_accuracy(axes, models, rows, headings, depth)
    return figure


def curve_figure(fit: dict[str, Any], width: float = 400, height: float = 300) -> Chart:
    """Accuracy over compute with the fitted laws."""
    figure = new_figure(width, height)
    plot_curve(figure.add_axes((0.11, 0.15, 0.725, 0.83)), fit)
    return figure


def picture(models: Sequence[Evaluated], fit: dict[str, Any], title: str) -> Chart:
    """Both side by side, for a README."""
    rows, headings, depth = _rows(models)
    height = max(400.0, 120 + 21 * depth)
    figure = new_figure(1060, height)
    left = figure.add_axes((0.155, 46 / height, 0.33, 1 - 140 / height))
    plot_accuracy(left, models, rows, headings, depth)
    right = figure.add_axes((0.565, 46 / height, 0.36, 1 - 140 / height))
    plot_curve(right, fit)
    figure.text(MARGIN, 1 - 26 / height, title, fontsize=16, fontweight="bold", va="center")
    for x, text in ((MARGIN, "Held-out accuracy, 95 % intervals"), (0.53, "Accuracy over training compute")):
        figure.text(x, 1 - 56 / height, text, fontsize=11.5, color=LIGHT.muted, va="center")
    return figure


def _rows(models: Sequence[Evaluated]) -> tuple[list[_Row], list[tuple[float, str]], float]:
    """Rows from the top down, headings of their groups, and how deep it all is."""
    modes = models[-1].scores["modes"]
    rows, headings, y = [], [], 0.0
    for tier, threshold in models[-1].scores["thresholds_nats"].items():
        shown = [mode for mode in MODE_NAMES if tier in modes.get(mode, {}).get("accuracy", {})]
        if shown:
            headings.append((y, f"{tier} (≥ {threshold:g} nats)"))
            rows += [_Row(y + ROW * (i + 1), MODE_NAMES[mode], mode, tier) for i, mode in enumerate(shown)]
            y += ROW * (len(shown) + 1) + GAP * 0.4
    if "all" in modes.get("problems", {}).get("accuracy", {}):
        headings.append((y, "problems"))
        rows.append(_Row(y + ROW, "exact answer", "problems", "all"))
        y += 2 * ROW
    return rows, headings, y


def plot_accuracy(
    axes: Axes, models: Sequence[Evaluated], rows: list[_Row], headings: list[tuple[float, str]], depth: float
) -> None:
    """Dots with whiskers, models a little apart from each other in every row."""
    bare(axes)
    place = axes.get_position()
    edge = (MARGIN - place.x0) / place.width
    step = 0.62 / max(len(models), 1)
    for index, (model, colour) in enumerate(zip(models, COLOURS, strict=False)):
        shift = step * (index - (len(models) - 1) / 2)
        found = [(row.y + shift, _estimate(model, row)) for row in rows]
        marks = [(y, e) for y, e in found if e]
        known = [(y, e) for y, e in marks if e["low"] is not None]
        axes.hlines(
            [y for y, _ in known], [e["low"] for _, e in known], [e["high"] for _, e in known],
            color=colour, linewidth=2.2, alpha=0.5,
        )  # fmt: skip
        (dots,) = axes.plot(
            [e["value"] for _, e in marks], [y for y, _ in marks], "o", color=colour, label=model.name,
            markersize=6.5, markeredgecolor=LIGHT.paper, markeredgewidth=1.0,
        )  # fmt: skip
        mark(axes, dots, [_accuracy_mark(model, row) for row in rows if _estimate(model, row)])
    for y, text in headings:
        axes.text(edge, y, text, transform=axes.get_yaxis_transform(), fontweight="bold", va="center")
    axes.set_yticks([row.y for row in rows], [row.label for row in rows])
    axes.set_ylim(depth - 0.2, -0.55)
    axes.set_xlim(-0.02, 1.02)
    axes.grid(axis="x")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.legend(
        loc="lower left", bbox_to_anchor=(edge, 1.0), ncols=len(models), frameon=False, handletextpad=0.1,
        columnspacing=1.2, borderaxespad=0.0, labelcolor=LIGHT.ink,
    )  # fmt: skip


def _accuracy_mark(model: Evaluated, row: _Row) -> Mark:
    found = _estimate(model, row)
    assert found
    words = f"{model.name}, {row.tier}, {row.label}: {percent(found['value'])} [{ends(found, percent_bare)}]"
    names = {"model": model.name, "tier": row.tier, "mode": row.label}
    return Mark(words, names | _numbers(found))


def _numbers(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: found.get(name) for name in ("value", "low", "high", "num_items", "num_clusters")}


def _estimate(model: Evaluated, row: _Row) -> dict[str, Any] | None:
    found: dict[str, Any] | None = model.scores["modes"].get(row.mode, {}).get("accuracy", {}).get(row.tier)
    return found


def strategy_figure(split: Split, before: Estimate, after: Estimate, width: float = 400) -> Chart:
    """From the start model's accuracy to the trained one's: the habit of thinking, then what is beyond it."""
    height = 200
    figure = new_figure(width, height)
    axes = figure.add_axes((0.36, 24 / height, 0.575, 1 - 28 / height))
    bare(axes)
    bars: list[tuple[str, float, Estimate, str]] = [("start model", 0.0, before, LIGHT.before)]
    level = before.value
    if split.habit and split.beyond_habit:
        bars.append(("+ habit of thinking", level, split.habit, LIGHT.medium))
        bars.append(("+ beyond the habit", level + split.habit.value, split.beyond_habit, LIGHT.after))
    else:
        bars.append(("+ gain", level, split.gain, LIGHT.after))
    bars.append(("trained model", 0.0, after, LIGHT.after))
    for y, (name, start, part, colour) in enumerate(bars):
        _bar(axes, y, start, part, colour, name=name, signed=0 < y < len(bars) - 1)
    axes.set_yticks(range(len(bars)), [name for name, *_ in bars], color=LIGHT.ink)
    axes.set_ylim(len(bars) - 0.45, -0.55)
    axes.set_xlim(
        0, min(1.12, max(0.3, 1.15 * max(start + abs(part.value) for _, start, part, _ in bars) + 0.08))
    )
    axes.grid(axis="x")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.0%}" if x <= 1 else ""))
    return figure


def _bar(axes: Axes, y: float, start: float, part: Estimate, colour: str, *, name: str, signed: bool) -> None:
    (bar,) = axes.barh(y, part.value, left=start, height=0.56, color=colour, alpha=0.9)
    form = points if signed else percent_bare
    said = f"{name}: {form(part.value)} {'points' if signed else '%'} [{ends(part, form)}]"
    mark(axes, bar, [Mark(said, {"part": name} | _numbers(part.as_json()))])
    tips = [start + part.value]
    if part.low is not None and part.high is not None:
        axes.hlines(y, start + part.low, start + part.high, color=LIGHT.ink, linewidth=1.4)
        tips += [start + part.high]
    text = f"{100 * part.value:+.1f}" if signed else f"{part.value:.1%}"
    axes.text(max(*tips, start) + 0.012, y, text, va="center", fontweight="bold")


def seeds_figure(seeds: Sequence[tuple[str, Split]], mean: Estimate, width: float = 460) -> Chart:
    """Each seed's gain with its interval, what of it is beyond the habit, and the mean over seeds."""
    height = 74 + 34 * (len(seeds) + 1)
    figure = new_figure(width, height)
    axes = figure.add_axes((0.15, 34 / height, 0.82, 1 - 66 / height))
    bare(axes)
    named = set[str]()

    def draw(y: float, part: Estimate, colour: str, seed: str, what: str) -> None:
        _mark(axes, y, part, colour, "" if what in named else what, f"{seed}, {what}")
        named.add(what)

    for y, (name, split) in enumerate(seeds):
        draw(y, split.gain, LIGHT.after, f"seed {name}", "gain")
        if split.beyond_habit:
            draw(y + 0.24, split.beyond_habit, LIGHT.medium, f"seed {name}", "beyond the habit")
    draw(len(seeds), mean, LIGHT.ink, "all seeds", "mean gain, interval over seeds")
    axes.axvline(0, color=LIGHT.muted, linewidth=1)
    axes.set_yticks(range(len(seeds) + 1), [*(f"seed {name}" for name, _ in seeds), "mean"], color=LIGHT.ink)
    axes.set_ylim(len(seeds) + 0.5, -0.5)
    axes.grid(axis="x")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:+.0f}" if abs(x) > 1e-9 else "0"))
    axes.set_xlabel("points of accuracy")
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.18, 1.0),
        ncols=3,
        frameon=False,
        handletextpad=0.0,
        columnspacing=0.8,
    )
    return figure


def _mark(axes: Axes, y: float, part: Estimate, colour: str, label: str, name: str) -> None:
    """One estimate with its interval; what it is called stands in the legend where ``label`` is given."""
    if part.low is not None and part.high is not None:
        axes.hlines(y, part.low, part.high, color=colour, linewidth=2.4, alpha=0.5)
    (dot,) = axes.plot(
        [part.value], [y], "o", color=colour, markersize=7, markeredgecolor=LIGHT.paper, label=label or None
    )
    said = f"{name}: {points(part.value)} points [{ends(part, points)}]"
    mark(axes, dot, [Mark(said, {"what": name} | _numbers(part.as_json()))])


def training_figure(arms: Sequence[Model], panels: Mapping[str, str], width: float = 320) -> Chart:
    """Metrics over training tokens, a panel each, arm by arm, mean over seeds.

    Args:
        arms: With their trainings.
        panels: Metric -> heading.
        width: Of one panel.
    """
    figure = new_figure(width * len(panels), 300)
    colours = (LIGHT.after, LIGHT.before, LIGHT.finetuned, LIGHT.muted, LIGHT.ink)
    for place, (key, label) in enumerate(panels.items()):
        axes = figure.add_subplot(1, len(panels), place + 1)
        bare(axes)
        axes.grid(axis="y")
        for arm, colour in zip(arms, colours * len(arms), strict=False):
            tokens, values = mean_path([trained.rows for trained in arm.trainings], key)
            axes.plot(tokens / 1e6, values, color=colour, label=arm.name)
            unseen = axes.plot(tokens / 1e6, values, "o", color=colour, markersize=5, alpha=0.0)
            mark(axes, unseen[0], _path_marks(arm.name, label, tokens, values))
        axes.set_title(label, loc="left")
        axes.set_xlabel("training tokens, millions")
    figure.axes[0].legend(frameon=False)
    figure.tight_layout()
    return figure


def _path_marks(arm: str, metric: str, tokens: Floats, values: Floats) -> list[Mark]:
    return [
        Mark(
            f"{arm}, {metric}: {value:.3g} after {short_number(at)} tokens",
            {"arm": arm, "metric": metric, "tokens": at, "value": value},
        )
        for at, value in zip(tokens.tolist(), values.tolist(), strict=True)
    ]


def mean_path(path: Sequence[Sequence[dict[str, float]]], key: str) -> tuple[Floats, Floats]:
    """A metric over training tokens, mean over seeds, where every seed has it.

    Seeds forward different numbers of tokens a step, so each is read between its steps.
    """
    points = [
        [(row["tokens_total"], row[key]) for row in one if key in row and "tokens_total" in row]
        for one in path
    ]
    if not points or not all(points):
        return np.zeros(0), np.zeros(0)
    curves = [np.array(of_seed, np.float64).T for of_seed in points]
    first, last = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    grid = np.linspace(first, last, min(len(x) for x, _ in curves))
    return grid, np.mean([np.interp(grid, x, y) for x, y in curves], axis=0)
