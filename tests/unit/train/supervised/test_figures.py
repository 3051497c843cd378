"""Small figures of the supervised stages, by hand: weights, merged ranks, agreement, finite losses."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import EngineError, Stopped
from rpt_core.policy.device import device_of
from rpt_core.policy.forward import document_scores
from rpt_core.policy.parts import Part
from rpt_core.policy.trunk import Trunk
from rpt_core.recipes.judge import JudgeRecipe
from rpt_core.recipes.supervised import ModelShape, Optimiser
from rpt_core.train.backends.torch_backend import TorchBackend
from rpt_core.train.supervised import base, judge, loop
from rpt_core.train.supervised.cold_start import (
    _Batch,
    _context_tokens,
    _style,
    _token_weights,
    first_token_weights,
)
from rpt_core.train.supervised.held_out import held_out_nll
from rpt_core.train.supervised.lessons import Answer, SupervisedExample
from rpt_core.train.supervised.loop import Learned, _assert_finite, _merged, train_supervised
from tests.toys import tiny_policy

THINKING, DIRECT = Answer((5, 6, 7), True), Answer((8, 9), False)


def test_first_tokens_stand_in_the_wanted_ratio():
    found = first_token_weights([THINKING] * 3 + [DIRECT] * 5, 0.25)
    assert found == {True: pytest.approx(0.25 * 8 / 3), False: pytest.approx(0.75 * 8 / 5)}
    assert first_token_weights([THINKING] * 3, 0.25) == {True: 0.25, False: 0.0}
    assert first_token_weights([DIRECT] * 4, 0.25) == {True: 0.0, False: 0.75}


EXAMPLES = [
    SupervisedExample(Trunk("a", (), (1, 2)), ((THINKING, DIRECT),)),
    SupervisedExample(Trunk("b", (), (1, 2)), ((DIRECT,), (THINKING,))),
]


def test_only_the_first_token_of_an_answer_is_weighted():
    parts = [Part(1, ((1, 0),), True, 9), Part(0, ((0, 0), (0, 1)), True, 9), Part(0, (), False, 9)]
    found = _token_weights(parts, EXAMPLES, {True: 0.25, False: 3.0})
    assert found.dtype == np.float32
    assert found.tolist() == [0.25, 1, 1, 0.25, 1, 1, 3, 1]


def test_a_cold_starts_loss_is_two_means():
    """Over ten answer tokens and seven of documents; documents that count elsewhere are left out."""
    document = SimpleNamespace(nll_M=torch.tensor([1.0, 2.0, 4.0]), trunk_M=np.array([0, 1, 0]))
    scores = SimpleNamespace(logprobs_N=torch.tensor([-1.0, -2.0, -0.5]), document=document)
    parts = [Part(0, (), True, 1), Part(1, (), False, 1)]
    weights = np.array([2.0, 1.0, 1.0], np.float32)
    loss, nll, answer_nll = _Batch(10, 7, 0.3)._losses(scores, weights, parts)
    assert float(nll) == pytest.approx(5 / 7)
    assert float(answer_nll) == pytest.approx(3.5 / 10)
    assert float(loss) == pytest.approx(4.5 / 10 + 0.3 * 5 / 7)


def test_a_row_is_as_long_as_the_model_was_made_for():
    assert _context_tokens(tiny_policy(max_position_embeddings=321)) == 321
    assert _context_tokens(SimpleNamespace(config=SimpleNamespace())) == 2048


def test_budgets_are_named_from_the_first_to_the_last(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "rpt_core.train.supervised.cold_start.next_token_prompt",
        lambda *given: asked.append(given) or f"prompt {given[2]}",
    )
    recipe = SimpleNamespace(budget_words=(3, 6), long_share=0.25, long_passes=(2, 5), prompt="compact")
    found = _style(recipe, "codec")
    assert (found.share, found.passes) == (0.25, (2, 5))
    assert found.budgeted == ("prompt 3", "prompt 4", "prompt 5", "prompt 6")
    assert asked[0] == ("compact", "codec", 3)
    assert _style(SimpleNamespace(**{**vars(recipe), "budget_words": None}), "codec").budgeted == ()


def test_ranks_add_up_their_shares():
    ranks = [Learned(1.0, {"a": 2.0, "b": 3.0}, 40), Learned(0.5, {"a": 0.25, "b": 0.125}, 7)]
    assert _merged(ranks) == Learned(1.5, {"a": 2.25, "b": 3.125}, 47)


@pytest.mark.parametrize(("loss", "norm"), [(float("nan"), 1.0), (1.0, float("inf"))])
def test_a_loss_or_norm_that_is_not_finite_names_its_step(loss, norm):
    _assert_finite(1.0, 2.0, 4)
    with pytest.raises(EngineError) as said:
        _assert_finite(loss, norm, 4)
    assert str(said.value).startswith(
        f"the loss is {loss} (gradient norm {norm}) at step 5; the last good step was 4. "
    )


@pytest.mark.parametrize(("gpus", "there", "kind"), [(1, True, "cuda"), (0, True, "cpu"), (1, False, "cpu")])
def test_tensors_go_to_a_device_that_is_there_and_wanted(monkeypatch, gpus, there, kind):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    build = SimpleNamespace(placement=SimpleNamespace(gpus=gpus))
    assert device_of(build).type == kind


class Backend:
    """Steps nothing; every step's norm is its number."""

    rank, world_size = 0, 1

    def __init__(self):
        self.saved = []

    def all_gather(self, value):
        return [value]

    def step(self, number):
        return float(number)

    def export(self, folder):
        folder.mkdir()

    def save(self, folder):
        self.saved.append(folder.name)

    def adopt(self, folder):
        self.adopted = folder.name

    def load(self, folder):
        self.loaded = (folder / "state.json").is_file()


