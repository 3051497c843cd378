"""The back end of DeepSpeed over a fake engine: which stage reads, writes and steps what."""

import logging
import math
import os
from dataclasses import replace

import pytest
import torch

from rpt_core.artifacts.zero import Zero
from rpt_core.errors import EngineError
from rpt_core.policy.loading.replace import stored_weights
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.backends import deepspeed_backend as module
from rpt_core.train.backends.deepspeed_backend import DeepSpeedBackend, imported, opened
from rpt_core.train.backends.deepspeed_config import configuration
from rpt_core.train.backends.optimiser import STATE_FILE, learning_rate, read_moments
from rpt_core.train.backends.ranks import ALONE, Ranks, file_digest
from rpt_core.train.backends.torch_backend import TorchBackend
from tests.toys import random_tree, save_tiny_model, tiny_policy
from tests.unit.train.backends.fake_deepspeed import DeepSpeed

RECIPE = Optimiser(learning_rate=2e-3, warmup_steps=4, schedule="linear", grad_clip=0.25)
TRUNKS, ANSWERS = random_tree(3, [[(0, 2), (6, 1)], [(4, 3)]], group=3, longest=6)


@pytest.fixture
def deepspeed(monkeypatch) -> DeepSpeed:
    fake = DeepSpeed()
    fake.install(monkeypatch)
    for name in ("DS_ACCELERATOR", "LOCAL_RANK"):
        monkeypatch.setenv(name, "")  # so that what the back end sets is taken back
        monkeypatch.delenv(name)
    monkeypatch.setattr(logging.getLogger("DeepSpeed"), "level", logging.DEBUG)
    return fake


class Told(Ranks):
    """Ranks that hold the same; what they told each other."""

    told: list = []

    def all_gather(self, value):
        self.told.append(value)
        return [value] * self.world_size


@pytest.fixture
def opened_as(deepspeed, monkeypatch):
    Told.told = []
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 1)

    def made(stage, policy=None, *, offload=False, rank=0, world_size=1):
        policy = policy or tiny_policy(sharpness=1.5)
        return DeepSpeedBackend(policy, RECIPE, 10, Told(rank, world_size), Zero(stage, offload=offload))

    return made


def hold(deepspeed, backend, factor: float) -> None:
    """Have the optimiser hold ``factor`` times the weights of the policy."""
    own = dict(backend.policy.model.named_parameters())
    for name, parameter in backend.update.named.items():
        deepspeed.weights[id(parameter)] = own[name].detach().float() * factor


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_deepspeed_is_given_the_scorer_the_rule_and_the_configuration(opened_as, deepspeed, stage):
    backend = opened_as(stage, offload=stage > 0, world_size=3)
    (given,) = deepspeed.initialised
    assert given["model"] is backend.scorer
    assert given["optimizer"] is backend.update.rules[0]
    assert given["config"] == configuration(backend.zero, 0.25, 3, bfloat16=False)
    assert given["dist_init_required"] is False
    assert backend.collective_scoring is True
    assert (backend.scorer.model is backend.policy.model) is (stage < 3)
    assert len(deepspeed.external) == (stage == 3)
    if stage == 3:
        scorer, head = deepspeed.external[0]
        assert scorer is backend.scorer
        assert head is backend.scorer.head
    assert backend.engine.optimizer.check_grad_overflow is (True if stage else None)
    assert (backend.rank, backend.world_size) == (0, 3)


@pytest.mark.parametrize("stage", [0, 2, 3])
def test_scores_are_those_of_torch(opened_as, stage):
    backend, torchs = opened_as(stage), TorchBackend(tiny_policy(sharpness=1.5), RECIPE, 10)
    for options in ({}, {"with_document": False}, {"as_drawn": True, "with_document": False}):
        ours = backend.score(TRUNKS, ANSWERS, "packed", 0.7, **options)
        theirs = torchs.score(TRUNKS, ANSWERS, "packed", 0.7, **options)
        assert torch.equal(ours.logprobs_N, theirs.logprobs_N)
        assert (ours.document is None) is (theirs.document is None)
    assert torch.equal(backend.score_documents(TRUNKS).nll_M, torchs.score_documents(TRUNKS).nll_M)
    default = backend.score(TRUNKS, ANSWERS)
    assert torch.equal(default.logprobs_N, torchs.score(TRUNKS, ANSWERS).logprobs_N)
    assert default.document is not None


def test_losses_are_multiplied_by_what_deepspeed_divides_by(opened_as):
    backend = opened_as(1, world_size=3)
    parameter = next(iter(backend.update.named.values()))
    backend.backward(parameter.sum() * 0 + 2.5)
    assert backend.engine.losses == [7.5]


