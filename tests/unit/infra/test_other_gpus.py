"""Cards that are not NVIDIA's: AMD's by what their driver writes, Apple's not at all."""

from pathlib import Path

import pytest
import torch

from infra import machine as machine_module
from infra.local import doctor, gpus
from infra.machine import Gpu, Machine, resolve_placement
from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import CapacityError
from rpt_core.policy.device import device_of

MI300X = 205_822_885_888
BARE = Machine(cores=2, memory_bytes=10**10, cpu="a chip", torch="2.13.0+cpu")
AMD = BARE.model_copy(update={"gpus": (Gpu(name="AMD Instinct MI300X OAM", memory_bytes=MI300X),) * 2})


@pytest.fixture
def driver(monkeypatch, tmp_path) -> Path:
    """What the kernel shows of four cards and of a display of another maker's."""
    monkeypatch.setattr(machine_module, "DRM", tmp_path)
    monkeypatch.setattr(machine_module, "output_of", lambda *_: "")
    for name in ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    for number in (0, 1, 2, 10):
        card = tmp_path / f"card{number}" / "device"
        card.mkdir(parents=True)
        (card / "mem_info_vram_total").write_text(f"{MI300X + number}\n")
        (card / "device").write_text("0x74a1\n")
    (tmp_path / "card1/device/product_name").write_text("AMD Instinct MI300X OAM\n")
    (tmp_path / "card3" / "device").mkdir(parents=True)
    (tmp_path / "card0-DP-1").mkdir()
    return tmp_path


def test_cards_stand_in_the_drivers_order_with_their_memory(driver):
    found = machine_module._gpus()
    assert [gpu.memory_bytes - MI300X for gpu in found] == [0, 1, 2, 10]
    assert [gpu.name for gpu in found[:2]] == ["AMD 0x74a1", "AMD Instinct MI300X OAM"]


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"HIP_VISIBLE_DEVICES": "1,0"}, [1, 0]),
        ({"CUDA_VISIBLE_DEVICES": ""}, []),
        ({"ROCR_VISIBLE_DEVICES": "2,3", "HIP_VISIBLE_DEVICES": "1"}, [10]),
        ({"HIP_VISIBLE_DEVICES": "7"}, []),
    ],
)
def test_only_those_that_this_process_may_see(driver, monkeypatch, given, left):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert [gpu.memory_bytes - MI300X for gpu in machine_module._gpus()] == left


@pytest.mark.parametrize(("library", "has"), [("libtorch_hip.so", True), ("libtorch_cpu.so", False)])
def test_a_rocm_build_of_torch_is_one_for_gpus(monkeypatch, tmp_path, library, has):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / library).write_bytes(b"")

    class Found:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(machine_module, "find_spec", lambda _: Found)
    assert machine_module._torch_has_cuda() is has


def test_a_build_that_does_not_fit_the_cards_is_named():
    with pytest.raises(CapacityError, match="Install a ROCm build"):
        resolve_placement(Placement(gpus=1), 7e9, AMD)
    ready = AMD.model_copy(update={"torch": "2.13.0+rocm7.1", "torch_has_cuda": True})
    assert resolve_placement(Placement(), 7e9, ready).gpus == 2


def test_the_doctor_names_both(monkeypatch):
    monkeypatch.setattr(doctor, "this_machine", lambda: AMD)
    check = doctor._torch()
    assert (check.state, "a ROCm build" in check.remedy) == ("warn", True)
    monkeypatch.setattr(gpus, "this_machine", lambda: AMD)
    monkeypatch.setattr(gpus, "output_of", lambda *_: "")
    found = {check.name: check for check in gpus.examine_gpus()}
    assert found["gpu 0"].what == "AMD Instinct MI300X OAM, 205.8 GB"
    assert found["torch build"].state == "fail"


def test_a_mac_is_told_that_its_gpu_is_not_used(monkeypatch):
    monkeypatch.setattr(doctor, "this_machine", lambda: BARE)
    monkeypatch.setattr(doctor.platform, "system", lambda: "Darwin")
    assert "Apple's is not" in doctor._torch().what


@pytest.mark.parametrize(
    ("gpus", "there", "device"),
    [("auto", True, "cuda"), (0, True, "cpu"), ("auto", False, "cpu"), (1, True, "cuda")],
)
def test_a_stages_device_is_what_torch_calls_a_gpu_unless_none_is_wanted(
    tmp_path, monkeypatch, gpus, there, device
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    build = LocalBuild({}, tmp_path / "out", tmp_path / "scratch", Placement(gpus=gpus))
    assert device_of(build) == torch.device(device)
