"""What ranks tell each other: the collectives, the process group they are made in, and what they refuse."""

import hashlib
from datetime import timedelta
from types import SimpleNamespace

import pytest
import torch

from rpt_core.errors import CapacityError, EngineError, LostRankError, ResumeError, brief
from rpt_core.policy.load import save_policy
from rpt_core.train.backends import ranks as module
from rpt_core.train.backends.ranks import (
    ALONE,
    Ranks,
    adopt_weights,
    end_ranks,
    file_digest,
    init_ranks,
    refuse_apart,
    weights_digest,
)
from tests.toys import save_tiny_model, tiny_policy


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Of nobody's launcher."""
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "RPT_COLLECTIVE_SECONDS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def group(monkeypatch):
    """A process group that is only written down; ``is_there`` says whether it was made before."""
    made = SimpleNamespace(calls=[], devices=[], is_there=False, ended=0)

    def end():
        made.ended += 1

    dist = SimpleNamespace(
        is_initialized=lambda: made.is_there,
        init_process_group=lambda *args, **more: made.calls.append((args, more)),
        HashStore=lambda: "a store of this process",
        destroy_process_group=end,
    )
    monkeypatch.setattr(module, "dist", dist)
    monkeypatch.setattr(torch.cuda, "set_device", made.devices.append)
    return made


def started_as(monkeypatch, **environment: int) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))


def test_one_process_needs_no_group(group):
    assert init_ranks(1) is ALONE
    assert (ALONE.rank, ALONE.world_size) == (0, 1)
    assert group.calls == []


def test_one_process_gets_a_group_where_a_back_end_cannot_do_without(group):
    assert init_ranks(1, always=True) == ALONE
    assert group.calls == [
        (("gloo",), {"rank": 0, "world_size": 1, "store": "a store of this process",
                     "timeout": timedelta(minutes=30)})
    ]  # fmt: skip


def test_ranks_meet_by_gloo_within_the_deadline_of_the_environment(group, monkeypatch):
    started_as(monkeypatch, WORLD_SIZE=3, RANK=2, LOCAL_RANK=1, RPT_COLLECTIVE_SECONDS=45)
    assert init_ranks(3) == Ranks(2, 3)
    assert group.calls == [
        (("gloo",), {"rank": 2, "world_size": 3, "store": None, "timeout": timedelta(seconds=45)})
    ]
    assert group.devices == []


@pytest.mark.parametrize(("local", "device"), [(None, 0), (3, 3)])
def test_on_gpus_every_rank_has_its_own_device(group, monkeypatch, local, device):
    started_as(monkeypatch, WORLD_SIZE=5, RANK=4, **({"LOCAL_RANK": local} if local else {}))
    init_ranks(5, on_gpu=True)
    assert group.devices == [device]
    assert [args for args, _ in group.calls] == [("cpu:gloo,cuda:nccl",)]


def test_a_group_is_made_once(group, monkeypatch):
    group.is_there = True
    started_as(monkeypatch, WORLD_SIZE=2)
    assert init_ranks(2, on_gpu=True) == Ranks(0, 2)
    assert (group.calls, group.devices) == ([], [])


@pytest.mark.parametrize("is_there", [True, False])
def test_a_group_is_left_where_there_is_one(group, is_there):
    group.is_there = is_there
    end_ranks()
    assert group.ended == int(is_there)


@pytest.mark.parametrize(("wanted", "started"), [(3, None), (1, 2), (2, 4)])
def test_a_process_of_another_number_of_ranks_is_refused(monkeypatch, wanted, started):
    if started is not None:
        started_as(monkeypatch, WORLD_SIZE=started)
    with pytest.raises(CapacityError) as said:
        init_ranks(wanted, always=True)
    assert str(said.value) == (
        f"the placement asks for {wanted} training processes, and this one was started as one of "
        f"{started or 1}: they would train apart. Start it with torchrun --nproc-per-node={wanted}, or set "
        f"ranks={started or 1}."
    )


def test_values_come_in_the_order_of_ranks(monkeypatch):
    def all_gather_object(found, value):
        assert len(found) == 3
        found[:] = ["first", value, "last"]

    monkeypatch.setattr(module, "dist", SimpleNamespace(all_gather_object=all_gather_object))
    assert Ranks(1, 3).all_gather("mine") == ["first", "mine", "last"]
    assert ALONE.all_gather("mine") == ["mine"]


def test_a_rank_that_cannot_be_reached_is_an_error_of_its_own(monkeypatch):
    def lost(*_):
        raise RuntimeError("connection closed by peer")

    monkeypatch.setattr(module, "dist", SimpleNamespace(all_gather_object=lost, all_reduce=lost))
    monkeypatch.setenv("RPT_COLLECTIVE_SECONDS", "12.5")
    with pytest.raises(LostRankError) as said:
        Ranks(2, 4).all_gather(1)
    assert str(said.value) == (
        f"rank 2 lost touch with the other 3 in all_gather ({brief(said.value.__cause__)}). Another rank "
        "ended, or did not come there within its deadline (RPT_COLLECTIVE_SECONDS=12.5); rerun to resume "
        "from the last checkpoint."
    )
    assert "connection closed by peer" in str(said.value)
    parameter = torch.nn.Parameter(torch.ones(2))
    with pytest.raises(LostRankError, match=r"the other 3 in all_reduce .*=12\.5"):
        Ranks(2, 4).add_gradients([parameter])


