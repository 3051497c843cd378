"""ZeRO as a placement names it and a manifest records it: the stage, and where the optimiser's state lies."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

Stage = Literal[0, 1, 2, 3]
STAGES: tuple[Stage, ...] = get_args(Stage)
_NAME = re.compile(r"deepspeed-zero([0-3])(-offload)?")


@dataclass(frozen=True, slots=True)
class Zero:
    """What DeepSpeed partitions over ranks (Rajbhandari et al. 2020).

    Stage 1 the optimiser's state, stage 2 gradients too, stage 3 parameters too; stage 0 nothing.
    """

    stage: Stage
    offload: bool = False
    """Whether the optimiser's state lies, and is stepped, in the host's memory."""

    @property
    def name(self) -> str:
        """As in ``numerics.backend``.

        Example:
            >>> Zero(1).name, Zero(3, offload=True).name
            ('deepspeed-zero1', 'deepspeed-zero3-offload')
        """
        return f"deepspeed-zero{self.stage}{'-offload' if self.offload else ''}"

    @classmethod
    def named(cls, name: str) -> "Zero | None":
        """What a back end's name stands for; None where it is another one's.

        Example:
            >>> Zero.named("deepspeed-zero2"), Zero.named("torch")
            (Zero(stage=2, offload=False), None)
        """
        found = _NAME.fullmatch(name)
        return cls(STAGES[int(found[1])], found[2] is not None) if found else None
