"""What a worker is started with: every variable, every setting, every device."""

import os
import sys
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from rpt_core.errors import RecipeError
from rpt_core.policy.engines.serving import Serving
from rpt_core.policy.engines.vllm import launch
from rpt_core.policy.engines.vllm.engine import ROOM_MIN, VllmEngine
from rpt_core.policy.engines.vllm.weights import Weights
from rpt_core.policy.load import save_policy
from tests.toys import tiny_policy


def _on(device, dtype=torch.float32, **text):
    """As much of a policy as a launch reads."""
    config = SimpleNamespace(get_text_config=lambda: SimpleNamespace(**text))
    return SimpleNamespace(device=torch.device(device), compute_dtype=dtype, config=config)


def test_the_first_message_names_the_model_and_its_room(tmp_path):
    policy, weights = tiny_policy(), Weights(tmp_path, 3, {"model.safetensors": "abc"})
    assert launch.settings_of(policy, weights, [5, 6], 300, Serving("vllm", 1, 2, 0.3)) == {
        "folder": str(tmp_path), "version": 3, "digests": {"model.safetensors": "abc"}, "dtype": "float32",
        "room": 300, "extends": False, "cache_bytes": 1 << 28, "memory_share": 0.3, "tensor_parallel": 2,
        "never": [5, 6], "sleeps": False,
    }  # fmt: skip
    assert Weights(tmp_path) == Weights(tmp_path, 0, {})
    assert launch.settings_of(policy, weights, [], 512, Serving())["extends"] is False
    assert launch.settings_of(policy, weights, [], 513, Serving())["extends"] is True
    room = 1 << 20  # keys and values: 2 layers of 2 heads by 8 in 4 bytes, for 4 whole sequences
    assert (
        launch.settings_of(policy, weights, [], room, Serving())["cache_bytes"]
        == 4 * room * 2 * 2 * 2 * 8 * 4
    )


def test_sizes_that_a_configuration_leaves_out():
    gpu = _on("cuda:1", torch.bfloat16, num_hidden_layers=3, num_attention_heads=5, hidden_size=35)
    settings = launch.settings_of(gpu, Weights(launch.SCRIPT), [], 1 << 21, Serving())
    assert settings["cache_bytes"] == 4 * (1 << 21) * 2 * 3 * 5 * 7 * 2
    assert (settings["dtype"], settings["sleeps"], settings["extends"]) == ("bfloat16", True, False)
    assert launch.places_of(gpu) is None
    assert launch.places_of(tiny_policy()) == 512


def test_a_workers_variables(monkeypatch):
    cpu, gpu = _on("cpu"), _on("cuda:1")
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name in ("PATH", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "OMP_NUM_THREADS", "PYTHONHOME", "RANKS"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    mine = {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_USE_V2_MODEL_RUNNER": "0",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "3", "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false", "PATH": "x",
    }  # fmt: skip
    assert launch.environment(cpu, 1, 2) == {**mine, "TORCHDYNAMO_DISABLE": "1"}
    assert launch.environment(gpu, 2, 3) == {**mine, "CUDA_VISIBLE_DEVICES": "7,0,1"}
    assert launch.environment(_on("cuda"), 1, 2) == {**mine, "CUDA_VISIBLE_DEVICES": "2,3"}


@pytest.mark.parametrize(
    ("visible", "first", "replica", "each", "devices"),
    [
        ("4,6,7", 0, 0, 1, "4"), ("4,6,7", 1, 0, 1, "6"), ("4,6,7", 1, 1, 2, "4,6"),
        ("4,6,7", 0, 1, 2, "7,4"),
        ("", 0, 2, 1, "2"), (None, 1, 1, 2, "3,4"), (None, 0, 1, 3, "3,4,0"),
    ],
)  # fmt: skip
def test_workers_take_the_visible_devices_in_turn(monkeypatch, visible, first, replica, each, devices):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 5)
    env = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert launch._devices(env, first, replica, each) == devices


