"""The learning curve of one training, from the metrics in its folder."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rpt_core.artifacts.build import FLOPS, METRICS_FILE

PANELS = {
    "reward_mean": "Mean reward",
    "loss": "Loss",
    "ntp_loss": "Next-token loss, nats",
    "answer_tokens": "Tokens of an answer",
}
"""What is drawn, by the trainer's names of metrics: the first :data:`MOST_PANELS` that a record has."""
MOST_PANELS, FEWEST_STEPS = 3, 2
SMOOTHED_STEPS = 8
"""Steps in the running mean, at most a quarter of all."""
Row = Mapping[str, float]


def draw_learning_curve(folder: Path) -> bytes | None:
    """The figure as PNG: each metric over computing, where it is counted, else over steps.

    Args:
        folder: With ``metrics.jsonl``.

    Returns:
        None where no metric of a training has two steps, or none moves.
    """
    path = folder / METRICS_FILE
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    axis = FLOPS if rows and all(FLOPS in row for row in rows) else "step"
    curves = {name: curve for name in PANELS if _moves(curve := _curve(rows, axis, name))}
    return _drawn(dict(list(curves.items())[:MOST_PANELS]), axis) if curves else None


def _curve(rows: Sequence[Row], axis: str, name: str) -> list[tuple[float, float]]:
    return [(row[axis], row[name]) for row in rows if name in row]


def _moves(curve: Sequence[tuple[float, float]]) -> bool:
    return len(curve) >= FEWEST_STEPS and len({value for _, value in curve}) > 1


def running_mean(values: Sequence[float]) -> list[float]:
    """Each value's mean with those before it, over a window that is shorter for short curves.

    Example:
        >>> running_mean([0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
        [0.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
    """
    window = max(1, min(SMOOTHED_STEPS, len(values) // 4))
    parts = [values[max(0, i + 1 - window) : i + 1] for i in range(len(values))]
    return [sum(part) / len(part) for part in parts]


def _drawn(curves: Mapping[str, Sequence[tuple[float, float]]], axis: str) -> bytes:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    from rpt_core.artifacts.build import GIGA
    from rpt_core.pages.ink import LIGHT, as_png, bare, new_figure, style
    from rpt_core.pages.words import flops_of

    with style():
        figure = new_figure(320 * len(curves), 280)
        for place, (name, curve) in enumerate(curves.items(), 1):
            axes = figure.add_subplot(1, len(curves), place)
            bare(axes)
            axes.grid(axis="y")
            x, y = zip(*curve, strict=True)
            axes.plot(x, y, color=LIGHT.before, linewidth=1, alpha=0.7)
            axes.plot(x, running_mean(y), color=LIGHT.after, linewidth=2)
            axes.set_title(PANELS[name], loc="left")
            axes.xaxis.set_major_locator(MaxNLocator(3))
            if axis == FLOPS:
                axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: flops_of(value * GIGA)))
            axes.set_xlabel("step" if axis == "step" else "training computing, FLOPs")
        figure.tight_layout()
        return as_png(figure)
