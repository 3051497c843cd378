"""Answers drawn during the update before: one version old, the same bytes after a kill, none lost."""

import json
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from rpt_core.artifacts.placement import Placement
from rpt_core.errors import CapacityError, EngineError, RecipeError, Stopped
from rpt_core.policy.engines import registry
from rpt_core.policy.engines.vllm.process import PipeDeadlines
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.objectives import Learnability, NtpObjective, RmtObjective, RptObjective
from rpt_core.recipes.off_policy import refuse_shared
from rpt_core.recipes.reinforce import PolicyRecipe, Selection
from rpt_core.recipes.replay import Replay
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.clock import Clock
from rpt_core.train.rl.ahead import AHEAD_FILE, refuse_followed, save_ahead, saved_ahead, step_and_draw
from rpt_core.train.rl.collect import collect
from rpt_core.train.rl.hand_over import hand_over
from rpt_core.train.rl.reinforce import train_policy
from rpt_core.train.rl.replay import TRAINED, replay
from rpt_core.train.rl.rollouts import drawn_by
from rpt_core.train.rl.state import DrawnAnswers, Progress
from rpt_core.train.rl.step import step
from tasks.planning import capacity
from tests.contracts.backends import Ranks, on_ranks
from tests.contracts.engines import Dying, Owner, Stale, faked
from tests.unit.train.rl.test_reinforce import (  # noqa: F401  (fixtures)
    SHORT,
    StoppingBuild,
    _build,
    _metrics,
    _weights,
    start,
    toy,
)
from tests.unit.train.rl.test_step import RECIPE, make_trainer

AHEAD = RECIPE.model_copy(update={"off_policy_steps": 1, "optimiser": Optimiser(learning_rate=3e-3)})
SMALL = SHORT.model_copy(
    update={"off_policy_steps": 1, "steps": 5, "milestones": (2, 5), "selection": Selection(max_refills=1)}
)
DIED = "process ended with code -9"


class Alone(Owner):
    """Fails where two callers want it at once."""

    def __post_init__(self):
        super().__post_init__()
        self._turn = threading.Lock()

    def generate(self, *given):
        with self._mine():
            return super().generate(*given)

    def load_weights(self, *given):
        with self._mine():
            super().load_weights(*given)

    def _mine(self):
        assert not self._turn.locked(), "two callers at once"
        return self._turn


def _trainer(engine=Alone, recipe=AHEAD):
    trainer = make_trainer(recipe)
    return replace(trainer, engine=engine(trainer.policy))


def _numbers(trainer):
    return [p.detach().numpy().tobytes() for p in trainer.policy.model.parameters()]


def _by(engine, folder, start, monkeypatch, build=None, **more):  # noqa: F811
    """A whole training under an engine of the tests."""
    monkeypatch.setitem(registry.ENGINES, "torch-copy", lambda policy, folder: engine(policy))
    build = build or _build(folder, start, **more)
    build.numerics = build.numerics.model_copy(update={"engine": "torch-copy"})
    train_policy(SMALL, build)
    return build


def _nothing_drawing():
    return not [one for one in threading.enumerate() if one.name.startswith("draw-ahead")]


def test_answers_drawn_during_an_update_are_those_of_the_weights_before_it(tmp_path):
    """The same, one after the other in one thread: not one bit of a weight differs."""
    side_by_side, in_turn = _trainer(), _trainer()
    ages = []
    progress = Progress()
    hand_over(side_by_side, 0, tmp_path)
    for _ in range(4):
        progress, metrics = step_and_draw(
            side_by_side, progress, collect(side_by_side, progress, Clock()), Clock()
        )
        hand_over(side_by_side, progress.step, tmp_path)
        ages.append(metrics["staleness"])
    assert ages == [0, 1, 1, 1]
    assert {s.version for of_one in progress.ahead.drawn for of_cut in of_one for s in of_cut} == {3}
    progress = Progress()
    hand_over(in_turn, 0, tmp_path)
    for number in range(2, 6):
        batch = collect(in_turn, progress, Clock())
        asked, _ = in_turn.objective.draw(number, batch.cursor, AHEAD.prompts_per_step)
        coming = drawn_by(in_turn.engine, asked, in_turn.sampling, number)
        progress, _ = step(in_turn, progress, batch)
        progress = replace(progress, ahead=coming)
        hand_over(in_turn, progress.step, tmp_path)
    assert _numbers(side_by_side) == _numbers(in_turn)


