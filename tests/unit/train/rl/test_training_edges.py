"""What a training meets at its edges: a judge that stays away, looks that fall, checkpoints by the clock."""

import json
import shutil
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from safetensors.torch import load_file

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import JudgeError, Stopped
from rpt_core.objectives.objective import Verdict
from rpt_core.objectives.registry import OBJECTIVES
from rpt_core.train.rl.online_eval import ANSWERS
from rpt_core.train.rl.reinforce import train_policy
from tests.toys import ToyObjective
from tests.unit.train.rl.test_reinforce import FAST, SHORT, start  # noqa: F401  (a fixture)

PLAIN = SHORT.model_copy(update={"milestones": (), "evaluate_every": 0, "ntp_weight": 0.0, "optimiser": FAST})
LOOKS = (0.0, 0.25, 0.75, 0.75, 0.5, 0.25, 0.5)
"""Share of right answers at the look after each step, 0 before the first: best at step 2, and again at 3."""
BEST = PLAIN.model_copy(update={"evaluate_every": 1, "publish_best": True})


@dataclass
class Planned(ToyObjective):
    """The toy objective with looks that go as planned, and a judge that may stay away."""

    away_at: int = 0
    """Step at which the judge cannot be reached."""

    def judge(self, asked, cut, samples):
        step = self.draws[-1][0] if self.draws else 0
        if int(asked.trunk.key.removeprefix("doc-")) >= self.num_documents:
            right = round(LOOKS[step] * ANSWERS)
            names = ["correct"] * right + ["wrong"] * (len(samples) - right)
            return [Verdict(float(name == "correct"), name, 1, 2) for name in names]
        if self.away_at and step == self.away_at:
            raise JudgeError("the judge could not be reached")
        return super().judge(asked, cut, samples)


@pytest.fixture(autouse=True)
def planned(monkeypatch):
    """Stand it in for the recipe's own objective; the dictionary holds its settings."""
    more = {}
    monkeypatch.setitem(OBJECTIVES, "rpt", lambda recipe, inputs, codec: Planned(len(codec), **more))
    return more


@dataclass
class Watched(LocalBuild):
    """Counts what is published, and asks to stop after a step."""

    stop_after: int = 99
    log_hook = staticmethod(lambda step: None)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.published: list[int] = []

    def log(self, step, values, timings=None):
        super().log(step, values, timings)
        self.stop = step >= self.stop_after
        self.log_hook(step)

    def milestone(self, step, folder, summary, state=None):
        super().milestone(step, folder, summary, state)
        self.published.append(step)
        (self.milestones[step] / "summary.json").write_text(json.dumps(dict(summary)))


def build_in(folder, start, **more) -> Watched:  # noqa: F811
    inputs = dict.fromkeys(("start", "corpus", "difficulty"), start)
    return Watched(inputs, folder / "out", folder / "scratch", **more)


def weights(folder) -> dict[str, bytes]:
    return {name: t.numpy().tobytes() for name, t in load_file(folder / "model/model.safetensors").items()}


def lines(build) -> list[dict]:
    return [json.loads(line) for line in (build.out / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def by_step(tmp_path_factory, start):  # noqa: F811
    """Weights after every step of the training whose best look is published."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(OBJECTIVES, "rpt", lambda recipe, inputs, codec: Planned(len(codec)))
        build = build_in(tmp_path_factory.mktemp("steps"), start)
        train_policy(BEST.model_copy(update={"milestones": (1, 2, 3, 4, 5), "publish_best": False}), build)
    return {step: weights(folder) for step, folder in build.milestones.items()}


def test_the_first_of_equal_best_looks_is_published(tmp_path, start, by_step):  # noqa: F811
    build = build_in(tmp_path, start)
    outcome = train_policy(BEST, build)
    assert [row["eval/accuracy"] for row in lines(build)] == list(LOOKS)
    assert outcome.summary["best_step"] == 2
    assert outcome.summary["eval_accuracy_best"] == 0.75
    assert (outcome.summary["eval_accuracy_first"], outcome.summary["eval_accuracy_last"]) == (0.0, 0.5)
    assert build.published == [2]
    assert weights(build.milestones[2]) == by_step[2] != by_step[3]
    summary = json.loads((build.milestones[2] / "summary.json").read_text())
    assert summary["eval/accuracy"] == 0.75


def test_the_best_model_goes_along_with_a_checkpoint_after_it(tmp_path, start, by_step):  # noqa: F811
    build = build_in(tmp_path, start, stop_after=4)
    with pytest.raises(Stopped, match="step 4"):
        train_policy(BEST, build)
    shutil.rmtree(build.scratch / "best")
    build.stop, build.stop_after = False, 99
    assert train_policy(BEST, build).summary["best_step"] == 2
    assert weights(build.milestones[2]) == by_step[2]


def test_a_milestone_that_is_the_best_model_is_published_once(tmp_path, start):  # noqa: F811
    build = build_in(tmp_path, start)
    train_policy(BEST.model_copy(update={"milestones": (2, 6)}), build)
    assert build.published == [2, 6]


def test_a_best_model_off_the_milestones_is_published_beside_them(tmp_path, start):  # noqa: F811
    build = build_in(tmp_path, start)
    train_policy(BEST.model_copy(update={"milestones": (3, 6)}), build)
    assert build.published == [3, 6, 2]


def test_a_judge_that_stays_away_costs_no_step_that_was_taken(tmp_path, start, planned):  # noqa: F811
    whole = build_in(tmp_path / "whole", start)
    outcome = train_policy(PLAIN, whole)
    build = build_in(tmp_path / "parted", start)
    planned["away_at"] = 3
    with pytest.raises(JudgeError):
        train_policy(PLAIN, build)
    assert list(build.saves) == [2]
    planned["away_at"] = 0
    assert train_policy(PLAIN, build) == outcome
    assert weights(build.out) == weights(whole.out)
    assert lines(build) == lines(whole)


def test_a_judge_that_was_never_there_leaves_no_checkpoint(tmp_path, start, planned):  # noqa: F811
    build = build_in(tmp_path, start)
    planned["away_at"] = 1
    with pytest.raises(JudgeError):
        train_policy(PLAIN, build)
    assert build.saves == {}


@pytest.mark.parametrize(
    ("seconds", "saved"), [(10.0, [3, 6]), (8.0, [2, 4, 6]), (8.1, [3, 6]), (1e-6, [1, 2, 3, 4, 5, 6])]
)
def test_checkpoints_are_as_far_apart_as_the_placement_asks(
    tmp_path, start, monkeypatch, seconds, saved  # noqa: F811
):  # fmt: skip
    """Every step takes four seconds; the last of seven leaves the model itself and no checkpoint."""
    now = [100.0]
    monkeypatch.setattr("rpt_core.train.rl.loop.time", SimpleNamespace(monotonic=lambda: now[0]))
    build = build_in(tmp_path, start, placement=Placement(checkpoint_seconds=seconds))
    build.log_hook = lambda step: now.__setitem__(0, now[0] + 4.0)
    train_policy(PLAIN.model_copy(update={"steps": 7}), build)
    assert sorted(build.saves) == saved
