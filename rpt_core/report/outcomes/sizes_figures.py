"""Figures of the study of sizes: accuracy over all operations of training, and over those of one question."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from rpt_core.artifacts.build import GIGA
from rpt_core.pages.ink import LIGHT, bare, new_figure
from rpt_core.pages.marks import Chart, Mark, mark
from rpt_core.pages.words import ends, percent, percent_bare, short_number
from rpt_core.report.outcomes.sized import Mean, Size, means
from rpt_core.report.outcomes.tables import mean_share
from rpt_core.report.outcomes.thinkers import plain_gflops, thinking_gflops, voted
from rpt_core.scaling.curve import COLOURS

WIDTH, HEIGHT = 620, 340
DASHED = (0, (4, 3))


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def _answer_mark(said: str, gflops: float, answers: int, value: Mapping[str, Any]) -> Mark:
    words = f"{said}: {percent(value['value'])} [{ends(value, percent_bare)}]"
    return Mark(words, {"what": said, "answers": answers, "gflops": gflops, **value})


def _axes(figure: Chart, label: str) -> Axes:
    axes = figure.add_axes((0.1, 0.15, 0.78, 0.74))
    bare(axes)
    axes.grid(axis="y")
    axes.set_xscale("log")
    axes.set_xlabel(label)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="minor", length=0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value * GIGA)))
    return axes


def _labelled(axes: Axes, text: str, x: float, y: float, colour: str) -> None:
    axes.annotate(
        text, (x, y), xytext=(9, 0), textcoords="offset points", va="center", color=colour,
        fontweight="bold", annotation_clip=False,
    )  # fmt: skip


def training_figure(sizes: Sequence[Size], width: float = WIDTH, height: float = HEIGHT) -> Chart:
    """Means over seeds: thinkers solid, models without thoughts dashed, a colour a size."""
    figure = new_figure(width, height)
    axes = _axes(figure, "operations of training, everything counted")
    for size, colour in zip(sizes, COLOURS * len(sizes), strict=False):
        thinking = means({seed: size.thinking(seed) for seed in size.seeds})
        plain = means({seed: size.plain(seed) for seed in size.seeds})
        _plot(axes, f"{size.name}, thinking", thinking, colour, dashed=False)
        _plot(axes, f"{size.name}, next token", plain, colour, dashed=True)
        if thinking:
            last = thinking[-1]
            _labelled(axes, size.name, last.total_gflops, last.accuracy.value, colour)
    axes.set_ylim(bottom=0.0)
    return figure


def _plot(axes: Axes, name: str, points: Sequence[Mean], colour: str, *, dashed: bool) -> None:
    x, y = [one.total_gflops for one in points], [one.accuracy.value for one in points]
    axes.plot(x, y, color=colour, linewidth=1.6, linestyle=DASHED if dashed else "-")
    (dots,) = axes.plot(x, y, "s" if dashed else "o", color=colour, markersize=6, markeredgecolor=LIGHT.paper)
    mark(axes, dots, [_mark(name, one) for one in points])


def _mark(name: str, one: Mean) -> Mark:
    words = (
        f"{name}, step {one.step}, {short_number(one.total_gflops * GIGA)} operations: "
        f"{percent(one.accuracy.value)} [{ends(one.accuracy, percent_bare)}]"
    )
    row: dict[str, Any] = {
        "curve": name,
        "step": one.step,
        "own_gflops": one.own_gflops,
        "total_gflops": one.total_gflops,
    }
    return Mark(words, row | one.accuracy.as_json())


def answer_figure(sizes: Sequence[Size], width: float = WIDTH, height: float = HEIGHT) -> Chart:
    """A line a size, from one answer of RPT's last model to all that were drawn; a square a plain pass."""
    figure = new_figure(width, height)
    axes = _axes(figure, "operations of one question")
    for size, colour in zip(sizes, COLOURS * len(sizes), strict=False):
        seeds, marks = size.seeds, list[Mark]()
        most = min(size.method.by_seed[seed].answers.num_samples for seed in seeds)
        costs = [_mean(thinking_gflops(size, seed, k) for seed in seeds) for k in range(1, most + 1)]
        found = [mean_share({seed: voted(size, seed, k) for seed in seeds}) for k in range(1, most + 1)]
        for number, (cost, value) in enumerate(zip(costs, found, strict=True), start=1):
            assert value is not None
            said = f"{size.name}, {number} answers, {short_number(cost * GIGA)} operations"
            marks.append(_answer_mark(said, cost, number, value.as_json()))
        heights = [one.value for one in found if one]
        axes.plot(costs, heights, color=colour, linewidth=1.6)
        (dots,) = axes.plot(costs, heights, "o", color=colour, markersize=5, markeredgecolor=LIGHT.paper)
        mark(axes, dots, marks)
        cost = _mean(plain_gflops(size, seed) for seed in seeds)
        plain = mean_share({seed: size.plain(seed)[-1].accuracy for seed in seeds})
        assert plain is not None
        (square,) = axes.plot(
            [cost], [plain.value], "s", color=colour, markersize=7, markeredgecolor=LIGHT.paper
        )
        said = f"{size.name}, next token, {short_number(cost * GIGA)} operations"
        mark(axes, square, [_answer_mark(said, cost, 0, plain.as_json())])
        _labelled(axes, size.name, costs[-1], heights[-1], colour)
    axes.set_ylim(bottom=0.0)
    return figure