def test_the_engine_draws_while_the_policy_is_updated():
    """Each waits for the other to have begun: one after the other, both would wait in vain."""
    trainer = _trainer()
    drawing, updating = threading.Event(), threading.Event()
    generate, take = trainer.engine.generate, trainer.backend.step

    def met(mine, other, call):
        def meeting(*given):
            mine.set()
            assert other.wait(60), "the other has not begun"
            return call(*given)

        return meeting

    batch = collect(trainer, Progress(), Clock())
    trainer.engine.generate = met(drawing, updating, generate)
    trainer.backend.step = met(updating, drawing, take)
    progress, _ = step_and_draw(trainer, Progress(), batch, Clock())
    assert len(progress.ahead.drawn) == 4
    assert _nothing_drawing()


def test_only_a_step_s_first_round_is_drawn_ahead(tmp_path):
    recipe = AHEAD.model_copy(update={"selection": Selection(max_refills=2)})
    trainer = _trainer(recipe=recipe)
    hand_over(trainer, 0, tmp_path)
    progress, _ = step_and_draw(trainer, Progress(), collect(trainer, Progress(), Clock()), Clock())
    hand_over(trainer, 1, tmp_path)
    trainer.objective.score_all = 0.5
    before = trainer.engine.num_forwarded
    batch = collect(trainer, progress, Clock())
    versions = [group.samples[0].version for group in batch.groups]
    first = sum(len(of_one) for of_one in progress.ahead.drawn)
    assert 8 <= first < len(versions)
    assert versions == [0] * first + [1] * (len(versions) - first)
    assert batch.num_forwarded == trainer.engine.num_forwarded - before + progress.ahead.forwarded
    _, metrics = step(trainer, progress, batch)
    assert metrics["staleness"] == pytest.approx(first / len(versions))


def test_stale_answers_weigh_what_they_would_now():
    """One update apart, the ratio of probabilities is no longer 1, and its weight is capped."""
    trainer = _trainer(recipe=AHEAD.model_copy(update={"importance_cap": 1.0}))
    progress, fresh = step_and_draw(trainer, Progress(), collect(trainer, Progress(), Clock()), Clock())
    _, stale = step_and_draw(trainer, progress, collect(trainer, progress, Clock()), Clock())
    assert fresh["ratio_error_max"] < 1e-4 < 1e-2 < stale["ratio_error_max"]
    assert stale["mismatch_kl"] > 10 * abs(fresh["mismatch_kl"])


@pytest.mark.parametrize(("at", "named"), [(3, "step 1"), (0, "step 1")])
def test_older_answers_and_those_of_the_future_are_refused(at, named):
    trainer = _trainer()
    batch = collect(trainer, Progress(), Clock())
    for group in batch.groups:
        group.samples[:] = [replace(one, version=1) for one in group.samples]
    with pytest.raises(EngineError, match=rf"weights of {named}, .* at step {at} .*=1 allows 1 between"):
        step(trainer, Progress(step=at), batch)
    step(trainer, Progress(step=2), batch)


def test_a_killed_run_ends_in_the_same_bytes_wherever_it_was_killed(
    tmp_path, start, toy, monkeypatch  # noqa: F811
):  # fmt: skip
    often = Placement(checkpoint_seconds=1e-6)
    whole = _by(Alone, tmp_path / "whole", start, monkeypatch, placement=often)
    told, weights, saves = _metrics(whole), _weights(whole), whole.saves
    batches = (whole.out / "batches.parquet").read_bytes()
    assert [row["staleness"] > 0 for row in told if row["step"]] == [False, True, True, True, True]
    assert sorted(saves) == [1, 2, 3, 4]
    for killed in (1, 3, 4):
        whole.saves = {killed: saves[killed]}
        _by(Alone, tmp_path, start, monkeypatch, build=whole)
        assert (_metrics(whole), _weights(whole)) == (told, weights)
        assert (whole.out / "batches.parquet").read_bytes() == batches


def test_a_stopped_run_goes_on_with_what_was_drawn(tmp_path, start, toy, monkeypatch):  # noqa: F811
    whole = _by(Owner, tmp_path / "whole", start, monkeypatch)
    broken = _build(tmp_path / "broken", start, StoppingBuild)
    with pytest.raises(Stopped):
        _by(Owner, tmp_path, start, monkeypatch, build=broken)
    assert saved_ahead(broken.saves[3]) is not None
    broken.stop, broken.stop_after = False, 99
    _by(Owner, tmp_path, start, monkeypatch, build=broken)
    assert _weights(broken) == _weights(whole)


