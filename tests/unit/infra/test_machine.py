"""What the machine is, what ``auto`` becomes on it, and what does not fit."""

import pytest

from flows.make import chosen, fitted
from flows.recipes import Overrides, any_journey
from infra import machine as machine_module
from infra.machine import Gpu, Machine, numerics_of, resolve_placement, this_machine
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import CapacityError

LAPTOP = Machine(cores=4, memory_bytes=16 * 10**9, cpu="a chip", torch="2.13.0")
H200 = Gpu(name="NVIDIA H200", memory_bytes=141 * 10**9)
NODE = LAPTOP.model_copy(update={"gpus": (H200,) * 8, "torch_has_cuda": True})
CPU_BUILD = NODE.model_copy(update={"torch_has_cuda": False, "torch": "2.13.0+cpu"})


def named_recipe():
    return any_journey("tiny_rpt", Overrides())


def test_this_machine_is_described_without_torch():
    here = this_machine()
    assert here.cores >= 1
    assert here.memory_bytes > 2**28
    assert here.cpu


def test_every_auto_field_becomes_explicit():
    explicit = resolve_placement(Placement(), 640_000, LAPTOP)
    assert "auto" not in explicit.model_dump().values()
    assert (explicit.pool, explicit.gpus, explicit.dtype, explicit.threads) == ("cpu-pool", 0, "float32", 1)


def test_what_is_asked_for_is_kept():
    asked = Placement(pool="other", threads=7, dtype="bfloat16", tokens_per_micro_batch=999, layout="rows")
    explicit = resolve_placement(asked, None, NODE)
    for name in ("pool", "threads", "dtype", "tokens_per_micro_batch", "layout"):
        assert getattr(explicit, name) == getattr(asked, name)


def test_a_gpu_is_taken_by_what_is_worth_it(monkeypatch):
    assert resolve_placement(Placement(), 640_000, NODE).gpus == 0
    monkeypatch.setattr(machine_module, "package_version", lambda name: "absent")
    all_of_them = resolve_placement(Placement(), 7e9, NODE)
    assert (all_of_them.gpus, all_of_them.ranks, all_of_them.pool) == (8, 8, "gpu-pool")
    one = resolve_placement(Placement(), 7e9, NODE, many_ranks=False)
    assert (one.gpus, one.ranks, one.backend, one.dtype) == (1, 1, "torch", "bfloat16")
    assert resolve_placement(Placement(), None, NODE, many_ranks=False).gpus == 1


@pytest.mark.parametrize("num_gpus", [1, 2, 8])
@pytest.mark.parametrize("num_parameters", [None, 7e9, 14e9])
def test_auto_is_what_really_runs_however_much_is_installed(monkeypatch, num_gpus, num_parameters):
    monkeypatch.setattr(machine_module, "package_version", lambda name: "0.19.8")  # DeepSpeed too
    node = LAPTOP.model_copy(update={"gpus": (H200,) * num_gpus, "torch_has_cuda": True})
    numerics = numerics_of(Placement(), num_parameters, node)
    assert (numerics.engine, numerics.backend, numerics.world_size) == ("torch", "torch", num_gpus)
    alone = numerics_of(Placement(), num_parameters, node, many_ranks=False)
    assert alone.world_size == 1


@pytest.mark.parametrize(
    ("asked", "nodes", "gpus", "ranks"),
    [
        (Placement(ranks=2), 1, 2, 2),
        (Placement(gpus=4), 1, 4, 4),
        (Placement(gpus=8, ranks=4), 1, 8, 4),  # an engine may take the others
        (Placement(gpus=0, ranks=3), 1, 0, 3),
        (Placement(), 2, 8, 16),
        (Placement(ranks=8), 2, 4, 8),
        (Placement(gpus=1), 4, 1, 4),
    ],
)
def test_ranks_are_counted_over_machines_and_gpus_on_each(asked, nodes, gpus, ranks):
    explicit = resolve_placement(asked, 7e9, NODE.model_copy(update={"nodes": nodes}))
    assert (explicit.gpus, explicit.ranks) == (gpus, ranks)
    one = resolve_placement(asked, 7e9, NODE.model_copy(update={"nodes": nodes}), many_ranks=False)
    assert (one.gpus, one.ranks) == (min(gpus, 1), 1)


@pytest.mark.parametrize(
    ("asked", "nodes", "said"),
    [
        (Placement(ranks=3), 2, "3 ranks do not divide by 2 machines"),
        (Placement(ranks=9), 1, "9 processes on a machine with 8 GPUs to use"),
        (Placement(ranks=2, gpus=1), 1, r"each trains on a GPU of its own. Set ranks=1, or gpus=0"),
    ],
)
def test_ranks_that_cannot_be_placed_are_refused(asked, nodes, said):
    with pytest.raises(CapacityError, match=said):
        resolve_placement(asked, 7e9, NODE.model_copy(update={"nodes": nodes}))


def test_one_process_has_the_key_it_always_had():
    """Artifacts made before a placement could name ranks are found again."""
    here = numerics_of(Placement(), 640_000, LAPTOP)
    assert here.key() == "3768e5c5cf16f139"
    assert here.key() == numerics_of(Placement(ranks=1), 640_000, LAPTOP).key()
    assert here.key() != numerics_of(Placement(ranks=2), 640_000, LAPTOP).key()


def test_a_plan_of_one_stage_is_refused_too(tmp_path, monkeypatch):
    monkeypatch.setenv("RPT_HOME", str(tmp_path))
    monkeypatch.setenv("RPT_VLLM_PYTHON", str(tmp_path / "python"))
    with pytest.raises(CapacityError, match="asks for engine=vllm, and vLLM's environment is not here"):
        fitted(chosen("tiny_rpt", "ingest-corpus", Overrides()), Placement(engine="vllm"))


def test_more_gpus_than_there_are_is_refused_by_name():
    with pytest.raises(CapacityError, match="1 GPUs are asked for and this machine has no GPU"):
        resolve_placement(Placement(gpus=1), 7e9, LAPTOP)
    with pytest.raises(CapacityError, match="CPU build"):
        resolve_placement(Placement(gpus=1), 7e9, CPU_BUILD)


def test_numerics_tell_machines_apart_but_not_pools():
    here = numerics_of(Placement(), 640_000, LAPTOP)
    assert here.key() == numerics_of(Placement(pool="elsewhere"), 640_000, LAPTOP).key()
    other = LAPTOP.model_copy(update={"cpu": "another chip"})
    assert here.key() != numerics_of(Placement(), 640_000, other).key()
    assert numerics_of(Placement(gpus=1), 7e9, NODE).device == "NVIDIA H200"


def test_the_drivers_table_is_read_as_this_process_sees_it(monkeypatch):
    table = "0, GPU-aa1, NVIDIA H200, 143771\n1, GPU-bb2, NVIDIA H200, 143771\n"
    monkeypatch.setattr(machine_module, "output_of", lambda *command: table)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert len(machine_module._gpus()) == 2
    for visible, count in (("", 0), ("1", 1), ("GPU-bb", 1), ("0,1", 2), ("-1", 0)):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert len(machine_module._gpus()) == count


def test_a_containers_limits_count(monkeypatch, tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "memory.max").write_text("max\n")
    (tmp_path / "a" / "memory.max").write_text("4000000000\n")
    (inner / "cpu.max").write_text("150000 50000\n")
    assert list(machine_module._limits_upwards(tmp_path, "/a/b", "memory.max")) == [4_000_000_000]
    assert list(machine_module._limits_upwards(tmp_path, "/a/b", "cpu.max")) == [300_000]
