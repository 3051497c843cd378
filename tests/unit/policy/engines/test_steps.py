"""Tokens drawn in fixed memory and replayed, as a GPU does it: the same answers, and nobody waits."""

from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rpt_core.policy.engines import decoding, graphs, torch_engine
from rpt_core.policy.engines.graphs import Calls, Replays
from rpt_core.policy.engines.torch_engine import LOOK_EVERY, TorchEngine
from rpt_core.policy.trunk import Sampling
from tests.tapes import Tape
from tests.toys import random_tree, tiny_policy

CUTS = [[(0, 2), (3, 1), (3, 0), (9, 5)], [], [(5, 2)], [(12, 0)]]
SAMPLING = Sampling(0.8, 40, frozenset({5, 6}), 3, seed=1)
WAITS = {
    "_local_scalar_dense",
    "nonzero",
    "is_nonzero",
    "item",
    "equal",
    "masked_select",
    "unique",
    "_unique2",
}
"""Operations whose result Python has to see, or whose shape depends on numbers: a GPU is waited for."""


def _engine(policy, recorder=None, **fields):
    engine = TorchEngine(policy, steps="simulated", **fields)
    if recorder is not None:
        engine.replays.recorder = recorder
    return engine


def _tokens(drawn):
    return [[[s.token_ids for s in group] for group in trunk] for trunk in drawn]


def _logprobs(drawn):
    return torch.tensor([x for trunk in drawn for group in trunk for s in group for x in s.logprobs])


@pytest.mark.parametrize("recorder", [Calls, Tape])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"forced_ids": (9, 5, 7)},
        {"stop_ids": frozenset()},
        {"stop_ids": frozenset(range(2, 12))},
        {"max_new_tokens": 1},
        {"max_new_tokens": LOOK_EVERY + 2},
        {"top_k": 5, "top_p": 0.9},
    ],
    ids=str,
)
def test_replayed_steps_draw_what_calls_draw(recorder, change, monkeypatch):
    monkeypatch.setattr(decoding, "FIRST_FIXED_ROOM", 12)  # so that room is made twice
    policy, (trunks, _) = tiny_policy(sharpness=1.5), random_tree(0, CUTS)
    sampling = replace(SAMPLING, **change)
    engine, plain = _engine(policy, recorder()), TorchEngine(policy)
    ours, theirs = engine.generate(trunks, sampling, 3), plain.generate(trunks, sampling, 3)
    assert _tokens(ours) == _tokens(theirs)
    torch.testing.assert_close(_logprobs(ours), _logprobs(theirs), rtol=0, atol=1e-5)
    assert engine.replays.refused is None
    assert engine.replays._replay is None  # its memory is the update's now
    assert (engine.replays.num_replayed > 0) == (sampling.max_new_tokens > 10)


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
def test_other_models_replay_alike(kind):
    policy, (trunks, _) = tiny_policy(kind, tied=False, sharpness=1.5), random_tree(2, CUTS, instruction=3)
    ours = _engine(policy, Tape()).generate(trunks, SAMPLING, 1)
    assert _tokens(ours) == _tokens(TorchEngine(policy).generate(trunks, SAMPLING, 1))


def test_a_second_batch_replays_nothing_of_the_first():
    policy = tiny_policy(sharpness=1.5)
    engine, plain = _engine(policy, Tape()), TorchEngine(policy)
    for seed in (0, 1):
        trunks, _ = random_tree(seed, CUTS)
        assert _tokens(engine.generate(trunks, SAMPLING, 1)) == _tokens(plain.generate(trunks, SAMPLING, 1))
        with torch.no_grad():  # an optimiser's step: in place, so the next batch is drawn with it
            policy.output_weight.mul_(0.9)


class _Waits(TorchDispatchMode):
    """Counts operations that make Python wait."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        indexed_by_bools = name in ("index", "index_put_", "index_put") and any(
            x is not None and x.dtype == torch.bool for x in args[1]
        )
        if name in WAITS or indexed_by_bools:
            self.found.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("steps", ["simulated", "called"])
def test_nobody_waits_for_a_token(steps, monkeypatch):
    waits, reads, draws = _Waits(), [], []

    def watched(rows, original=torch_engine._Rows.draw_next):
        draws.append(rows)
        with waits:
            original(rows)

    def read(rows, count, original=torch_engine._Rows.read):
        reads.append(count)
        return original(rows, count)

    monkeypatch.setattr(torch_engine._Rows, "draw_next", watched)
    monkeypatch.setattr(torch_engine._Rows, "read", read)
    trunks, _ = random_tree(0, CUTS)
    engine = TorchEngine(tiny_policy(), steps=steps)
    engine.generate(trunks, replace(SAMPLING, stop_ids=frozenset(), max_new_tokens=50), 1)
    assert waits.found == []
    assert len(draws) == 49
    assert reads == (
        [1, 16, 16, 16, 1] if steps == "simulated" else [1] * 50
    )  # answers are read, and no more


def test_the_watch_sees_a_wait():
    with _Waits() as waits:
        int(torch.ones(3)[torch.tensor([True, False, True])].sum())
    assert waits.found == ["index", "_local_scalar_dense"]


def test_a_step_that_cannot_be_recorded_is_called_and_the_reason_named(caplog):
    class Broken(Calls):
        def record(self, unit):
            unit_before = [p.clone() for p in policy.model.parameters()]
            assert unit_before
            raise RuntimeError("operation not permitted when stream is capturing\nand more")

    policy, (trunks, _) = tiny_policy(sharpness=1.5), random_tree(0, CUTS)
    engine = _engine(policy, Broken())
    assert _tokens(engine.generate(trunks, SAMPLING, 1)) == _tokens(
        TorchEngine(policy).generate(trunks, SAMPLING, 1)
    )
    assert engine.replays.refused == "RuntimeError: operation not permitted when stream is capturing"
    assert "none could be recorded: RuntimeError: operation not permitted" in caplog.text
    assert engine.replays.num_replayed == 0


def test_work_is_counted_where_no_python_runs(monkeypatch):
    policy, (trunks, _) = tiny_policy(), random_tree(0, CUTS)
    taped, called = _engine(policy, Tape()), _engine(policy)
    called.replays.refused = "for this test"
    for engine in (taped, called):
        engine.generate(trunks, replace(SAMPLING, stop_ids=frozenset()), 1)
    assert taped.replays.num_replayed > 0 == called.replays.num_replayed
    assert taped.flops == called.flops
    assert taped.num_forwarded == called.num_forwarded
    assert taped.num_draws == called.num_draws
    assert taped.num_close_draws == called.num_close_draws


def test_few_steps_are_not_worth_recording():
    policy, done = tiny_policy(), []
    replays = Replays(Calls(), policy.work)
    for left in range(graphs.WORTH - 1, 0, -1):
        replays.run(lambda: done.append(1), left)
    assert (replays.num_recorded, replays.num_replayed, len(done)) == (0, 0, graphs.WORTH - 1)


def test_checkpointed_layers_draw_in_evaluation_and_go_on_in_training():
    policy, (trunks, _) = tiny_policy(sharpness=1.5), random_tree(0, CUTS)
    plain = TorchEngine(policy).generate(trunks, SAMPLING, 1)
    policy.checkpoint_activations()
    assert _tokens(_engine(policy, Tape()).generate(trunks, SAMPLING, 1)) == _tokens(plain)
    assert policy.model.training


def test_a_cpu_calls_unless_told_otherwise():
    assert TorchEngine(tiny_policy()).replays is None
    assert isinstance(_engine(tiny_policy()).replays.recorder, Calls)
