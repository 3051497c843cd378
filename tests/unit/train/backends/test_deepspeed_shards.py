"""Weights and moments by parameter, whole ones out and whole ones in, over a DeepSpeed of dictionaries."""

from types import SimpleNamespace

import pytest
import torch

from rpt_core.train.backends.deepspeed_shards import Shards
from tests.unit.train.backends.fake_deepspeed import DeepSpeed, Engine


@pytest.fixture
def deepspeed(monkeypatch) -> DeepSpeed:
    fake = DeepSpeed()
    fake.install(monkeypatch)
    return fake


def shards(*, partitions_weights: bool) -> Shards:
    named = {"a": torch.nn.Parameter(torch.zeros(2, 3)), "b": torch.nn.Parameter(torch.zeros(5))}
    shapes = {name: parameter.shape for name, parameter in named.items()}
    return Shards(Engine(None, None, {}), named, shapes, partitions_weights)


@pytest.fixture
def rank_1_of_3(monkeypatch) -> None:
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)


def numbers(*shape: int, first: float = 1.0) -> torch.Tensor:
    count = torch.Size(shape).numel()
    return torch.arange(first, first + count, dtype=torch.float64).reshape(shape)


def test_whole_weights_come_out_by_name(deepspeed):
    held = shards(partitions_weights=False)
    for name, value in (("a", numbers(2, 3)), ("b", numbers(5, first=20))):
        deepspeed.weights[id(held.named[name])] = value
    assert [(name, value.tolist()) for name, value in held.weights()] == [
        ("a", [[1, 2, 3], [4, 5, 6]]), ("b", [20, 21, 22, 23, 24]),
    ]  # fmt: skip


def test_whole_weights_go_to_the_module_and_to_the_optimiser(deepspeed):
    held = shards(partitions_weights=False)
    held.assign({"a": numbers(2, 3), "b": numbers(5, first=20), "c": numbers(7)})
    for name, value in (("a", numbers(2, 3)), ("b", numbers(5, first=20))):
        assert held.named[name].tolist() == value.tolist()
        assert deepspeed.weights[id(held.named[name])].tolist() == value.tolist()
        assert deepspeed.weights[id(held.named[name])].dtype == torch.float32
    assert (deepspeed.gathered, deepspeed.parts) == ([], [])


def test_of_partitioned_weights_every_rank_keeps_its_own_part(deepspeed, rank_1_of_3):
    """Six numbers in parts of two; five in parts of two, of which the last is filled up."""
    held = shards(partitions_weights=True)
    for parameter in held.named.values():
        parameter.ds_tensor = torch.zeros(2)
    held.assign({"a": numbers(2, 3), "b": numbers(5, first=20)})
    assert deepspeed.gathered == [([held.named["a"]], 0), ([held.named["b"]], 0)]
    assert [(what, part.tolist()) for what, part in deepspeed.parts] == [
        ("weight", [3, 4]),
        ("weight", [22, 23]),
    ]
    assert held.named["a"].tolist() == numbers(2, 3).tolist()
    assert deepspeed.weights == {}


@pytest.mark.parametrize(("rank", "part"), [(0, [20, 21]), (1, [22, 23]), (2, [24, 0]), (3, [0, 0])])
def test_parts_behind_the_end_are_zeros(monkeypatch, rank, part):
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 4)
    parameter = SimpleNamespace(ds_tensor=torch.zeros(2))
    assert Shards._own_part(parameter, numbers(5, first=20)).tolist() == part


def test_before_the_first_step_there_are_no_moments(deepspeed):
    held = shards(partitions_weights=False)
    assert held.moments(keep=True) == ({}, {})
    held.engine.optimizer.optimizer.state["flat"] = {}
    assert held.moments(keep=True) == ({}, {})


@pytest.mark.parametrize("keep", [True, False])
def test_moments_come_out_whole_for_the_rank_that_writes(deepspeed, keep):
    held = shards(partitions_weights=False)
    held.engine.optimizer.optimizer.state.update({"empty": {}, "flat": {"step": torch.tensor(7.0)}})
    for number, (name, key) in enumerate(
        (name, key) for name in ("a", "b") for key in ("exp_avg", "exp_avg_sq")
    ):
        deepspeed.moments[id(held.named[name]), key] = numbers(2, first=10 * number)
    tensors, counts = held.moments(keep=keep)
    assert counts == {"a/step": 7.0, "b/step": 7.0}
    assert {key: value.tolist() for key, value in tensors.items()} == (
        {"a/exp_avg": [0, 1], "a/exp_avg_sq": [10, 11], "b/exp_avg": [20, 21], "b/exp_avg_sq": [30, 31]}
        if keep
        else {}
    )


MOMENTS = {
    "a/exp_avg": numbers(2, 3), "a/exp_avg_sq": numbers(2, 3, first=10),
    "b/exp_avg": numbers(5, first=20), "b/exp_avg_sq": numbers(5, first=30),
}  # fmt: skip
COUNTS = {"a/step": 9.0, "b/step": 9.0}


def test_whole_moments_are_taken_up(deepspeed):
    held = shards(partitions_weights=False)
    held.assign_moments(MOMENTS, {**COUNTS, "a/other": 3.0})
    for key, value in MOMENTS.items():
        name, _, moment = key.partition("/")
        assert deepspeed.moments[id(held.named[name]), moment].tolist() == value.tolist()
        assert deepspeed.moments[id(held.named[name]), moment].dtype == torch.float32
    outer = held.engine.optimizer
    flats = [flat for group in outer.param_groups for flat in group["params"]]
    assert set(outer.state) == set(flats)
    for flat in flats:
        assert float(outer.state[flat]["step"]) == 9.0
        assert (
            outer.state[flat]["exp_avg"].tolist()
            == outer.state[flat]["exp_avg_sq"].tolist()
            == [0] * len(flat)
        )
    assert outer.made_room == 1


def test_of_whole_moments_every_rank_takes_its_part(deepspeed, rank_1_of_3):
    held = shards(partitions_weights=True)
    for parameter in held.named.values():
        parameter.ds_tensor = torch.zeros(2)
    held.assign_moments(MOMENTS, COUNTS)
    assert [(key, part.tolist()) for key, part in deepspeed.parts] == [
        ("exp_avg", [3, 4]), ("exp_avg_sq", [12, 13]), ("exp_avg", [22, 23]), ("exp_avg_sq", [32, 33]),
    ]  # fmt: skip
    outer = held.engine.optimizer
    assert set(outer.state) == set(outer.fp32_partitioned_groups_flat)
    assert [len(outer.state[flat]["exp_avg"]) for flat in outer.fp32_partitioned_groups_flat] == [4, 6]
    assert outer.made_room == 0


def test_no_moments_leave_the_optimiser_as_it_is():
    held = shards(partitions_weights=False)
    held.assign_moments({}, COUNTS)
    assert held.engine.optimizer.state == {}
