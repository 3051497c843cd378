"""The training stage: resumed runs are bit-equal, milestones are published, ends have names."""

import json
import shutil

import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import CapacityError, EngineError, RecipeError, ResumeError, StarvedError, Stopped
from rpt_core.objectives.registry import OBJECTIVES
from rpt_core.policy.load import load_policy
from rpt_core.recipes.reinforce import Selection
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.rl.reinforce import train_policy
from tests.toys import ToyObjective, save_tiny_model
from tests.unit.train.rl.test_step import RECIPE

MUON = Optimiser(name="muon", learning_rate=1e-3, warmup_steps=2, schedule="linear")
FAST = Optimiser(learning_rate=2e-2)
SHORT = RECIPE.model_copy(
    update={"steps": 6, "evaluate_every": 3, "milestones": (2, 6), "ntp_weight": 0.1, "optimiser": MUON}
)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    save_tiny_model(folder / "model")
    return folder


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    """Stand the toy objective in for the recipe's own."""
    more = {}
    monkeypatch.setitem(OBJECTIVES, "rpt", lambda recipe, inputs, codec: ToyObjective(len(codec), **more))
    return more


class StoppingBuild(LocalBuild):
    """Asks the stage to stop once a step has been logged."""

    stop_after = 3

    def log(self, step, values, timings=None):
        super().log(step, values, timings)
        self.stop = step >= self.stop_after


def stopped_and_resumed(recipe, broken, after=2):
    """The outcome of a training that is asked to stop after a step, and then run again."""
    broken.stop, broken.stop_after = False, after
    with pytest.raises(Stopped, match=f"stopped after step {after}"):
        train_policy(recipe, broken)
    broken.stop, broken.stop_after = False, 99
    return train_policy(recipe, broken)


def _build(folder, start, cls=LocalBuild, **more):
    return cls(
        {"start": start, "corpus": start, "difficulty": start}, folder / "out", folder / "scratch", **more
    )


def _metrics(build):
    return [json.loads(line) for line in (build.out / "metrics.jsonl").read_text().splitlines()]


def _weights(build):
    return {name: t.numpy().tobytes() for name, t in load_file(build.out / "model/model.safetensors").items()}


def test_a_stopped_run_goes_on_and_ends_with_the_same_bytes(tmp_path, start):
    whole = _build(tmp_path / "whole", start, placement=Placement(checkpoint_seconds=1e-6))
    outcome = train_policy(SHORT, whole)
    broken = _build(tmp_path / "broken", start, StoppingBuild)
    for stop_after in (0, 1, 4):
        broken.stop, broken.stop_after = False, stop_after
        with pytest.raises(Stopped, match="stopped after step"):
            train_policy(SHORT, broken)
    broken.stop, broken.stop_after = False, 99
    assert train_policy(SHORT, broken) == outcome
    assert _weights(broken) == _weights(whole)
    assert _metrics(broken) == _metrics(whole)
    assert pq.read_table(broken.out / "rollouts.parquet").equals(
        pq.read_table(whole.out / "rollouts.parquet")
    )


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path, start):
    whole = _build(tmp_path / "whole", start, placement=Placement(checkpoint_seconds=1e-6))
    outcome = train_policy(SHORT, whole)
    assert sorted(whole.saves) == [1, 2, 3, 4, 5]
    saves = whole.saves
    for step in (5, 3):
        whole.saves = {step: saves[step]}
        assert train_policy(SHORT, whole) == outcome
        assert [row["step"] for row in _metrics(whole)] == [0, 1, 2, 3, 4, 5, 6]


def test_what_a_run_leaves(tmp_path, start):
    build = _build(tmp_path, start)
    outcome = train_policy(SHORT, build)
    assert outcome.rows.rows_in == 6 * 8
    assert outcome.summary["steps"] == 6
    rows = _metrics(build)
    assert [row["step"] for row in rows if "eval/accuracy" in row] == [0, 3, 6]
    looks = [row["eval/accuracy"] for row in rows if "eval/accuracy" in row]
    assert outcome.summary["eval_accuracy_first"] == looks[0]
    assert outcome.summary["eval_accuracy_last"] == looks[2]
    assert rows[-1]["gflops_total"] * 1e9 == outcome.flops
    for name in ("reward_mean", "kept_fraction", "think_share"):
        assert outcome.summary[name] == rows[-1][name]
    assert sum(value for name, value in rows[1].items() if name.startswith("verdict/")) == 8 * 4
    timings = [json.loads(line) for line in (build.out / "timings.jsonl").read_text().splitlines()]
    assert all(row["seconds/rollout"] > 0 and row["rss_bytes"] > 0 for row in timings)
    table = pq.read_table(build.out / "rollouts.parquet").to_pylist()
    assert {row["step"] for row in table} == set(range(1, 7))
    assert table[0].keys() >= {"doc_id", "position", "prompt_tail", "thought", "truth", "verdict", "reward"}
    assert sorted(build.milestones) == [2, 6]
    assert load_policy(build.milestones[6] / "model").output_weight.equal(
        load_policy(build.out / "model").output_weight
    )


