"""An engine that holds weights of its own in this process.

It rehearses the hand-over on any machine: placements that name it train through export, load and canary, and
end with the bytes of the engine that shares the weights. It costs the memory of a second model.
"""

import copy
from dataclasses import dataclass, field, replace

from rpt_core.policy.engines.torch_engine import TorchEngine


@dataclass
class CopiedEngine(TorchEngine):
    """Draws as :class:`TorchEngine` does, with a copy that :meth:`load_weights` alone brings up to date."""

    shares_weights: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.policy = replace(self.policy, model=copy.deepcopy(self.policy.model))
