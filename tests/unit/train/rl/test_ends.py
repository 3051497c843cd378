"""How trainings and looks end in figures: outcomes, notes, what a replay does on its way."""

import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from pyarrow.parquet import read_table

from rpt_core.artifacts.build import LocalBuild
from rpt_core.errors import RecipeError, StarvedError, Stopped
from rpt_core.objectives.evidence import Needs
from rpt_core.objectives.next_segment.judge import JUDGE_GFLOPS
from rpt_core.objectives.objective import Verdict
from rpt_core.policy.trunk import Sampling
from rpt_core.recipes.reinforce import Selection
from rpt_core.train.rl import online_eval as looks
from rpt_core.train.rl import reinforce, replay
from rpt_core.train.rl.loop import _look, _note
from rpt_core.train.rl.rollouts import AnsweredQuestions
from rpt_core.train.rl.state import Progress
from tests.unit.train.rl.batches import batch
from tests.unit.train.rl.test_step import RECIPE


@pytest.fixture
def build(tmp_path) -> LocalBuild:
    return LocalBuild({"start": tmp_path / "start"}, tmp_path / "out", tmp_path / "scratch")


def test_an_outcome_is_of_the_last_line_and_of_all_looks(build):
    build.log(0, {"gflops_total": 0.0, "eval/accuracy": 0.125}, {JUDGE_GFLOPS: 4.0, "seconds": 1.0})
    build.log(1, {"reward_mean": 0.1, "eval/accuracy": 0.75}, {JUDGE_GFLOPS: 2.0})
    build.log(2, {"reward_mean": 0.5, "kept_fraction": 0.25, "think_share": 0.75, "eval/accuracy": 0.375})
    build.log(3, {"reward_mean": 0.6, "kept_fraction": 0.35, "think_share": 0.85}, {"seconds": 2.0})
    progress = Progress(3, 40, asked=24, used=20, tokens=1234, gflops=5.5, best_step=1, best_accuracy=0.75)
    found = reinforce._outcome(progress, build)
    expected = {
        "steps": 3, "reward_mean": 0.6, "kept_fraction": 0.35, "think_share": 0.85, "gflops": 5.5,
        "eval_accuracy_first": 0.125, "eval_accuracy_last": 0.375, "best_step": 1, "eval_accuracy_best": 0.75,
    }  # fmt: skip
    assert found.summary == expected | {"judge_gflops": 6.0}
    assert (found.tokens, found.flops) == (1234, 11.5e9)
    assert (found.rows.rows_in, found.rows.kept, found.rows.dropped) == (24, 20, {"equal-rewards": 4})


def test_an_outcome_without_looks_judge_or_drops_says_none_of_them(build):
    build.log(1, {"ntp_loss": 0.5})
    found = reinforce._outcome(Progress(1, 4, asked=8, used=8, tokens=9, gflops=2.0), build)
    assert found.summary == {"steps": 1, "gflops": 2.0}
    assert found.rows.dropped == {}
    assert found.flops == 2e9


@pytest.mark.parametrize("then", ["stop", "pass-on"])
def test_a_starved_training_stops_or_passes_its_start_model_on(build, monkeypatch, then):
    model = build.inputs["start"] / "model"
    model.mkdir(parents=True)
    (model / "weights").write_text("of the start")
    (build.out / "model").mkdir()

    def starve(*_):
        raise StarvedError("nothing to ask")

    monkeypatch.setattr(reinforce, "_train", starve)
    recipe = RECIPE.model_copy(update={"selection": Selection(when_starved=then)})
    if then == "stop":
        with pytest.raises(StarvedError, match="nothing to ask"):
            reinforce.train_policy(recipe, build)
        return
    found = reinforce.train_policy(recipe, build)
    assert found.summary == {"steps": 0, "passed_on_unchanged": "nothing to ask"}
    assert (build.out / "model" / "weights").read_text() == "of the start"
    assert (build.out / "rollouts.parquet").is_file()
    assert (build.out / "batches.parquet").is_file()


@pytest.mark.parametrize("entry", ["train_policy", "train_rlpt", "finetune_rlvr"])
def test_milestones_are_the_recipes_and_problems_have_none(monkeypatch, entry):
    given = []
    monkeypatch.setattr(reinforce, "_train", lambda *told: given.append(told))
    recipe = RECIPE.model_copy(update={"milestones": (3, 5, 5)})
    getattr(reinforce, entry)(recipe, "build")
    assert given == [(recipe, "build", frozenset() if entry == "finetune_rlvr" else frozenset({3, 5}))]


def test_a_note_says_the_reward_or_the_documents_loss():
    assert _note({"reward_mean": 0.12345, "ntp_loss": 2.0}) == "reward 0.123"
    assert _note({"ntp_loss": 2.34567}) == "ntp loss 2.346"


def judged(*rows):
    return [[[Verdict(score, name, thought, 9) for score, name, thought in rows]]]


