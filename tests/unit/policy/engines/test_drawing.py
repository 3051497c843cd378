"""Small decisions of engines: which trunks share a batch, what a recorded step counts, which rows go."""

import logging
import math
from dataclasses import replace
from hashlib import blake2b
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rpt_core.errors import EngineError, RecipeError
from rpt_core.policy.engines import decoding, torch_engine
from rpt_core.policy.engines.copied import CopiedEngine
from rpt_core.policy.engines.decoding import Decoding
from rpt_core.policy.engines.draws import cut_names, inverse_cdf, stream_keys, truncate
from rpt_core.policy.engines.graphs import WARM, WORTH, Calls, CudaGraphs, Replays
from rpt_core.policy.engines.registry import ENGINES, open_engine
from rpt_core.policy.engines.torch_engine import TorchEngine, _Answers
from rpt_core.policy.trunk import Cut, Sampling, Trunk
from rpt_core.policy.work import Work
from tests.toys import random_tree, tiny_policy


def _trunk(cuts, tokens):
    return Trunk("t", (), (2,) * tokens, (Cut(1),) * cuts)


@pytest.mark.parametrize(
    ("most", "batches"),
    [
        (100, [[1, 4, 3, 0]]),
        (14, [[1, 4, 3, 0]]),  # of 2, 2, 4 and 6 answers
        (13, [[1, 4, 3], [0]]),
        (8, [[1, 4, 3], [0]]),
        (7, [[1, 4], [3], [0]]),
        (1, [[1], [4], [3], [0]]),
    ],
)
def test_batches_hold_at_most_so_many_answers(most, batches):
    trunks = [_trunk(3, 5), _trunk(1, 4), _trunk(0, 9), _trunk(2, 3), _trunk(1, 8)]
    assert list(TorchEngine(tiny_policy(), most)._batches(trunks, 2)) == batches


@pytest.mark.parametrize(
    ("small", "free", "together"),
    [(10, 0, True), (9, 0, False), (9, 160, True), (9, 159, False)],
)
def test_a_batch_may_cost_twice_its_real_part_or_what_is_free(small, free, together, monkeypatch):
    """Two trunks of 4 rows each, the longer of 20 tokens: padded to 160 rows x keys."""
    monkeypatch.setattr(torch_engine, "PADDED_FREE", free)
    monkeypatch.setattr(torch_engine, "PADDED_MAX", 160 / 120)
    batches = list(TorchEngine(tiny_policy())._batches([_trunk(2, 20), _trunk(2, small)], 2))
    assert batches == ([[1, 0]] if together else [[1], [0]])


def test_which_engine_is_opened():
    policy = tiny_policy()
    assert list(ENGINES) == ["torch", "torch-copy", "vllm"]
    engine, copied = open_engine("torch", policy), open_engine("torch-copy", policy)
    assert type(engine) is TorchEngine
    assert type(copied) is CopiedEngine
    assert (engine.shares_weights, engine.policy is policy) == (True, True)
    assert (copied.shares_weights, copied.replayable) == (False, True)
    assert copied.policy.output_weight.data_ptr() != policy.output_weight.data_ptr()
    assert (engine.num_draws, engine.num_close_draws, engine.num_forwarded, engine.flops) == (0, 0, 0, 0.0)
    with pytest.raises(
        EngineError, match="the engine 'jax'; this version draws answers with torch, torch-copy"
    ):
        open_engine("jax", policy)


def test_cuts_are_named_by_place_and_number_there():
    cuts = (Cut(3, (9,)), Cut(1, (9,)), Cut(3, (8,)), Cut(3, (7,)))
    assert cut_names(Trunk("t", (), (2, 3, 4), cuts)) == ["3.0", "1.0", "3.1", "3.2"]


def test_keys_are_those_of_the_published_hash():
    rows = [("doc", "7.0", 0), ("a/b", "1.2", 5)]
    wanted = []
    for key, cut, answer in rows:
        digest = blake2b(f"3/11/{cut}/{answer}/{key}".encode(), digest_size=8).digest()
        wanted.append(int.from_bytes(digest, "little", signed=True))
    assert stream_keys(3, 11, rows).tolist() == wanted