def supervised(build, backend, steps, stop_at=0):
    work = SimpleNamespace(flops=1000.0)
    policy = SimpleNamespace(work=work)

    def learn(step):
        work.flops += 5e9
        build.stop = step == stop_at
        return Learned(10.0 / step, {"nll_nats": 1.0 / step}, 7)

    return train_supervised(build, policy, backend, steps, learn)


def test_every_step_is_logged_with_its_sums(tmp_path):
    build = LocalBuild(
        {}, tmp_path / "out", tmp_path / "scratch", placement=Placement(checkpoint_seconds=1e9)
    )
    told = []
    build.progress = lambda *given: told.append(given)
    found = supervised(build, Backend(), 3)
    rows = [json.loads(line) for line in (build.out / "metrics.jsonl").read_text().splitlines()]
    assert [row.pop("step") for row in rows] == [1, 2, 3]
    assert rows[1] == {
        "loss": 5.0, "nll_nats": 0.5, "gradient_norm": 2.0, "tokens": 14.0, "gflops_total": 10.0,
    }  # fmt: skip
    assert (found.last, found.num_tokens, found.flops) == (rows[2], 21, 15e9)
    assert told == [(1, 3, "loss 10.000"), (2, 3, "loss 5.000"), (3, 3, "loss 3.333")]
    assert build.saves == {}


def test_a_stop_leaves_a_checkpoint_to_go_on_from(tmp_path):
    build = LocalBuild(
        {}, tmp_path / "out", tmp_path / "scratch", placement=Placement(checkpoint_seconds=1e9)
    )
    with pytest.raises(Stopped, match="stopped after step 2 of 3; "):
        supervised(build, Backend(), 3, stop_at=2)
    assert list(build.saves) == [2]
    state = json.loads((build.saves[2] / "state.json").read_text())
    assert state == {"step": 2, "tokens": 14, "flops": 1e10}
    again = Backend()
    found = supervised(build, again, 3)
    assert (found.num_tokens, found.flops, found.last["loss"]) == (21, 15e9, 10.0 / 3)
    assert (again.adopted, again.loaded) == ("model", True)


@pytest.mark.parametrize(("seconds", "saved"), [(4.0, [2, 4]), (3.9, [1, 2, 3, 4]), (8.0, [3])])
def test_checkpoints_are_further_apart_than_the_placement_asks(tmp_path, monkeypatch, seconds, saved):
    """Every step takes four seconds; the last of five leaves the model itself."""
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], perf_counter=lambda: now[0])
    monkeypatch.setattr(loop, "time", clock)
    placement = Placement(checkpoint_seconds=seconds)
    build = LocalBuild({}, tmp_path / "out", tmp_path / "scratch", placement=placement)
    build.progress = lambda *_: now.__setitem__(0, now[0] + 4.0)
    supervised(build, Backend(), 5)
    assert sorted(build.saves) == saved


def test_agreement_is_by_truth_and_unread_texts_are_not_accepted():
    truths = [True] * 5 + [False] * 4
    said = ["yes", "yes", "no", "unparsed", "timed out", "yes", "no", "no", "unreachable"]
    found = judge.agree(said, truths)
    assert found.false_accepts == 1 / 4
    assert found.false_rejects == pytest.approx(3 / 5)
    assert found.balanced_accuracy == pytest.approx(1 - (1 / 4 + 3 / 5) / 2)
    assert found.unread == 3 / 9
    assert judge.agree([], []) == judge.Agreement(0.5, 0.0, 1.0, 0.0)


