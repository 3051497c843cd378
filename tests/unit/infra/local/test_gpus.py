"""`rpt doctor --gpu` on machines with GPUs and without; the driver's answers are those of real cards."""

import sys

import pytest

from infra.local import gpus
from infra.local.gpus import examine_gpus
from infra.machine import Gpu, Machine

BARE = Machine(cores=2, memory_bytes=10**10, cpu="a chip", torch="2.13.0+cpu")
CARD = Gpu(name="NVIDIA H100 80GB HBM3", memory_bytes=81_559 * 2**20)
NODE = BARE.model_copy(update={"gpus": (CARD, CARD), "torch": "2.13.0+cu128", "torch_has_cuda": True})
TABLE = """\
0, NVIDIA H100 80GB HBM3, 81559, 81000, 570.86.15, 9.0
1, NVIDIA H100 80GB HBM3, 81559, 20000, 570.86.15, 9.0
"""
PEERS = """\
 \tGPU0\tGPU1\t
 GPU0\tX\tOK\t
 GPU1\t{back}\tX\t

Legend:
  X    = Self
"""


@pytest.fixture
def machine(monkeypatch, tmp_path):
    def made(is_: Machine, table: str = "", peers: str = "", cuda: str = "", packages: dict | None = None):
        monkeypatch.setattr(gpus, "this_machine", lambda: is_)
        monkeypatch.setattr(gpus, "output_of", lambda *command: peers if "topo" in command else table)
        monkeypatch.setattr(gpus, "_cuda_of_torch", lambda: cuda)
        monkeypatch.setattr(gpus, "package_version", lambda name: (packages or {}).get(name, "absent"))
        monkeypatch.setenv(gpus.VLLM_PYTHON, str(tmp_path / "python"))
        return {check.name: check for check in examine_gpus()}

    return made


def test_a_machine_without_any_says_what_is_missing_and_how_to_get_it(machine):
    found = machine(BARE)
    assert [check.state for check in found.values()].count("fail") == 0
    assert found["gpu"].state == "warn"
    assert "rpt plan" in found["gpu"].remedy
    assert found["torch build"].what == "torch 2.13.0+cpu, a CPU build"
    for name in ("deepspeed", "vllm"):
        assert found[name].state == "warn"
        assert found[name].remedy
    assert "peer access" not in found


def test_two_cards(machine):
    packages = {"nvidia-nccl-cu12": "2.28.9", "deepspeed": "0.19.8"}
    found = machine(NODE, TABLE, PEERS.format(back="OK"), "12.8", packages)
    assert found["driver"].what == "570.86.15, 2 GPUs"
    assert (found["gpu 0"].state, found["gpu 1"].state) == ("ok", "warn")
    assert "84.9 of 85.5 GB free" in found["gpu 0"].what
    assert "nvidia-smi" in found["gpu 1"].remedy
    assert found["torch build"].what.endswith("built for CUDA 12.8")
    assert found["nccl"].what == "2.28.9, for CUDA 12"
    assert found["peer access"].what == "open in all 2 directions"
    assert found["deepspeed"].state == "ok"


def test_what_stands_in_the_way_is_named(machine):
    old = TABLE.replace("H100 80GB HBM3", "Tesla V100").replace("9.0", "7.0")
    unusable = NODE.model_copy(update={"torch": "2.13.0+cpu", "torch_has_cuda": False})
    found = machine(unusable, old, PEERS.format(back="NS"))
    assert found["torch build"].state == "fail"
    assert "CUDA build of torch 2.13.0" in found["torch build"].remedy
    assert found["gpu 0"].state == "warn"
    assert "dtype=float32" in found["gpu 0"].remedy
    assert found["peer access"].what == "1 of 2 directions are closed"
    silent = machine(NODE, TABLE, "", "12.8")
    assert silent["peer access"].what == "the driver does not say"
    assert silent["nccl"].state == "warn"


def test_vllms_interpreter_is_really_asked(monkeypatch):
    monkeypatch.setenv(gpus.VLLM_PYTHON, sys.executable)
    check = gpus._vllm()  # this environment has none
    assert (check.state, check.remedy) == ("fail", "make vllm")


def test_the_cuda_of_a_build_is_read_from_its_files(tmp_path, monkeypatch):
    (tmp_path / "version.py").write_text("cuda: Optional[str] = '12.8'\nhip = None\n")
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})
    monkeypatch.setattr(gpus, "find_spec", lambda name: spec)
    assert gpus._cuda_of_torch() == "12.8"
    (tmp_path / "version.py").write_text("cuda: Optional[str] = None\n")
    assert gpus._cuda_of_torch() == ""
