"""Back ends by name: the one place that opens what trains, for reinforcement and for supervised stages."""

from collections.abc import Callable

from rpt_core.artifacts.placement import Numerics
from rpt_core.artifacts.zero import Zero
from rpt_core.errors import CapacityError
from rpt_core.policy.model import Policy
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.backends import deepspeed_backend
from rpt_core.train.backends.backend import TrainerBackend
from rpt_core.train.backends.ranks import init_ranks, weights_digest
from rpt_core.train.backends.torch_backend import TorchBackend

BACKENDS: dict[str, Callable[..., TrainerBackend]] = {
    "torch": TorchBackend,
    "deepspeed": deepspeed_backend.opened,
}
"""What opens each over ``(policy, recipe, total_steps, ranks)``, on any number of ranks whose weights are
equal; DeepSpeed's takes ``zero`` too. Names are those of :data:`rpt_core.artifacts.placement.BACKENDS`."""


def open_backend(numerics: Numerics, policy: Policy, recipe: Optimiser, total_steps: int) -> TrainerBackend:
    """The back end a placement names.

    Args:
        numerics: Names it, and the number of ranks.
        policy: The model, its parameters in float32.
        recipe: The update rule and its schedule.
        total_steps: Length of the schedule.

    Raises:
        CapacityError: there is none of that name, or this process is one of another number of ranks.
        EngineError: ranks begin with different weights.
    """
    zero = Zero.named(numerics.backend)
    name = "deepspeed" if zero else numerics.backend
    if name not in BACKENDS:
        raise CapacityError(
            f"the placement asks for the back end {numerics.backend!r}; this version trains with "
            f"{', '.join(BACKENDS)}. Set placement.backend to one of them, or to auto."
        )
    ranks = init_ranks(numerics.world_size, on_gpu=policy.device.type == "cuda")
    if ranks.world_size > 1:
        ranks.refuse_unequal(weights_digest(policy), "weights")
    return BACKENDS[name](policy, recipe, total_steps, ranks, **({"zero": zero} if zero else {}))