def test_stage_0_is_reduced_by_deepspeed_and_stepped_by_the_projects_rule(opened_as):
    backend = opened_as(0)
    parameter = next(iter(backend.update.named.values()))
    before = parameter.detach().clone()
    parameter.grad = torch.full_like(parameter, 2.0)
    assert backend.step(3) == pytest.approx(2 * parameter.numel() ** 0.5)
    assert backend.engine.reduced == [50_000_000]
    assert backend.engine.steps == 0
    assert not torch.equal(parameter, before)
    assert backend.update.rules[0].param_groups[0]["lr"] == learning_rate(RECIPE, 3, 10)


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_other_stages_are_stepped_by_deepspeed_at_the_rate_of_the_schedule(opened_as, stage):
    backend = opened_as(stage)
    assert backend.step(3) == 1.75
    assert [group["lr"] for group in backend.engine.optimizer.param_groups] == [1.5e-3] * 2
    backend.step(7)
    rates = {group["lr"] for group in backend.engine.optimizer.param_groups}
    assert rates == {learning_rate(RECIPE, 7, 10)}
    assert (backend.engine.steps, backend.engine.reduced) == (2, [])
    backend.engine.optimizer.overflow = True
    assert backend.step(8) == math.inf


def test_stage_3_brings_the_policy_up_to_the_weights_once_a_step(opened_as, deepspeed):
    backend = opened_as(3)
    before = {name: p.detach().clone() for name, p in backend.policy.model.named_parameters()}
    hold(deepspeed, backend, 3.0)
    with backend.whole():  # nothing was stepped yet
        assert all(torch.equal(p, before[name]) for name, p in backend.policy.model.named_parameters())
    backend.step(1)
    with backend.whole():
        assert all(torch.equal(p, 3 * before[name]) for name, p in backend.policy.model.named_parameters())
    hold(deepspeed, backend, 5.0)
    with backend.whole():
        assert all(torch.equal(p, 3 * before[name]) for name, p in backend.policy.model.named_parameters())


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_other_stages_train_the_policy_itself(opened_as, deepspeed, stage):
    backend = opened_as(stage)
    hold(deepspeed, backend, 3.0)
    before = backend.policy.output_weight.detach().clone()
    if stage:
        backend.step(1)
    with backend.whole():
        assert torch.equal(backend.policy.output_weight, before)


@pytest.mark.parametrize(("stage", "factor"), [(0, 1.0), (1, 1.0), (2, 1.0), (3, 3.0)])
@pytest.mark.parametrize("rank", [0, 1])
def test_the_exported_folder_holds_the_weights_that_are_stepped(
    opened_as, deepspeed, tmp_path, stage, factor, rank
):
    policy = save_tiny_model(tmp_path / "start")
    start = stored_weights(tmp_path / "start")
    backend = opened_as(stage, policy, rank=rank, world_size=2)
    hold(deepspeed, backend, 3.0)
    backend.export(tmp_path / "model")
    assert (tmp_path / "model").exists() is (rank == 0)
    if rank == 0:
        found = stored_weights(tmp_path / "model")
        assert found.keys() == start.keys()
        assert all(torch.equal(found[name], factor * start[name]) for name in start)
        for name in ("config.json", "generation_config.json"):
            if (tmp_path / "start" / name).exists():
                assert (tmp_path / "model" / name).read_text() == (tmp_path / "start" / name).read_text()


@pytest.mark.parametrize("stage", [1, 3])
def test_in_bfloat16_the_masters_are_the_weights_before_rounding(opened_as, deepspeed, stage, tmp_path):
    start = save_tiny_model(tmp_path / "start")
    whole = {name: p.detach().clone() for name, p in start.model.named_parameters()}
    backend = opened_as(stage, replace(start, compute_dtype=torch.bfloat16))
    assert backend.bfloat16
    assert deepspeed.initialised[0]["config"] == configuration(Zero(stage), 0.25, 1, bfloat16=True)
    assert backend.engine.optimizer.check_grad_overflow is None
    types = {p.dtype for p in backend.policy.model.parameters()}
    if stage == 3:
        assert types == {torch.bfloat16}
        parts = [part for what, part in deepspeed.parts if what == "weight"]
        sent = dict(zip(backend.update.named, parts, strict=True))
        assert all(torch.equal(sent[name][: whole[name].numel()], whole[name].flatten()) for name in whole)
    else:
        assert all(
            torch.equal(deepspeed.weights[id(p)], whole[name]) for name, p in backend.update.named.items()
        )
        hold(deepspeed, backend, 3.0)
        backend.export(tmp_path / "model")
        found = stored_weights(tmp_path / "model")
        assert all(torch.equal(found[name], 3 * whole[name]) for name in found)