@pytest.mark.parametrize(
    ("number", "token", "distance"),
    [(0.05, 1, 0.05), (0.19, 1, 0.01), (0.3, 2, 0.1), (0.6, 2, 0.1), (0.75, 4, 0.05), (0.9, 4, 0.1)],
)
def test_the_distance_is_that_of_the_nearer_edge(number, token, distance):
    chances = torch.tensor([[0.0, 0.2, 0.5, 0.0, 0.3]], dtype=torch.float64)
    for before in (0, 300, 512):
        padded = torch.nn.functional.pad(chances, (before, 7))
        found, edge = inverse_cdf(padded.float(), torch.tensor([number], dtype=torch.float64))
        assert found.tolist() == [before + token]
        assert float(edge) == pytest.approx(distance, abs=1e-7)


def test_rows_that_sum_to_less_than_one_are_drawn_from_in_proportion():
    found, _ = inverse_cdf(torch.tensor([[0.25, 0.25]]), torch.tensor([0.49], dtype=torch.float64))
    assert found.tolist() == [0]
    found, _ = inverse_cdf(torch.tensor([[0.25, 0.25]]), torch.tensor([0.51], dtype=torch.float64))
    assert found.tolist() == [1]


def test_a_mass_that_is_just_reached_keeps_no_further_token():
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64))
    assert torch.isfinite(truncate(logits, 0, 0.5)).tolist() == [[True, False, False]]
    assert torch.isfinite(truncate(logits, 2, 1.0)).tolist() == [[True, True, True]]  # a tie
    assert truncate(logits, 0, 1.0) is logits


def _counted(work, log):
    def unit():
        work.flops += 5
        log.append("unit")

    return unit


class _Recorder(Calls):
    """Notes what it is asked for; a replay counts no operations."""

    def __init__(self, log):
        self.log = log

    def record(self, unit):
        self.log.append("record")
        unit()
        return lambda: self.log.append("replay")


def test_a_step_is_called_while_new_then_recorded_and_counted_as_often_as_it_is_replayed():
    work, log = Work(1, 1, 1, 1), []
    replays, unit = Replays(_Recorder(log), work), _counted(work, log)
    for left in range(WORTH + WARM, WORTH - 2, -1):
        replays.run(unit, left)
    assert log == ["unit", "unit", "record", "unit", "replay", "replay"]
    assert work.flops == 5 * (WARM + 2)
    assert (replays.num_recorded, replays.num_replayed) == (1, 2)
    replays.forget()
    log.clear()
    for _ in range(WARM + 1):
        replays.run(unit, WORTH - 1)
    assert log == ["unit"] * (WARM + 1)  # not worth it
    replays.run(unit, WORTH)
    assert log[WARM + 1 :] == ["record", "unit", "replay"]
    assert (replays.num_recorded, replays.num_replayed) == (2, 3)
    assert work.flops == 5 * (WARM + 2 + WARM + 2)


@pytest.mark.parametrize(
    ("error", "told"), [(RuntimeError("no\nmore"), "RuntimeError: no"), (RuntimeError(), "RuntimeError: ")]
)
def test_a_step_that_cannot_be_recorded_is_called_for_good(error, told, caplog):
    class Broken(_Recorder):
        def record(self, unit):
            unit()
            raise error

    work, log = Work(1, 1, 1, 1), []
    replays, unit = Replays(Broken(log), work), _counted(work, log)
    with caplog.at_level(logging.WARNING, "rpt.engine"):
        for _ in range(WARM + 3):
            replays.run(unit, 100)
    assert replays.refused == told
    assert type(replays.recorder) is Calls
    assert (replays.num_recorded, replays.num_replayed) == (0, 0)
    assert work.flops == 5 * (WARM + 3)
    assert len(caplog.records) == 1


def test_a_graph_is_recorded_on_a_stream_and_a_pool_of_its_own(monkeypatch):
    log = []

    class Context:
        def __init__(self, name, **told):
            self.entry = (name, *told.items())

        def __enter__(self):
            log.append(("in", *self.entry))

        def __exit__(self, *_):
            log.append(("out", self.entry[0]))

    class Stream:
        def __init__(self, name="own"):
            self.name = name

        def wait_stream(self, other):
            log.append(f"{self.name} waits for {other.name}")

    current = Stream("current")
    graph_of = SimpleNamespace(replay="a replay")
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: current)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: Context(stream.name))
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: graph_of)
    monkeypatch.setattr(torch.cuda, "graph", lambda one, **told: Context("graph", **told))
    recorder = CudaGraphs()
    recorder.warm(lambda: log.append("unit"))
    assert log == ["own waits for current", ("in", "own"), "unit", ("out", "own"), "current waits for own"]
    log.clear()
    assert recorder.record(lambda: log.append("unit")) == "a replay"
    told = ("pool", "pool"), ("stream", recorder.stream), ("capture_error_mode", "thread_local")
    assert log == [("in", "graph", *told), "unit", ("out", "graph")]