def test_the_best_model_is_published_at_the_end_whatever_came_between(tmp_path, start):
    recipe = SHORT.model_copy(
        update={"milestones": (), "evaluate_every": 1, "publish_best": True, "optimiser": FAST}
    )
    whole = _build(tmp_path / "whole", start)
    outcome = train_policy(recipe, whole)
    looks = {row["step"]: row["eval/accuracy"] for row in _metrics(whole) if row["step"]}
    best = max(looks, key=lambda step: (looks[step], -step))
    assert outcome.summary["best_step"] == best
    assert outcome.summary["eval_accuracy_best"] == looks[best] == max(looks.values())
    assert len(set(looks.values())) > 2
    assert list(whole.milestones) == [best]
    broken = _build(tmp_path / "broken", start, StoppingBuild)
    with pytest.raises(Stopped):
        train_policy(recipe, broken)
    broken.stop_after = 99
    shutil.rmtree(broken.scratch / "best")
    broken.stop = False
    assert train_policy(recipe, broken) == outcome
    assert load_policy(broken.milestones[best] / "model").output_weight.equal(
        load_policy(whole.milestones[best] / "model").output_weight
    )


def test_checkpointed_activations_change_nothing_in_a_packed_row(tmp_path, start):
    short = SHORT.model_copy(update={"steps": 2, "milestones": ()})
    losses = []
    for checkpointed in (False, True):
        placement = Placement(checkpoint_activations=checkpointed)
        build = _build(tmp_path / str(checkpointed), start, placement=placement)
        build.numerics = build.numerics.model_copy(update={"layout": "packed"})
        train_policy(short, build)
        losses.append([row["loss"] for row in _metrics(build) if row["step"]])
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    build.numerics = build.numerics.model_copy(update={"layout": "two-pass"})
    with pytest.raises(RecipeError, match="activation checkpointing is on and the layout is two-pass"):
        train_policy(short, build)


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path, start):
    build = _build(tmp_path, start, placement=Placement(checkpoint_seconds=1e-6))
    train_policy(SHORT, build)
    with pytest.raises(ResumeError, match="was written under recipe"):
        train_policy(SHORT.model_copy(update={"seed": 1}), build)


def test_a_run_that_learns_from_nothing_publishes_nothing(tmp_path, start, toy):
    toy["score_all"] = 0.0
    build = _build(tmp_path, start)
    with pytest.raises(StarvedError, match="5 steps in a row"):
        train_policy(SHORT, build)
    few = SHORT.model_copy(update={"steps": 2, "milestones": (), "selection": Selection(max_empty_steps=9)})
    with pytest.raises(StarvedError, match="none of 16 groups in 2 steps"):
        train_policy(few, _build(tmp_path / "few", start))
    assert not (build.out / "model").exists()


def test_an_exploding_run_publishes_nothing(tmp_path, start):
    wild = SHORT.model_copy(update={"optimiser": Optimiser(learning_rate=1e30), "milestones": ()})
    build = _build(tmp_path, start)
    with pytest.raises(EngineError, match=r"last good step was \d"):
        train_policy(wild, build)
    assert not (build.out / "model").exists()


def test_what_this_version_cannot_do_is_refused_by_name(tmp_path, start):
    build = _build(tmp_path, start)
    build.numerics = build.numerics.model_copy(update={"world_size": 2})
    with pytest.raises(CapacityError, match="asks for 2 training processes"):
        train_policy(SHORT, build)
    build.numerics = build.numerics.model_copy(update={"world_size": 1, "engine": "sglang"})
    with pytest.raises(EngineError, match="'sglang'"):
        train_policy(SHORT, build)
