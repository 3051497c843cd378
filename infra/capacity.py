"""Whether a model fits a machine, told before any input is touched."""

from typing import Literal

from infra.machine import Machine, resolve_placement, this_machine
from infra.zero import backend_name, state_bytes
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.zero import Zero
from rpt_core.errors import CapacityError

Work = Literal["train", "score"]
BYTES_PER_PARAMETER: dict[tuple[Work, str], int] = {
    ("train", "float32"): 16,  # weights 4, gradients 4, AdamW's two moments 8
    ("train", "bfloat16"): 18,  # weights 2, float32 master 4, gradients 4, moments 8
    ("score", "float32"): 4,
    ("score", "bfloat16"): 2,
}
ACTIVATION_SHARE = 0.25
"""Activations, keys and values, and buffers, as a share of the states above; a plan's rule of thumb."""
PROCESS_BYTES = 10**9
"""What a process with torch loaded takes before it holds any model."""
CPU_PARAMETERS_MAX = 10**9
"""Without a GPU a larger model is refused although it may fit: 2 cores give about 100 GFLOP/s, and one
training step of the papers' size (256 x 8 answers) would take months."""
_SHARED: dict[Work, str] = {
    "train": "several that share its states by DeepSpeed's ZeRO (--placement backend=deepspeed,zero_stage=3)",
    "score": "several that hold it together by vLLM (--placement engine=vllm,tensor_parallel=N)",
}
"""What takes the place of one large GPU."""
_ROOM = 0.9
_COMMON_GPU_BYTES = 80 * 10**9


def needed_bytes(num_parameters: float, work: Work, dtype: str, per_parameter: float | None = None) -> int:
    """Memory to train a model (weights, gradients, AdamW states) or only to run it, activations included.

    Args:
        num_parameters: Size of the model.
        work: Whether it is trained.
        dtype: What products are taken in.
        per_parameter: Bytes of its states where ranks share them; else every rank holds all.

    Example:
        >>> f"{needed_bytes(14e9, 'train', 'bfloat16') / 1e9:.0f} GB"
        '316 GB'
    """
    states = num_parameters * (per_parameter or BYTES_PER_PARAMETER[work, dtype])
    return int(states * (1 + ACTIVATION_SHARE)) + PROCESS_BYTES


def check_capacity(
    stage: str,
    num_parameters: float,
    work: Work,
    placement: Placement,
    machine: Machine | None = None,
    model: str = "a model",
) -> None:
    """Refuse a model that this machine cannot hold, or not in a lifetime.

    An explicit ``gpus=0`` insists on the CPU: then only the memory counts.

    Args:
        stage: Name of the stage, for the message.
        num_parameters: Size of its model.
        work: ``train`` needs gradients and optimiser states; ``score`` (also drawing answers) does not.
        placement: Where it is asked to run.
        machine: This machine when left out.
        model: What to call it, for the message.

    Raises:
        CapacityError: what is missing, and what to do.
    """
    machine = machine or this_machine()
    explicit = resolve_placement(placement, num_parameters, machine)
    zero = Zero.named(backend_name(explicit)) if work == "train" else None
    shared = state_bytes(zero, int(explicit.ranks), bfloat16=explicit.dtype == "bfloat16") if zero else None
    needed = needed_bytes(num_parameters, work, explicit.dtype, shared)
    gpus = machine.usable_gpus[: min(int(explicit.gpus), 1)]  # weighed by rank, each on a GPU of its own
    if gpus:
        room = int(sum(gpu.memory_bytes for gpu in gpus) * _ROOM)
        have = f"{len(gpus)} x {gpus[0].name} with {_gigabytes(room)} to use"
        missing = f"{_gigabytes(needed - room)} of GPU memory"
        too_slow = False
    else:
        room = int(machine.memory_bytes * _ROOM) // (int(explicit.ranks) // machine.nodes)
        have = (
            f"{_describe_gpus(machine)} ({machine.cores} cores, {_gigabytes(machine.memory_bytes)} of memory)"
        )
        missing = "a GPU"
        too_slow = placement.gpus == "auto" and num_parameters > CPU_PARAMETERS_MAX
    if needed > room or too_slow:
        raise CapacityError(_refusal(stage, model, num_parameters, work, needed, have, missing))


def _describe_gpus(machine: Machine) -> str:
    if machine.gpus:
        return f"{machine.gpus[0].name}, which the installed CPU build of torch {machine.torch} cannot use"
    return "no GPU"


def _refusal(
    stage: str, model: str, num_parameters: float, work: Work, needed: int, have: str, missing: str
) -> str:
    verb = "trains" if work == "train" else "runs"
    gpu_needed = needed_bytes(num_parameters, work, "bfloat16")
    single = f"one GPU with at least {_gigabytes(gpu_needed / _ROOM)}"
    fits = gpu_needed <= _COMMON_GPU_BYTES * _ROOM
    only = "" if fits else f", or {_SHARED[work]} (rpt plan RECIPE --machine 8xH100-80GB says how many)"
    return (
        f"{stage} {verb} {model} of {_parameters(num_parameters)} parameters and needs about "
        f"{_gigabytes(needed)} for it; this machine has {have}. Missing: {missing}. Run it on a gpu-pool "
        f"worker with {single}{only}, or take a recipe that fits here: -p recipe=tiny_rpt (rpt run "
        "tiny_rpt)."
    )


def _gigabytes(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:,.0f} GB" if num_bytes >= 1e10 else f"{num_bytes / 1e9:.1f} GB"


def _parameters(count: float) -> str:
    return f"{count / 1e9:.1f} B" if count >= 1e9 else f"{count / 1e6:.1f} M"