def test_stage_0_keeps_float32_whatever_products_are_taken_in(opened_as):
    backend = opened_as(0, replace(tiny_policy(), compute_dtype=torch.bfloat16))
    assert backend.bfloat16 is False
    assert {p.dtype for p in backend.policy.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("stage", [0, 2])
def test_a_folder_is_adopted_by_the_policy_and_by_the_optimiser(opened_as, deepspeed, tmp_path, stage):
    policy = save_tiny_model(tmp_path)
    stored = stored_weights(tmp_path)
    with torch.no_grad():
        policy.output_weight.mul_(2)
    backend = opened_as(stage, policy)
    backend.adopt(tmp_path)
    assert all(torch.equal(p, stored[name]) for name, p in policy.model.named_parameters() if name in stored)
    assert len(deepspeed.weights) == (len(backend.update.named) if stage else 0)
    assert all(
        torch.equal(deepspeed.weights[id(p)], stored[name])
        for name, p in backend.update.named.items()
        if stage
    )


def test_moments_of_stage_0_are_the_projects(opened_as, tmp_path):
    backend = opened_as(0, world_size=2)
    for parameter in backend.update.named.values():
        parameter.grad = torch.ones_like(parameter)
    backend.step(1)
    backend.save(tmp_path)
    again = opened_as(0, world_size=2)
    Told.told.clear()
    again.load(tmp_path)
    assert Told.told == [file_digest(tmp_path / STATE_FILE)]
    assert {float(state["step"]) for state in again.update.rules[0].state.values()} == {1.0}
    (tmp_path / "other").mkdir()
    opened_as(0, rank=1, world_size=2).save(tmp_path / "other")
    assert not list((tmp_path / "other").iterdir())


@pytest.mark.parametrize("rank", [0, 1])
def test_moments_of_other_stages_are_written_whole_by_rank_0(opened_as, deepspeed, tmp_path, rank):
    backend = opened_as(2, rank=rank, world_size=2)
    for number, parameter in enumerate(backend.update.named.values()):
        for key, factor in (("exp_avg", 1.0), ("exp_avg_sq", 100.0)):
            deepspeed.moments[id(parameter), key] = torch.full_like(parameter, factor * number).detach()
    backend.engine.optimizer.optimizer.state["flat"] = {"step": torch.tensor(6.0)}
    backend.save(tmp_path)
    assert (tmp_path / STATE_FILE).exists() is (rank == 0)
    if rank:
        return
    tensors, counts = read_moments(tmp_path, RECIPE)
    assert counts == {f"{name}/step": 6.0 for name in backend.update.named}
    assert len(tensors) == 2 * len(backend.update.named)
    Told.told.clear()
    again = opened_as(2, world_size=2)
    again.load(tmp_path)
    assert Told.told == [file_digest(tmp_path / STATE_FILE)]
    for name, parameter in again.update.named.items():
        assert torch.equal(deepspeed.moments[id(parameter), "exp_avg_sq"], tensors[f"{name}/exp_avg_sq"])


def test_stage_3_trains_a_copy_whose_work_is_counted_with_the_policys(opened_as):
    backend = opened_as(3)
    own, twin = backend.policy, backend.scorer.policy
    before = own.work.flops
    backend.score(TRUNKS, ANSWERS)
    assert own.work.flops > before
    copies = zip(own.model.parameters(), twin.model.parameters(), strict=True)
    assert all(p.data_ptr() != q.data_ptr() and torch.equal(p, q) for p, q in copies)
    assert [vars(twin)[name] for name in ("unknown_ids", "num_parameters", "learned_positions")] == [
        own.unknown_ids, own.num_parameters, own.learned_positions,
    ]  # fmt: skip
    with pytest.raises(EngineError, match="called outside of the engine"):
        backend.scorer.model(input_ids=torch.ones(1, 3, dtype=torch.int64), use_cache=False)
    own.model(input_ids=torch.ones(1, 3, dtype=torch.int64), use_cache=False)


def test_the_import_tells_deepspeed_where_it_is(deepspeed):
    found = imported(torch.device("cpu"))
    assert found.initialize == deepspeed.initialize
    assert os.environ["DS_ACCELERATOR"] == "cpu"
    assert os.environ["LOCAL_RANK"] == "0"
    assert deepspeed.ops == {"deepspeed_shm_comm": False}
    assert logging.getLogger("DeepSpeed").level == logging.WARNING
    os.environ["LOCAL_RANK"] = "3"
    imported(torch.device("cuda"))
    assert (os.environ["LOCAL_RANK"], os.environ["DS_ACCELERATOR"]) == ("3", "cpu")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_process_group_is_there_even_for_one(deepspeed, monkeypatch, device):
    asked = []

    def init(world_size, **how):
        asked.append((world_size, how))
        return ALONE

    policy = tiny_policy()
    monkeypatch.setattr(module, "init_ranks", init)
    monkeypatch.setattr(module, "imported", lambda device: __import__("deepspeed"))
    monkeypatch.setattr(type(policy), "device", torch.device(device), raising=False)
    backend = opened(policy, RECIPE, 10, ALONE, Zero(1))
    assert asked == [(1, {"on_gpu": device == "cuda", "always": True})]
    assert (backend.ranks, backend.zero, backend.total_steps, backend.recipe) == (ALONE, Zero(1), 10, RECIPE)
