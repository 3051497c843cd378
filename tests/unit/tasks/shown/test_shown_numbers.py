"""What MLflow is shown of an artifact beside its record: learning curve, intervals of an evaluation."""

import json

import matplotlib.image
import pytest

from rpt_core.artifacts.build import FLOPS, METRICS_FILE, LocalBuild
from rpt_core.evaluation.headlines import values
from tasks.shown.intervals import SCORES_FILE, intervals_of
from tasks.shown.learning_curve import draw_learning_curve, running_mean
from tests.unit.evaluation.tables import AFTER, write_evaluation


def record(folder, steps: int, **metrics) -> None:
    build = LocalBuild({}, folder, folder / "scratch")
    for step in range(1, steps + 1):
        build.log(step, {name: value(step) for name, value in metrics.items()})


def ink(png: bytes, folder) -> int:
    """How many pixels differ from the paper."""
    (folder / "curve.png").write_bytes(png)
    image = matplotlib.image.imread(folder / "curve.png")
    return int((abs(image - image[0, 0]).sum(-1) > 0.1).sum())


def test_a_training_is_drawn_by_the_metrics_it_has(tmp_path):
    record(tmp_path / "one", 12, loss=lambda i: 1 / i, **{FLOPS: lambda i: 2e3 * i})
    record(tmp_path / "two", 12, loss=lambda i: 1 / i, reward_mean=lambda i: i / 12, kl=lambda i: 0.1)
    one, two = (draw_learning_curve(tmp_path / name) for name in ("one", "two"))
    assert one.startswith(b"\x89PNG")
    width = [matplotlib.image.imread(tmp_path / "x.png").shape[1] for png in (one, two)
             if (tmp_path / "x.png").write_bytes(png)]  # fmt: skip
    assert width[1] == pytest.approx(2 * width[0], abs=2)
    assert ink(two, tmp_path) > ink(one, tmp_path) > 1000
    assert draw_learning_curve(tmp_path / "one") == one


@pytest.mark.parametrize("steps", [0, 1])
def test_what_has_no_two_steps_has_no_curve(tmp_path, steps):
    record(tmp_path, steps, loss=lambda i: 1 / i)
    assert draw_learning_curve(tmp_path) is None
    (tmp_path / METRICS_FILE).unlink(missing_ok=True)
    assert draw_learning_curve(tmp_path) is None


def test_a_metric_that_never_moves_has_no_panel(tmp_path):
    record(tmp_path / "one", 4, loss=lambda i: 1 / i)
    record(tmp_path / "two", 4, loss=lambda i: 1 / i, ntp_loss=lambda i: 0.0)
    record(tmp_path / "none", 4, ntp_loss=lambda i: 0.0)
    one, two, none = (draw_learning_curve(tmp_path / name) for name in ("one", "two", "none"))
    assert one == two
    assert none is None


def test_a_short_curve_is_smoothed_little():
    assert running_mean([1.0, 3.0]) == [1.0, 3.0]
    assert running_mean([0.0] * 32 + [8.0])[-1] == 1.0


def test_an_evaluations_numbers_have_the_ends_that_its_scores_say(tmp_path):
    folder = write_evaluation(tmp_path / "evaluation", AFTER)
    scores = json.loads((folder / SCORES_FILE).read_text())
    found = intervals_of(folder, "evaluate")
    told = values("evaluate", scores)
    hard = scores["modes"]["reasoning"]["accuracy"]["hard"]
    assert (found["reasoning_hard_low"], found["reasoning_hard_high"]) == (hard["low"], hard["high"])
    assert told["reasoning_hard"] == hard["value"]
    for name, value in told.items():
        if f"{name}_low" in found:
            assert found[f"{name}_low"] <= value <= found[f"{name}_high"]
    assert len(found) >= len(told)
