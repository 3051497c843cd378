"""Which back end a placement's name opens, and with what."""

from types import SimpleNamespace

import pytest
import torch

from rpt_core.artifacts.placement import Numerics
from rpt_core.artifacts.zero import Zero
from rpt_core.errors import CapacityError, EngineError
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.backends import registry
from rpt_core.train.backends.ranks import ALONE, Ranks, weights_digest
from rpt_core.train.backends.registry import open_backend
from rpt_core.train.backends.torch_backend import TorchBackend
from tests.toys import tiny_policy

RECIPE = Optimiser(learning_rate=2e-3)


def numerics(backend: str, world_size: int = 1):
    return SimpleNamespace(backend=backend, world_size=world_size)


def test_torch_is_opened_by_its_name():
    policy = tiny_policy()
    backend = open_backend(numerics("torch"), policy, RECIPE, 17)
    assert type(backend) is TorchBackend
    assert backend.policy is policy
    assert (backend.rank, backend.world_size, backend.ranks) == (0, 1, ALONE)
    assert (backend.update.recipe, backend.update.total_steps) == (RECIPE, 17)
    assert backend.collective_scoring is False


@pytest.mark.parametrize("zero", [Zero(2), Zero(3, offload=True)])
def test_deepspeed_is_opened_with_what_its_name_says(zero, monkeypatch):
    given = []
    monkeypatch.setitem(registry.BACKENDS, "deepspeed", lambda *args, **more: given.append((args, more)))
    policy = tiny_policy()
    open_backend(numerics(zero.name), policy, RECIPE, 17)
    assert given == [((policy, RECIPE, 17, ALONE), {"zero": zero})]


def test_an_unknown_name_is_told_what_there_is():
    with pytest.raises(CapacityError) as said:
        open_backend(numerics("jax"), tiny_policy(), RECIPE, 1)
    assert str(said.value) == (
        "the placement asks for the back end 'jax'; this version trains with torch, deepspeed. Set "
        "placement.backend to one of them, or to auto."
    )
    assert "backend" in Numerics.model_fields


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_ranks_are_asked_for_their_number_device_and_weights(monkeypatch, device):
    asked, told = [], []

    class Several(Ranks):
        def all_gather(self, value):
            told.append(value)
            return [value] * 3

    def init(world_size, *, on_gpu):
        asked.append((world_size, on_gpu))
        return Several(2, 3)

    opened = []
    monkeypatch.setattr(registry, "init_ranks", init)
    monkeypatch.setitem(registry.BACKENDS, "torch", lambda *given, **more: opened.append((given[3], more)))
    policy = tiny_policy()
    digest = weights_digest(policy)
    monkeypatch.setattr(type(policy), "device", torch.device(device), raising=False)
    open_backend(numerics("torch", 3), policy, RECIPE, 1)
    assert asked == [(3, device == "cuda")]
    assert told == [digest]
    assert opened == [(Several(2, 3), {})]


def test_ranks_of_other_weights_are_refused(monkeypatch):
    class Apart(Ranks):
        def all_gather(self, value):
            return [value, "f" * 64]

    monkeypatch.setattr(registry, "init_ranks", lambda *_, **__: Apart(0, 2))
    with pytest.raises(EngineError, match="rank 1 holds other weights than rank 0"):
        open_backend(numerics("torch", 2), tiny_policy(), RECIPE, 1)