def looking(monkeypatch, verdicts, *, forced=False, asked=("a question",), report=None):
    calls = []

    def answered(trainer, asked, sampling, step, clock, *, rewarded):
        calls.append((asked, sampling, step, rewarded))
        return AnsweredQuestions([], verdicts, 0, 0.0)

    monkeypatch.setattr(looks, "answered", answered)
    objective = SimpleNamespace(held_out=lambda num: list(asked) * (num == 64), needs=Needs(forced=forced))
    if report is not None:
        objective.report = report
    sampling = Sampling(0.7, 11, frozenset({1}), 3, seed=5)
    backend = SimpleNamespace(all_gather=lambda value: [value], whole=nullcontext)
    return SimpleNamespace(objective=objective, sampling=sampling, backend=backend), calls


def test_a_look_is_of_four_answers_to_each_held_out_question(monkeypatch):
    verdicts = judged((1.0, "correct", 4), (0.0, "wrong", 0), (0.0, "truncated", 7), (0.0, "unparsed", 3),
                      (1.0, "correct", 0))  # fmt: skip
    trainer, calls = looking(monkeypatch, verdicts)
    assert looks.online_eval(trainer) == _look(trainer) == {
        "eval/accuracy": 2 / 5, "eval/think_share": 3 / 5, "eval/thought_tokens": 14 / 5,
        "eval/unread_share": 2 / 5,
    }  # fmt: skip
    assert calls[0] == (["a question"], Sampling(0.7, 11, frozenset({1}), 4, seed=0), 0, False)


def test_answers_that_are_only_scored_have_a_mean_score_and_are_read(monkeypatch):
    verdicts = judged((0.5, "scored", 4), (-0.25, "scored", 0), (9.0, "truncated", 2))
    trainer, calls = looking(
        monkeypatch, verdicts, forced=True, report=lambda gather: ({"judge/yes": gather(3)[0]}, {})
    )
    assert looks.online_eval(trainer) == {
        "eval/judge/yes": 3, "eval/score_mean": 0.125, "eval/think_share": 2 / 3, "eval/thought_tokens": 2.0,
        "eval/unread_share": 1 / 3,
    }  # fmt: skip
    assert calls[0][3] is True


def test_where_nothing_is_held_out_there_is_nothing_to_see(monkeypatch):
    trainer, calls = looking(monkeypatch, [], asked=())
    assert looks.online_eval(trainer) == {}
    assert calls == []
    assert looks.reported(trainer) == ({}, {})


class Way:
    """A replay whose steps are only counted."""

    def __init__(self, monkeypatch, stop_at=0):
        self.done, self.told, self.stop_at, self.at = [], [], stop_at, 0
        monkeypatch.setattr(replay, "hand_over", lambda trainer, version, scratch: self.done.append(version))
        monkeypatch.setattr(replay, "_same_batch", self._same)
        monkeypatch.setattr(replay, "step_and_draw", self._step)
        backend = SimpleNamespace(all_gather=lambda value: [value])
        self.trainer = SimpleNamespace(backend=backend)
        self.build = SimpleNamespace(
            scratch="scratch",
            progress=lambda *given: self.told.append(given),
            stopping=lambda: self.at == stop_at,
        )

    def _same(self, trainer, progress, recorded, begun):
        return f"batch {progress.step + 1} from {begun}"

    def _step(self, trainer, progress, batch, clock):
        self.at = progress.step + 1
        self.done.append(batch)
        return Progress(step=self.at), {}

    def go(self, number, begun):
        return replay._up_to(number, self.trainer, Progress(step=begun), {}, self.build)


def test_a_replay_takes_the_steps_before_and_draws_the_one_asked_for(monkeypatch):
    way = Way(monkeypatch)
    assert way.go(5, 2) == "batch 5 from 2"
    assert way.done == [2, "batch 3 from 2", 3, "batch 4 from 2", 4]
    assert way.told == [(1, 3, "step 3 as recorded"), (2, 3, "step 4 as recorded")]
    near = Way(monkeypatch)
    assert near.go(3, 2) == "batch 3 from 2"
    assert (near.done, near.told) == ([2], [])


def test_a_replay_can_be_stopped(monkeypatch):
    with pytest.raises(Stopped, match="stopped after step 3; rerun to begin again"):
        Way(monkeypatch, stop_at=3).go(9, 2)


def test_an_engine_that_draws_otherwise_each_time_cannot_be_replayed():
    replay._refuse_unrepeatable(SimpleNamespace(engine=SimpleNamespace(replayable=True)), "torch")
    with pytest.raises(RecipeError, match="drawn by the engine 'served', whose answers do not follow"):
        replay._refuse_unrepeatable(SimpleNamespace(engine=SimpleNamespace(replayable=False)), "served")


def test_a_written_step_holds_every_answer_and_its_groups_number(build):
    found = replay._written(4, 2, batch(), build)
    rows = read_table(build.out / "answers.parquet").to_pylist()
    assert [(row["group"], row["kept"]) for row in rows] == [
        (0, True), (0, True), (0, True), (1, False), (1, False), (1, False), (2, True), (2, True), (2, True),
    ]  # fmt: skip
    assert {row["step"] for row in rows} == {4}
    about = json.loads((build.out / "step.json").read_text())
    assert (about["step"], about["from_step"]) == (4, 2)
    assert (found.rows.rows_in, found.rows.kept, found.tokens) == (9, 9, 333)
    assert found.summary == {
        **about, "groups": 3, "groups_kept": 2, "answers correct": 3, "answers wrong": 3,
        "answers unparsed": 1, "answers truncated": 1, "answers timed out": 1,
    }  # fmt: skip