def test_an_engine_that_dies_while_it_draws_ahead_costs_no_answer(
    tmp_path, start, toy, monkeypatch  # noqa: F811
):  # fmt: skip
    whole = _by(Owner, tmp_path / "whole", start, monkeypatch)
    for draws in (4, 7, 10):
        monkeypatch.setattr(Dying, "draws_left", draws)
        monkeypatch.setattr(Dying, "closed", 0)
        broken = _build(tmp_path / str(draws), start, placement=Placement(checkpoint_seconds=1e-6))
        with pytest.raises(EngineError, match=DIED):
            _by(Dying, tmp_path, start, monkeypatch, build=broken)
        assert _nothing_drawing()
        assert Dying.closed >= 1
        _by(Owner, tmp_path, start, monkeypatch, build=broken)
        assert _weights(broken) == _weights(whole)


def test_an_engine_that_keeps_old_weights_is_found_out(tmp_path, start, toy, monkeypatch):  # noqa: F811
    with pytest.raises(EngineError, match="after step 1, engine and trainer differ"):
        _by(Stale, tmp_path, start, monkeypatch)
    assert _nothing_drawing()


def test_an_update_that_fails_leaves_no_draw_under_way():
    trainer = _trainer()
    closed = []
    trainer.engine.close = lambda: closed.append(True)
    batch = collect(trainer, Progress(), Clock())

    def interrupted(number):
        raise KeyboardInterrupt

    trainer.backend.step = interrupted
    with pytest.raises(KeyboardInterrupt):
        step_and_draw(trainer, Progress(), batch, Clock())
    assert closed
    assert _nothing_drawing()


def test_a_draw_that_hangs_does_not_hold_up_an_end(tmp_path):
    """The worker would be waited for ten minutes; the engine is closed under it instead."""
    trainer = _trainer(Owner)
    batch = collect(trainer, Progress(), Clock())
    engine = faked(
        trainer.policy, "hangs", times=1, folder=tmp_path, patience=PipeDeadlines(start=600, silence=600)
    )
    trainer = replace(trainer, engine=engine)
    hangs = tmp_path / "faults" / "000"

    def interrupted(number):
        while hangs.exists():  # until the worker has taken its fault up
            time.sleep(0.05)
        raise KeyboardInterrupt

    trainer.backend.step = interrupted
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        step_and_draw(trainer, Progress(), batch, Clock())
    assert time.monotonic() - begun < 240
    assert _nothing_drawing()
    assert engine.replicas[0].worker is None


def test_every_rank_draws_its_share_ahead_and_has_all_of_it():
    one = _trainer()
    alone, _ = step_and_draw(one, Progress(), collect(one, Progress(), Clock()), Clock())
    ranks = Ranks(2)
    trainers = on_ranks(make_trainer(AHEAD), ranks, Owner)

    def train(rank):
        trainer = trainers[rank]
        batch = collect(trainer, Progress(), Clock())
        before = trainer.engine.num_forwarded
        progress, _ = step_and_draw(trainer, Progress(), batch, Clock())
        return progress, trainer.engine.num_forwarded - before

    (first, of_first), (second, of_second) = ranks.run(train)
    assert first.ahead == second.ahead
    assert min(of_first, of_second) > 0
    assert first.ahead.forwarded == of_first + of_second
    found, expected = (
        [s.token_ids for of_one in drawn for of_cut in of_one for s in of_cut]
        for drawn in (first.ahead.drawn, alone.ahead.drawn)
    )
    assert found == expected


def test_a_draw_that_fails_on_one_rank_ends_all():
    ranks = Ranks(2)
    trainers = on_ranks(make_trainer(AHEAD), ranks, Dying)
    trainers[1].engine.draws_left = 1
    said = []

    def train(rank):
        trainer = trainers[rank]
        batch = collect(trainer, Progress(), Clock())
        try:
            step_and_draw(trainer, Progress(), batch, Clock())
        except EngineError as error:
            said.append(str(error))

    ranks.run(train)
    assert len(said) == 2
    assert all(DIED in one and one.endswith("(rank 1)") for one in said)