def test_steps_are_recorded_on_a_gpu_and_where_that_is_asked(monkeypatch):
    monkeypatch.setattr(torch_engine, "CudaGraphs", lambda: "graphs")
    gpu = SimpleNamespace(device=torch.device("cuda"), work=None)
    cpu = SimpleNamespace(device=torch.device("cpu"), work=None)
    assert TorchEngine(gpu).replays.recorder == "graphs"
    assert TorchEngine(gpu, steps="called").replays is None
    assert TorchEngine(cpu).replays is None
    assert TorchEngine(cpu, steps="recorded").replays.recorder == "graphs"
    simulated = TorchEngine(cpu, steps="simulated")
    assert type(simulated.replays.recorder) is Calls
    assert simulated.replays is simulated.replays


TWO = [
    Trunk("a", (3,), (4, 5, 6), (Cut(2), Cut(1, stop_ids=frozenset({8, 9})))),
    Trunk("b", (3,), (4, 5), (Cut(1),)),
]


def test_answers_end_by_their_own_stops_and_are_put_together_in_order():
    sampling = Sampling(1.0, 9, frozenset({7}), 2, seed=0, forced_ids=(7,))
    answers = _Answers(TWO, sampling, 4)
    rows = [("a", "2.0"), ("a", "2.0"), ("a", "1.0"), ("a", "1.0"), ("b", "1.0"), ("b", "1.0")]
    names = [(key, cut, number % 2) for number, (key, cut) in enumerate(rows)]
    assert answers.keys.tolist() == stream_keys(0, 4, names).tolist()
    half = np.full(6, -0.5, np.float32)
    assert answers.add(np.full(6, 7), half, 0).tolist() == [True] * 6  # forced tokens end nothing
    assert answers.add(np.array([7, 9, 9, 7, 2, 7]), half, 1).tolist() == [
        False,
        True,
        False,
        True,
        True,
        False,
    ]
    answers.keep(np.array([False, True, True, True, True, False]))
    assert answers.rows.tolist() == [1, 2, 3, 4]
    assert answers.add(np.array([3, 3, 8, 7]), half[:4] * 3, 2).tolist() == [True, False, False, False]
    found = answers.collect(TWO, version=6)
    tokens = [[[s.token_ids for s in cut] for cut in trunk] for trunk in found]
    assert tokens == [[[(7, 7), (7, 9, 3)], [(7, 9), (7, 7, 8)]], [[(7, 2, 7), (7, 7)]]]
    samples = [s for trunk in found for cut in trunk for s in cut]
    assert [s.finish for s in samples] == ["stop", "length", "stop", "stop", "stop", "stop"]
    assert {s.version for s in samples} == {6}
    assert samples[1].logprobs == (-0.5, -0.5, -1.5)


def test_rows_are_taken_out_where_fewer_than_a_share_go_on(monkeypatch):
    kept = []

    def keep(self, going, original=Decoding.keep):
        kept.append((int(going.sum()), len(going)))
        original(self, going)

    monkeypatch.setattr(Decoding, "keep", keep)
    trunks, _ = random_tree(0, [[(3, 1), (6, 2)], [(4, 0)]])
    sampling = Sampling(1.0, 40, frozenset({2, 3, 4}), 8, seed=2)
    for steps, share in (("called", 7 / 8), ("simulated", 1 / 2)):
        kept.clear()
        TorchEngine(tiny_policy(sharpness=1.0), steps=steps).generate(trunks, sampling, 1)
        assert kept
        assert kept[0][1] == 24
        assert all(going < share * rows for going, rows in kept)


