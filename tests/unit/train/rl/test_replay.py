"""A step of a finished training comes out again, from the start or a milestone; else the error says where."""

import json

import pyarrow.parquet as pq
import pytest

from rpt_core.artifacts.build import STATE_FOLDER
from rpt_core.errors import IntegrityError, RecipeError
from rpt_core.recipes.replay import Replay
from rpt_core.train.rl import checkpoint
from rpt_core.train.rl.record import BATCHES_FILE
from rpt_core.train.rl.reinforce import train_policy
from rpt_core.train.rl.replay import ANSWERS_FILE, FROM, STEP_FILE, TRAINED, read_batches, replay
from tests.unit.train.rl.test_reinforce import SHORT, _build, start, toy  # noqa: F401  (fixtures)


@pytest.fixture
def trained(tmp_path, start):  # noqa: F811
    build = _build(tmp_path / "trained", start)
    train_policy(SHORT, build)
    return build


def _again(folder, start, trained, number, milestone=None, recipe=SHORT):  # noqa: F811
    build = _build(folder, start)
    build.inputs = {**build.inputs, TRAINED: trained.out}
    if milestone is not None:
        build.inputs[FROM] = trained.milestones[milestone]
    outcome = replay(Replay(training=recipe, step=number), build)
    return outcome, json.loads((build.out / STEP_FILE).read_text()), pq.read_table(build.out / ANSWERS_FILE)


@pytest.mark.parametrize("number", [1, 3, 6])
def test_any_step_comes_out_again(number, tmp_path, start, trained):  # noqa: F811
    outcome, about, answers = _again(tmp_path / "again", start, trained, number)
    assert about == {"step": number, "digest": read_batches(trained.out)[number]["digest"], "from_step": 0}
    row = pq.read_table(trained.out / BATCHES_FILE).to_pylist()[number - 1]
    assert row["cursor"] == 8 * (number - 1)
    assert len(answers) == 4 * row["groups"] == 4 * outcome.summary["groups"]
    assert sum(answers["kept"].to_pylist()) == 4 * row["kept"]
    shown = [r for r in pq.read_table(trained.out / "rollouts.parquet").to_pylist() if r["step"] == number]
    first = answers.drop(["group", "kept"]).to_pylist()
    assert [first[4 * group + answer] for group in range(4) for answer in range(2)] == shown


def test_a_milestone_shortens_the_way(tmp_path, start, trained):  # noqa: F811
    for number in (3, 5):
        _, about, answers = _again(tmp_path / f"short-{number}", start, trained, number, milestone=2)
        assert about["from_step"] == 2
        _, whole, same = _again(tmp_path / f"whole-{number}", start, trained, number)
        assert about["digest"] == whole["digest"]
        assert answers.equals(same)


def test_milestones_of_large_models_keep_no_moments_and_serve_the_step_after_them(
    tmp_path, start, monkeypatch  # noqa: F811
):  # fmt: skip
    monkeypatch.setattr(checkpoint, "STATE_PARAMETERS_MAX", 10)
    build = _build(tmp_path, start)
    train_policy(SHORT, build)
    assert [path.name for path in (build.milestones[2] / STATE_FOLDER).iterdir()] == ["progress.json"]
    _, about, _ = _again(tmp_path / "again", start, build, 3, milestone=2)
    assert about == {"step": 3, "digest": read_batches(build.out)[3]["digest"], "from_step": 2}


def test_a_step_that_was_not_taken_is_refused(tmp_path, start, trained):  # noqa: F811
    with pytest.raises(RecipeError, match="took steps 1 to 6"):
        _again(tmp_path / "again", start, trained, 7)


def test_a_step_that_comes_out_otherwise_is_named(tmp_path, start, trained):  # noqa: F811
    other = SHORT.model_copy(update={"optimiser": SHORT.optimiser.model_copy(update={"learning_rate": 0.1})})
    with pytest.raises(IntegrityError, match=r"step [234] was recorded with digest .* replayed from step 0"):
        _again(tmp_path / "again", start, trained, 4, recipe=other)
