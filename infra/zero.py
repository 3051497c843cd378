"""What a placement's ``zero_stage`` and ``offload`` mean on a machine, and when they are refused."""

from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.zero import Zero
from rpt_core.errors import CapacityError

_SHARE = 0.6
"""Of a device's memory for weights, gradients and moments; the rest is for activations and answers' keys."""


def check_zero(placement: Placement, version: str) -> None:
    """Refuse what DeepSpeed cannot do here, before anything is read or built.

    Args:
        placement: As asked for.
        version: Of DeepSpeed as installed, or ``absent``.

    Raises:
        CapacityError: names the field and the remedy.
    """
    if placement.backend == "deepspeed":
        if version == "absent":
            raise CapacityError(
                "the placement asks for backend=deepspeed, and DeepSpeed is not installed here. Install the "
                "extra: DS_BUILD_OPS=0 pip install -c constraints.txt -e '.[deepspeed]'. Or set "
                "placement.backend to torch."
            )
        if placement.zero_stage == 0 and placement.offload:
            raise CapacityError(
                "the placement asks for offload=true at zero_stage=0, which partitions no optimiser state "
                "that could be moved. Set zero_stage to 1, 2 or 3, or offload to false."
            )
        return
    for name, asked, others in (
        ("zero_stage", placement.zero_stage, ("auto", 0)),
        ("offload", placement.offload, (False,)),
    ):
        if asked not in others:
            raise CapacityError(
                f"the placement asks for {name}={asked} under backend={placement.backend}, and only "
                f"DeepSpeed does that. Set placement.backend to deepspeed, or leave {name} out."
            )


def zero_of(
    placement: Placement, num_parameters: float | None, ranks: int, device_bytes: int, *, bfloat16: bool
) -> Zero:
    """The stage and offload a placement means; ``auto`` is 1 where its states fit, else 2.

    It is never 3: see :func:`state_bytes`.

    Example:
        >>> auto = Placement(backend="deepspeed")
        >>> [zero_of(auto, size, 8, 80 * 10**9, bfloat16=True).stage for size in (4e9, 8e9)]
        [1, 2]
    """
    if placement.zero_stage != "auto":
        return Zero(placement.zero_stage, placement.offload)
    first = Zero(1, placement.offload)
    needed = (num_parameters or 0) * state_bytes(first, ranks, bfloat16=bfloat16)
    return first if needed <= _SHARE * device_bytes else Zero(2, placement.offload)


def state_bytes(zero: Zero, ranks: int, *, bfloat16: bool) -> float:
    """Bytes a parameter on the device of each rank: weights, gradients, float32 masters and two moments.

    At stage 3, rollouts still need a whole copy of the weights on every rank: it holds no less than stage 2.

    Example:
        >>> [round(state_bytes(Zero(stage), 8, bfloat16=True), 2) for stage in (0, 1, 2, 3)]
        [16, 7.5, 4.0, 4.25]
    """
    if zero.stage == 0:  # float32 parameters and no masters, as plain torch trains
        return 16
    weights = 2 if bfloat16 else 4
    gradients = 4 / ranks if zero.stage >= 2 else 4
    shared = 0 if zero.offload else 12 / ranks
    return weights + gradients + shared + (weights / ranks if zero.stage == 3 else 0)


def backend_name(placement: Placement) -> str:
    """What a manifest calls the back end of a placement without ``auto``.

    Example:
        >>> backend_name(Placement(backend="deepspeed", zero_stage=3))
        'deepspeed-zero3'
    """
    if placement.backend != "deepspeed" or placement.zero_stage == "auto":
        return placement.backend
    return Zero(placement.zero_stage, placement.offload).name
