"""What a vLLM worker is started with: command, environment, and the settings it opens its model by."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rpt_core.artifacts.interpreters import vllm_python
from rpt_core.policy.engines.serving import Serving
from rpt_core.policy.engines.vllm.weights import Weights
from rpt_core.policy.model import Policy

SCRIPT = Path(__file__).parent / "worker/rpt_serve.py"
CACHE_ROOMS = 4
"""Sequences of full length that a CPU's key-value cache has room for."""
CACHE_BYTES_MIN = 1 << 28
_NOT_INHERITED = (
    "PYTHON", "RANK", "LOCAL_", "GROUP_", "ROLE_", "WORLD_SIZE", "MASTER_", "TORCHELASTIC_", "OMP_",
)  # fmt: skip
"""First letters of variables that are about this process: a rank's worker is no rank, imports nothing of this
environment, and has threads of its own."""


def command() -> list[str]:
    """The worker under its interpreter; the script's own folder is all it imports from beside vLLM.

    Raises:
        CapacityError: vLLM's environment is not here.
    """
    return [str(vllm_python()), "-E", "-s", str(SCRIPT)]


def environment(policy: Policy, replica: int, tensor_parallel: int) -> dict[str, str]:
    """The environment of one of several workers.

    Args:
        policy: The model; on a GPU, workers take the devices from its own on, in turn.
        replica: Number of the worker.
        tensor_parallel: Devices a worker takes.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    mine = {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # one process to load, to ask and to kill
        "VLLM_USE_V2_MODEL_RUNNER": "0",  # CPUs have no other: what is tested there is what draws
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # else it pins itself to a core that others use, too
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
    }
    if policy.device.type == "cpu":
        mine["TORCHDYNAMO_DISABLE"] = "1"  # else its sampler calls a C++ compiler at the first answer
    if policy.device.type == "cuda":
        mine["CUDA_VISIBLE_DEVICES"] = _devices(
            os.environ, policy.device.index or 0, replica, tensor_parallel
        )
    return {**kept, **mine}


def _devices(env: Mapping[str, str], first: int, replica: int, each: int) -> str:
    visible = env.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(number) for number in range(torch.cuda.device_count())]
    begin = first + replica * each
    return ",".join(names[place % len(names)] for place in range(begin, begin + each))


def settings_of(
    policy: Policy, weights: Weights, never: list[int], room: int, serving: Serving
) -> dict[str, Any]:
    """The first message to a worker.

    Args:
        policy: The model whose weights these are.
        weights: Verified again by the worker.
        never: Tokens that are not drawn.
        room: Most tokens of a prompt with its answer.
        serving: GPUs that hold the weights together, and how much of their memory.
    """
    return {
        "folder": str(weights.folder),
        "version": weights.version,
        "digests": dict(weights.digests),
        "dtype": str(policy.compute_dtype).removeprefix("torch."),
        "room": room,
        "extends": room > (places_of(policy) or room),
        "cache_bytes": max(CACHE_BYTES_MIN, CACHE_ROOMS * room * _cached_bytes(policy)),
        "memory_share": serving.memory_share,
        "tensor_parallel": serving.tensor_parallel,
        "never": never,
        "sleeps": policy.device.type == "cuda",
    }


def places_of(policy: Policy) -> int | None:
    """Tokens of the longest row that the model's folder names."""
    return getattr(policy.config.get_text_config(), "max_position_embeddings", None)


def _cached_bytes(policy: Policy) -> int:
    """Of one token's keys and values in all layers."""
    text = policy.config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return int(2 * text.num_hidden_layers * heads * width * policy.compute_dtype.itemsize)