def parameters(*gradients):
    """Parameters of unlike shapes, with the gradients that are given."""
    shapes = ((2, 3), (4,), (1, 2), (5,))
    made = []
    for number, (shape, gradient) in enumerate(zip(shapes, gradients, strict=True)):
        parameter = torch.nn.Parameter(torch.full(shape, float(number)))
        parameter.grad = None if gradient is None else torch.full(shape, gradient)
        made.append(parameter)
    return made


def test_gradients_add_up_and_what_has_none_anywhere_keeps_none(monkeypatch):
    """The other rank's buffer, by hand: it lacks the gradient of the first and of the last parameter."""
    sent = []

    def all_reduce(flat):
        sent.append(flat.clone())
        flat += torch.tensor([0.0, 1, 1, 0, *[0] * 6, *[10] * 4, *[20] * 2, *[0] * 5])

    monkeypatch.setattr(module, "dist", SimpleNamespace(all_reduce=all_reduce))
    mine = parameters(1.5, 2.5, None, None)
    mine[0].grad = torch.arange(6.0).reshape(2, 3)
    Ranks(0, 2).add_gradients(mine)
    assert sent[0].tolist() == [1, 1, 0, 0, *range(6), *[2.5] * 4, *[0] * 2, *[0] * 5]
    assert mine[0].grad.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert mine[1].grad.tolist() == [12.5] * 4
    assert mine[2].grad.tolist() == [[20, 20]]
    assert mine[3].grad is None


def test_one_process_leaves_its_gradients_alone():
    mine = parameters(1.0, None, 2.0, 3.0)
    before = [parameter.grad for parameter in mine]
    ALONE.add_gradients(mine)
    assert all(parameter.grad is grad for parameter, grad in zip(mine, before, strict=True))


def told(*values: str) -> Ranks:
    """Ranks whose values are given."""

    class Told(Ranks):
        def all_gather(self, value):
            return list(values)

    return Told(0, len(values))


def test_equal_ranks_are_let_pass_and_the_first_other_one_is_named():
    told("a" * 64, "a" * 64, "a" * 64).refuse_unequal("a" * 64, "moments")
    with pytest.raises(EngineError) as said:
        told("abcdef0123456789", "abcdef0123456789", "0123456789abcdef", "f" * 16).refuse_unequal(
            "", "moments"
        )
    assert str(said.value).startswith(
        "rank 2 holds other moments than rank 0 (SHA-256 0123456789ab there, abcdef012345 on rank 0): "
    )


def test_ranks_that_go_on_from_different_places_are_refused():
    refuse_apart([7])
    refuse_apart([7, 7, 7])
    with pytest.raises(ResumeError, match=r"different places \(7, 7, 3, by rank\)"):
        refuse_apart([7, 7, 3])


def test_digests_are_of_names_and_bytes(tmp_path):
    policy = tiny_policy()
    whole = hashlib.sha256()
    for name, parameter in policy.model.named_parameters():
        whole.update(name.encode() + parameter.detach().numpy().tobytes())
    assert weights_digest(policy) == whole.hexdigest()
    (tmp_path / "file").write_bytes(b"some bytes")
    assert file_digest(tmp_path / "file") == hashlib.sha256(b"some bytes").hexdigest()


def test_weights_of_a_folder_are_adopted_by_all(tmp_path):
    policy, other = save_tiny_model(tmp_path / "a"), save_tiny_model(tmp_path / "a")
    with torch.no_grad():
        for parameter in other.model.parameters():
            parameter.mul_(1.5)
    save_policy(other, tmp_path / "b")
    asked = []

    class Several(Ranks):
        def all_gather(self, value):
            asked.append(value)
            return [value] * 2

    stored = adopt_weights(policy, tmp_path / "b", Several(0, 2))
    assert asked == [weights_digest(policy)] == [weights_digest(other)]
    own = dict(other.model.named_parameters())
    assert stored.keys() == own.keys()
    assert all(torch.equal(stored[name], own[name]) for name in own)
    asked.clear()
    adopt_weights(policy, tmp_path / "b", Several(0, 1))
    assert asked == []


def test_weights_of_another_model_are_refused(tmp_path):
    save_tiny_model(tmp_path)
    with pytest.raises(
        ResumeError, match=r"the checkpoint in .* belongs to another model: .* Start this rec"
    ):
        adopt_weights(tiny_policy(vocab=70), tmp_path, ALONE)