def test_a_judge_answers_with_notes_and_the_verdict():
    codec = SimpleNamespace(encode=lambda text: [ord(x) for x in text], control=lambda name: (2,), end_id=1)
    one = SimpleNamespace(reference="r", predicted="p", findings="f = g", is_right=True)
    notes, score = [ord(x) for x in " f = g"], [ord(x) for x in "Score: 1"]
    assert judge._answer(one, codec) == (*notes, 2, *score, 1)
    assert judge._texts(one) == (" r", " p", " f = g", "Score: 1")
    assert judge._score(SimpleNamespace(is_right=False)) == "Score: 0"
    assert judge._weights([0] * 5, noted=0.5) == [0.5, 0.5, 0.5, 4.0, 0.5]
    (asked,) = judge.as_asked([one])
    assert (asked.reference, asked.predicted, asked.rule) == ("r", "p", "prefix")


def test_pairs_are_of_the_recipes_seed_length_and_world(monkeypatch):
    monkeypatch.setattr(judge, "pair", lambda *given: given)
    assert judge._pair(JudgeRecipe(seed=5, reference_sentences=3), 7) == (5, 7, 3, "first")
    assert judge._pair(JudgeRecipe(seed=5, reference_sentences=3, world="second"), 7) == (5, 7, 3, "second")


def test_held_out_windows_are_measured_by_their_tokens():
    policy = tiny_policy(sharpness=1.5)
    windows = [(3, 4, 5, 6), (7, 8), (9, 10, 11)]
    nlls = [document_scores(policy, [Trunk("x", (), ids)]).nll_M for ids in windows]
    expected = sum(float(nll.detach().sum()) for nll in nlls) / (3 + 1 + 2)
    assert held_out_nll(policy, windows) == pytest.approx(expected, rel=1e-6)
    assert held_out_nll(policy, []) is None
    many = [(3, 4)] * 64 + [(9, 10, 11, 12)] * 3
    first = float(document_scores(policy, [Trunk("x", (), (3, 4))]).nll_M.detach().sum())
    assert held_out_nll(policy, many) == pytest.approx(first, rel=1e-6)


def test_a_model_is_made_as_its_shape_says(tmp_path):
    shape = ModelShape(
        hidden_size=24, num_layers=3, num_heads=4, num_kv_heads=2, head_dim=8, intermediate_size=40,
        vocab_size=300, context_tokens=70, rope_theta=5000.0, tie_embeddings=False,
    )  # fmt: skip
    state = torch.random.get_rng_state()
    codec = SimpleNamespace(end_id=6, pad_id=7)
    for number, seed in enumerate((0, 0, 1)):
        base.initialise(shape, 55, codec, seed, tmp_path / str(number))
    assert torch.equal(state, torch.random.get_rng_state())
    config = json.loads((tmp_path / "0" / "config.json").read_text())
    expected = {
        "vocab_size": 55, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 40, "max_position_embeddings": 140,
        "tie_word_embeddings": False, "eos_token_id": 6, "pad_token_id": 7, "bos_token_id": None,
        "model_type": "qwen3",
    }  # fmt: skip
    assert {name: config.get(name) for name in expected} == expected
    assert config["rope_parameters"] == {"rope_type": "default", "rope_theta": 5000.0}
    weights = [(tmp_path / str(n) / "model.safetensors").read_bytes() for n in range(3)]
    assert weights[0] == weights[1] != weights[2]


def test_a_step_of_the_base_divides_by_all_targets(tmp_path):
    """Whatever the micro-batches: the mean over the step's tokens but the first of each window."""
    policy = tiny_policy(sharpness=1.5)
    windows = [(3, 4, 5, 6, 7), (7, 8), (9, 10, 11), (12, 13, 14, 15)]
    recipe = SimpleNamespace(documents_per_step=4, seed=3)
    nlls = [float(document_scores(policy, [Trunk("x", (), ids)]).nll_M.detach().sum()) for ids in windows]
    forwarded = {}
    for budget in (5, 1000):
        build = SimpleNamespace(numerics=SimpleNamespace(tokens_per_micro_batch=budget))
        backend = TorchBackend(policy, Optimiser(), 1)
        found = base._learn(backend, policy, windows, recipe, build, 1)
        assert found.loss == pytest.approx(sum(nlls) / (4 + 1 + 2 + 3), rel=1e-5)
        assert found.metrics == {"nll_nats": found.loss}
        forwarded[budget] = found.num_tokens
    assert forwarded == {5: 14, 1000: 20}