def test_what_is_drawn_is_counted_token_by_token():
    policy = tiny_policy()
    trunk = Trunk("a", (3, 4), (5, 6, 7, 8), (Cut(2, (9,)), Cut(4, (9, 10, 11))))
    engine = TorchEngine(policy)
    engine.generate([trunk], Sampling(1.0, 5, frozenset(), 3, seed=0, forced_ids=(6, 5)), 1)
    assert engine.num_forwarded == 6 + 4 + 6 * 4  # trunk, suffixes, and all but the last of 5 tokens
    assert engine.num_draws == 6 * 3
    work = policy.work
    # branches: 4 suffix tokens over the trunk, and two rows of up to 3 over themselves
    before = 6 * 6 + 4 * 6 + 2 * 3 * 3
    # each of 4 tokens: 6 rows over the trunk, and over 3 suffix places and what they have drawn
    drawn = sum(6 * 6 + 6 * (3 + at) for at in range(1, 5))
    tokens = engine.num_forwarded * work.per_token
    assert engine.flops == tokens + (before + drawn) * work.per_pair + 6 * 5 * work.per_score


@pytest.mark.parametrize(("fixed", "first"), [(False, 7), (True, 5)])
def test_room_is_doubled_when_it_is_used_up_and_new_places_are_seen_as_they_fill(fixed, first, monkeypatch):
    monkeypatch.setattr(decoding, "FIRST_FIXED_ROOM" if fixed else "FIRST_ROOM", first)
    trunk = Trunk("a", (3, 4), (5, 6, 7, 8), (Cut(2, (9,)), Cut(4, (9, 10, 11))))
    state = Decoding(tiny_policy(), [trunk], 2, fixed=fixed)
    assert state.suffix == 3
    assert state.start.tolist() == [5, 5, 9, 9]
    assert state.limit.tolist() == [4, 4, 6, 6]
    assert state.room == first
    shown = state.attention.bias_own_N1D
    hidden = [[0, 0, 1], [0, 0, 1], [1, 1, 1], [1, 1, 1]]
    assert (shown[:, 0, :3] == 0).int().tolist() == hidden
    assert bool((shown[:, 0, 3:] == 0).all()) is not fixed
    tokens = torch.full((4,), 5)
    for position in range(first):
        assert not state.make_room()
        state.advance(tokens, torch.tensor(position))
        state.count()
    assert state.room == 0
    assert state.make_room()
    assert state.room == 3 + first
    shown = state.attention.bias_own_N1D
    assert shown.shape == (4, 1, 2 * (3 + first))
    filled = torch.arange(2 * (3 + first)) < (3 + first)
    assert bool((shown[2, 0, filled] == 0).all())
    assert bool((shown[:, 0, ~filled] == (decoding.UNSEEN if fixed else 0.0)).all())
    assert state.num_forwarded == 6 + 4 + 4 * first
    state.policy.__dict__["learned_positions"] = 9 + first + 1
    state.make_room()
    state.policy.__dict__["learned_positions"] = 9 + first
    with pytest.raises(RecipeError, match=f"a row of {9 + first + 1} tokens"):
        state.make_room()


def test_the_log_probability_of_a_forced_token_is_that_of_the_tempered_head():
    policy, temperature = tiny_policy(sharpness=1.5), 0.6
    trunk = Trunk("a", (3, 4), (5, 6, 7, 8), (Cut(3),))
    sampling = Sampling(temperature, 2, frozenset(), 1, seed=0, top_k=9, forced_ids=(6,))
    ((((sample,),),)) = TorchEngine(policy).generate([trunk], sampling, 1)
    with policy.attending("eager"), torch.no_grad():
        logits = policy.model(torch.tensor([[3, 4, 5, 6, 7]])).logits[0, -1] / temperature
    kept = logits.topk(9)
    wanted = float(logits[6] - kept.values.logsumexp(0)) if 6 in kept.indices else -math.inf
    assert sample.logprobs[0] == pytest.approx(wanted, abs=1e-4)
    assert sample.token_ids[0] == 6
    free = replace(sampling, top_k=0)
    ((((sample,),),)) = TorchEngine(policy).generate([trunk], free, 1)
    assert sample.logprobs[0] == pytest.approx(float(logits.log_softmax(0)[6]), abs=1e-4)


def test_activations_are_those_of_evaluation_while_drawing_and_the_mode_is_put_back():
    policy = tiny_policy()
    seen = []
    policy.model.model.layers[0].register_forward_hook(lambda module, *_: seen.append(module.training))
    for training in (True, False):
        policy.model.train(training)
        TorchEngine(policy).generate([TWO[1]], Sampling(1.0, 2, frozenset(), 1, seed=0), 1)
        assert policy.model.training is training
    assert set(seen) == {False}
