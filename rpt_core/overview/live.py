"""A training as it goes on: its curves so far and what it answered last, as one page without a server."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.ticker import MaxNLocator

from rpt_core.pages.ink import DARK, LIGHT, as_svg, bare, new_figure, style
from rpt_core.pages.marks import Chart, Mark, mark
from rpt_core.pages.words import duration, environment, flops_of, render
from rpt_core.report.blocks import Card

CURVES: dict[str, tuple[tuple[str, str], ...]] = {
    "Reward": (("reward_mean", "reward, mean of a step"),),
    "Length, tokens": (("answer_tokens", "answer"), ("thought_tokens", "thought")),
    "Shares": (("think_share", "answers that think"), ("kept_fraction", "groups worth an update")),
    "Held out": (("eval/accuracy", "accuracy"),),
    "Loss": (("loss", "loss"), ("nll_nats", "nats a token")),
}
"""Headings, each with its metrics; those that a stage does not log are left out."""
COLOURS = (LIGHT.after, LIGHT.before)
SHOWN_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class Watched:
    """What is known of a stage at one moment."""

    title: str
    state: str
    """``runs``, ``done``, or what became of it."""
    done: float
    total: float
    note: str
    seconds: float
    metrics: Sequence[Mapping[str, float]]
    """A row a step."""
    rollouts: Sequence[Mapping[str, Any]]
    """The latest answers, the last step first."""

    @property
    def line(self) -> str:
        """In one line, for a terminal."""
        of = f"{self.done:,.0f} of {self.total:,.0f}" if self.total else "starting"
        return f"{self.title}: {self.state}, {of}, {self.note} ({duration(self.seconds)})"

    @property
    def percent(self) -> float:
        """How much is done."""
        return 100 * min(self.done / self.total, 1.0) if self.total else 0.0

    @property
    def left(self) -> str:
        """Time that is left at the rate so far; empty where nothing can be said."""
        if not 0 < self.done < self.total or self.state != "runs":
            return ""
        return duration(self.seconds * (self.total - self.done) / self.done)


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The rows of a metrics file that are whole: the last line may be half written."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")[:-1]
    return [json.loads(line) for line in lines]


def write_live_page(watched: Watched, path: Path, every_seconds: int) -> None:
    """Write the page, whole at any moment; while the stage runs it loads itself again.

    Args:
        watched: What is shown.
        path: Of the page.
        every_seconds: After how long a browser reads it again.
    """
    with style():
        cards = list(_cards(watched.metrics))
    context = {
        "title": watched.title,
        "light": LIGHT.css(),
        "dark": DARK.css(),
        "watched": watched,
        "cards": cards,
        "facts": list(_facts(watched)),
        "refresh": every_seconds if watched.state == "runs" else 0,
        "shown": SHOWN_CHARACTERS,
    }
    text = environment("rpt_core.overview").get_template("live.html.j2").render(context)
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    render(half, text)
    half.replace(path)


def _facts(watched: Watched) -> Iterator[tuple[str, str]]:
    last = watched.metrics[-1] if watched.metrics else {}
    if watched.total:
        yield f"{watched.done:,.0f} of {watched.total:,.0f}", watched.note
    yield duration(watched.seconds), f"about {watched.left} left" if watched.left else "so far"
    for name, words in (("reward_mean", "reward"), ("eval/accuracy", "held-out accuracy"), ("loss", "loss")):
        rows = [row for row in watched.metrics if name in row]
        if rows:
            yield f"{rows[-1][name]:.3g}", f"{words}, {rows[0][name]:.3g} at step {rows[0]['step']:.0f}"
    if flops := last.get("gflops_total"):
        yield flops_of(flops * 1e9), "operations"


def _cards(metrics: Sequence[Mapping[str, float]]) -> Iterator[Card]:
    for title, curves in CURVES.items():
        known = [(name, words) for name, words in curves if any(name in row for row in metrics)]
        if known:
            chart = _chart(metrics, known)
            yield Card(as_svg(chart, title, f"{title} over steps"), title, file=title, data=chart.data)


def _chart(metrics: Sequence[Mapping[str, float]], curves: Sequence[tuple[str, str]]) -> Chart:
    figure = new_figure(400, 230)
    axes = figure.add_axes((0.12, 0.15, 0.85, 0.72))
    bare(axes)
    axes.grid(axis="y")
    for (name, words), colour in zip(curves, COLOURS, strict=False):
        rows = [row for row in metrics if name in row]
        steps, values = [row["step"] for row in rows], [row[name] for row in rows]
        axes.plot(steps, values, color=colour, linewidth=1.8, label=words)
        (dots,) = axes.plot(steps, values, "o", color=colour, markersize=4)
        marks = [
            Mark(f"step {step:.0f}, {words}: {value:.4g}", {"step": step, "metric": words, "value": value})
            for step, value in zip(steps, values, strict=True)
        ]
        mark(axes, dots, marks)
    first, last = (f(row["step"] for row in metrics) for f in (min, max))
    axes.set_xlim(first - 0.5, last + 0.5)
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, frameon=False, borderaxespad=0.0, handlelength=1.0
    )
    return figure