def test_a_training_that_draws_ahead_is_replayed(tmp_path, start, toy, monkeypatch):  # noqa: F811
    trained = _by(Owner, tmp_path / "trained", start, monkeypatch)
    assert (trained.milestones[2] / "state" / AHEAD_FILE).exists()
    for number, begin in ((4, None), (4, trained.milestones[2]), (3, trained.milestones[2])):
        again = _build(tmp_path / f"again-{number}-{begin is None}", start)
        again.numerics = again.numerics.model_copy(update={"engine": "torch-copy"})
        again.inputs = {**again.inputs, TRAINED: trained.out, **({"from": begin} if begin else {})}
        assert replay(Replay(training=SMALL, step=number), again).summary["step"] == number


def test_what_is_kept_comes_back_to_the_last_bit(tmp_path):
    samples = [Sample((1, 2), (-0.1, -1 / 3), "stop", 4), Sample((3,), (-1e-300,), "length", 5)]
    kept = DrawnAnswers([[samples, samples[:1]], [], [samples[::-1]]], 7, 1e9 / 3)
    save_ahead(tmp_path, kept)
    assert saved_ahead(tmp_path) == kept
    (tmp_path / "none").mkdir()
    save_ahead(tmp_path / "none", None)
    assert saved_ahead(tmp_path / "none") is None
    assert not list((tmp_path / "none").iterdir())


@pytest.mark.parametrize(
    ("objective", "why"),
    [
        (RmtObjective(), "rmt .*follow the answers of the step before"),
        (RptObjective(learnability=Learnability()), "rpt .*follow the answers of the step before"),
        (NtpObjective(), "ntp .*it asks nothing"),
    ],
)
def test_questions_nobody_knows_ahead_are_refused_in_the_recipe(objective, why):
    given = {**dict(RECIPE), "objective": objective}
    PolicyRecipe.model_validate(given)
    with pytest.raises(ValidationError, match=why):
        PolicyRecipe.model_validate({**given, "off_policy_steps": 1})


def test_an_objective_with_a_state_is_refused_whatever_its_name():
    def nothing(*given):
        return {}

    state = SimpleNamespace(
        name="mine", wants_entropies=False, observe=nothing, state=nothing, restore=nothing
    )
    trainer = SimpleNamespace(recipe=AHEAD, objective=state)
    with pytest.raises(RecipeError, match="off_policy_steps=1 with objective mine: its questions follow"):
        refuse_followed(trainer)
    refuse_followed(SimpleNamespace(recipe=RECIPE, objective=state))


@pytest.mark.parametrize(
    ("engine", "on_gpu", "why"),
    [
        ("torch", False, "the very weights that learning changes: .*engine=vllm or torch-copy"),
        ("torch", True, "the very weights that learning changes: .*engine=vllm, or"),
        ("torch-copy", True, "the GPU's one queue of work: .*engine=vllm, or"),
        ("torch-copy", False, None),
        ("vllm", True, None),
    ],
)
def test_an_engine_that_cannot_draw_meanwhile_is_refused(engine, on_gpu, why):
    refuse_shared(RECIPE, engine, on_gpu=on_gpu)
    if why is None:
        refuse_shared(AHEAD, engine, on_gpu=on_gpu)
    else:
        with pytest.raises(CapacityError, match=why):
            refuse_shared(AHEAD, engine, on_gpu=on_gpu)


def test_a_plan_and_a_stage_refuse_it_before_anything_is_read(tmp_path, start, toy):  # noqa: F811
    for engine in ("auto", "torch"):
        with pytest.raises(CapacityError, match=r"off_policy_steps=1 .* engine=torch draws"):
            capacity.check(AHEAD, Placement(gpus=0, engine=engine))
    capacity.check(AHEAD, Placement(gpus=0, engine="torch-copy"))
    with pytest.raises(CapacityError, match="engine=torch draws"):
        train_policy(SMALL, _build(tmp_path, start))


def test_the_field_leaves_fingerprints_and_metrics_alone(tmp_path, start, toy):  # noqa: F811
    assert "off_policy_steps" not in RECIPE.canonical()
    assert AHEAD.canonical()["off_policy_steps"] == 1
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        PolicyRecipe.model_validate({**dict(RECIPE), "off_policy_steps": 2})
    build = _build(tmp_path, start, placement=Placement(checkpoint_seconds=1e-6))
    train_policy(SHORT.model_copy(update={"steps": 2, "milestones": (1,), "evaluate_every": 0}), build)
    assert not any("staleness" in row for row in _metrics(build))
    assert not list(build.saves[1].rglob(AHEAD_FILE))
    assert "ahead" not in json.loads((build.saves[1] / "progress.json").read_text())["progress"]