def test_a_worker_imports_nothing_of_this_environment(monkeypatch, tmp_path):
    (tmp_path / "python").touch()
    monkeypatch.setenv("RPT_VLLM_PYTHON", str(tmp_path / "python"))
    assert launch.command() == [str(tmp_path / "python"), "-E", "-s", str(launch.SCRIPT)]
    assert launch.SCRIPT.is_file()


@pytest.fixture
def engine(tmp_path):
    """An engine none of whose workers was started."""
    engine = VllmEngine(
        tiny_policy(), None, Serving("vllm", 2, 3, scratch=tmp_path), [sys.executable, "-c", ""]
    )
    with closing(engine):
        yield engine


@pytest.mark.parametrize(
    ("longest", "room"),
    [
        (10, 512),
        (512, 512),
        (513, ROOM_MIN),
        (ROOM_MIN, ROOM_MIN),
        (ROOM_MIN + 1, 2 * ROOM_MIN),
        (4097, 8192),
    ],
)
def test_workers_have_room_by_powers_of_two_and_no_more_than_places_where_those_suffice(
    engine, longest, room
):
    dropped = []
    for replica in engine.replicas:
        replica.drop = lambda replica=replica: dropped.append(replica)
    engine._make_room(longest)
    assert engine._opening.room == room
    assert dropped == engine.replicas
    engine._make_room(room)
    assert engine._opening.room == room
    assert len(dropped) == 2


def test_a_model_that_names_no_places_has_the_room_that_is_asked(engine, monkeypatch):
    monkeypatch.setattr(launch, "places_of", lambda _: None)
    engine._make_room(10)
    assert engine._opening.room == ROOM_MIN


def test_a_row_beyond_learned_places_is_refused_before_a_worker_is_opened(engine):
    engine.policy.__dict__["learned_positions"] = 20
    with pytest.raises(RecipeError, match="a row of 21 tokens"):
        engine._make_room(21)
    assert engine._opening.room == 0


def test_every_replica_has_a_log_and_devices_of_its_own(engine, tmp_path):
    (own,) = tmp_path.glob("vllm-*")
    assert [replica.log for replica in engine.replicas] == [own / "worker-0.log", own / "worker-1.log"]
    assert engine._opening.settings()["tensor_parallel"] == 3
    assert (engine.version, engine.num_forwarded, engine.flops) == (0, 0, 0.0)
    assert not engine.shares_weights
    assert engine.replayable


def test_what_is_drawn_on_a_cpu_in_float32_alone_can_be_drawn_again(tmp_path):
    policy = replace(tiny_policy(), compute_dtype=torch.bfloat16)
    with closing(VllmEngine(policy, None, Serving("vllm", scratch=tmp_path), ["serve"])) as engine:
        assert not engine.replayable


def test_weights_are_opened_from_the_folder_that_is_given(tmp_path):
    policy = tiny_policy()
    save_policy(policy, tmp_path / "model")
    (tmp_path / "scratch").mkdir()
    serving = Serving("vllm", scratch=tmp_path / "scratch")
    with closing(VllmEngine(policy, tmp_path / "model", serving, ["serve"])) as engine:
        (own,) = (tmp_path / "scratch").glob("vllm-*")
        assert engine._opening.settings()["folder"] == str(tmp_path / "model")
        assert [path.name for path in own.iterdir()] == ["config.json"]
        engine.load_weights(tmp_path / "model", 7)
        assert (engine.version, engine._opening.weights.version) == (7, 7)
        engine.load_weights(tmp_path / "model", 9)
        assert {path.name for path in own.iterdir()} == {"config.json", "weights-2"}
    assert (tmp_path / "model" / "model.safetensors").is_file()
    assert own.is_dir()


def test_without_a_stages_folder_nothing_is_left():
    with closing(VllmEngine(tiny_policy(), None, Serving("vllm"), ["serve"])) as engine:
        own = engine._own
        assert (own / "opened" / "model.safetensors").is_file()
    assert not own.exists()
