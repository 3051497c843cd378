"""Back ends by name: the one place that opens what trains, for reinforcement and for supervised stages."""

from collections.abc import Callable

from rpt_core.artifacts.placement import Numerics
from rpt_core.errors import CapacityError
from rpt_core.policy.model import Policy
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.backends.backend import TrainerBackend
from rpt_core.train.backends.torch_backend import TorchBackend

BACKENDS: dict[str, tuple[Callable[[Policy, Optimiser, int], TrainerBackend], int]] = {
    "torch": (TorchBackend, 1)
}
"""What opens each, and on how many ranks it trains at most. Names are those of
:data:`rpt_core.artifacts.placement.BACKENDS`."""


def open_backend(numerics: Numerics, policy: Policy, recipe: Optimiser, total_steps: int) -> TrainerBackend:
    """The back end a placement names.

    Args:
        numerics: Names it, and the number of ranks.
        policy: The model, its parameters in float32.
        recipe: The update rule and its schedule.
        total_steps: Length of the schedule.

    Raises:
        CapacityError: there is none of that name, or it does not train on so many ranks.
    """
    opener, ranks_max = BACKENDS.get(numerics.backend, (None, 0))
    if opener is None or numerics.world_size > ranks_max:
        there = " or ".join(f"{name} in at most {most} processes" for name, (_, most) in BACKENDS.items())
        raise CapacityError(
            f"the placement asks for {numerics.world_size} processes under {numerics.backend}; this version "
            f"trains with {there}. Set gpus=1 and backend=torch."
        )
    return opener(policy, recipe, total_steps)
