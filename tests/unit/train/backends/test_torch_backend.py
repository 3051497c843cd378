"""Plain torch as a back end: what it scores, what each rank writes, and what it takes up again."""

import json

import pytest
import torch
from safetensors import safe_open

from rpt_core.errors import EngineError, ResumeError
from rpt_core.policy.forward import branch_logprobs, document_scores
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.backends.optimiser import STATE_FILE, read_moments, write_moments
from rpt_core.train.backends.ranks import Ranks, file_digest, weights_digest
from rpt_core.train.backends.torch_backend import TorchBackend
from tests.toys import random_tree, save_tiny_model, tiny_policy

ADAMW = Optimiser(learning_rate=1e-3)
TRUNKS, ANSWERS = random_tree(3, [[(0, 2), (6, 1)], [(4, 3)]], group=3, longest=6)


class Counted(Ranks):
    """Two ranks that hold the same, and what they told each other."""

    told: list = []

    def all_gather(self, value):
        self.told.append(value)
        return [value, value]

    def add_gradients(self, parameters):
        self.told.append([parameter.grad is None for parameter in parameters])


@pytest.fixture
def pair():
    Counted.told = []
    return lambda rank: TorchBackend(tiny_policy(sharpness=1.5), ADAMW, 9, Counted(rank, 2))


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_scores_are_those_of_the_forward_pass_with_every_option(temperature):
    backend = TorchBackend(tiny_policy(sharpness=1.5), ADAMW, 9)
    for layout in ("two-pass", "packed"):
        for options in ({"with_document": False}, {"as_drawn": True, "with_document": False}, {}):
            ours = backend.score(TRUNKS, ANSWERS, layout, temperature, **options)
            theirs = branch_logprobs(backend.policy, TRUNKS, ANSWERS, layout, temperature, **options)
            assert torch.equal(ours.logprobs_N, theirs.logprobs_N)
            assert (ours.document is None) is (theirs.document is None) is ("with_document" in options)
    usual, plain = backend.score(TRUNKS, ANSWERS), branch_logprobs(backend.policy, TRUNKS, ANSWERS)
    assert torch.equal(usual.logprobs_N, plain.logprobs_N)
    assert usual.document is not None
    nll_M = backend.score_documents(TRUNKS).nll_M
    assert torch.equal(nll_M, document_scores(backend.policy, TRUNKS).nll_M)
    assert nll_M.requires_grad


def test_a_step_adds_gradients_over_ranks_before_it_is_taken(pair):
    backend = pair(0)
    parameter = next(iter(backend.update.named.values()))
    backend.backward(3 * parameter.sum())
    assert torch.equal(parameter.grad, torch.full_like(parameter, 3.0))
    backend.backward(2 * parameter.sum())
    assert torch.equal(parameter.grad, torch.full_like(parameter, 5.0))
    norm = backend.step(1)
    assert norm == pytest.approx(5 * parameter.numel() ** 0.5)
    assert Counted.told == [[False, *[True] * (len(backend.update.named) - 1)]]
    assert parameter.grad is None


def test_rank_0_alone_writes(pair, tmp_path):
    for rank in (1, 0):
        folder = tmp_path / str(rank)
        folder.mkdir()
        backend = pair(rank)
        backend.export(folder / "model")
        backend.save(folder)
        assert (
            (rank == 0) is (folder / "model" / "model.safetensors").exists() is (folder / STATE_FILE).exists()
        )
    with backend.whole():
        assert backend.all_gather(7) == [7, 7]


def test_moments_and_weights_that_are_taken_up_are_compared_over_ranks(pair, tmp_path):
    backend = pair(0)
    next(iter(backend.update.named.values())).sum().backward()
    backend.step(1)
    backend.save(tmp_path)
    Counted.told.clear()
    backend.load(tmp_path)
    assert Counted.told == [file_digest(tmp_path / STATE_FILE), weights_digest(backend.policy)]
    Counted.told.clear()
    TorchBackend(tiny_policy(sharpness=1.5), ADAMW, 9).load(tmp_path)
    assert Counted.told == []


@pytest.mark.parametrize(("number", "what"), [(1, "moments"), (2, "weights")])
def test_ranks_that_take_up_different_things_are_refused(number, what, tmp_path):
    count = []

    class Apart(Ranks):
        def all_gather(self, value):
            count.append(1)
            return [value, "0" * 64 if len(count) == number else value]

    backend = TorchBackend(tiny_policy(), ADAMW, 9, Apart(0, 2))
    backend.update.save(tmp_path)
    with pytest.raises(EngineError, match=f"holds other {what} than rank 0"):
        backend.load(tmp_path)


def test_weights_of_a_folder_replace_those_of_the_policy(tmp_path):
    policy, other = save_tiny_model(tmp_path / "a"), save_tiny_model(tmp_path / "a")
    with torch.no_grad():
        policy.output_weight.mul_(2)
    assert weights_digest(policy) != weights_digest(other)
    TorchBackend(policy, ADAMW, 9).adopt(tmp_path / "a")
    assert weights_digest(policy) == weights_digest(other)
    with pytest.raises(ResumeError, match="belongs to another model"):
        TorchBackend(tiny_policy(vocab=70), ADAMW, 9).adopt(tmp_path / "a")


def test_moments_on_disk_are_named_tensors_counts_and_the_rule(tmp_path):
    tensors, counts = {"a/exp_avg": torch.arange(6.0).reshape(2, 3)}, {"a/step": 7.0}
    write_moments(tmp_path, ADAMW, tensors, counts)
    with safe_open(tmp_path / STATE_FILE, framework="pt") as stored:
        assert stored.metadata()["rule"] == "adamw"
        assert json.loads(stored.metadata()["counts"]) == counts
    found, again = read_moments(tmp_path, ADAMW)
    assert again == counts
    assert list(found) == ["a/exp_avg"]
    assert torch.equal(found["a/exp_avg"], tensors["a/exp_avg"])
    with pytest.raises(ResumeError) as said:
        read_moments(tmp_path, ADAMW.model_copy(update={"name": "muon"}))
    assert str(said.value) == (
        "the checkpoint was written by adamw, this run updates by muon: its moments mean nothing here. Start "
        "this recipe clean."
    )
