"""What a sampler of positions does: takes some, sees how they were answered, is put down and taken up.

The window is the unit: a sampler says which windows of a scored corpus are visited, and which of each
one's eligible positions are asked about.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rpt_core.objectives.objective import Verdict
from rpt_core.objectives.rounds import Visit

Indices = NDArray[np.int64]
Nats = NDArray[np.float32]
State = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Visited:
    """One visit and how its questions were answered."""

    window: int
    items: Indices
    """Which of the window's eligible positions were asked about."""
    groups: Sequence[Sequence[Verdict]]
    """By item, all its answers."""


class Sampler(Protocol):
    """Draws visits. What a draw depends on beside step and cursor is its state, kept in checkpoints."""

    @property
    def wants_entropies(self) -> bool:
        """Whether it follows the policy's own entropies."""

    def take(self, step: int, cursor: int, num: int) -> tuple[list[Visit], int]:
        """About ``num`` questions as visits, each window once, and the cursor after them.

        Args:
            step: 1-based step of the training.
            cursor: Where the sampler is; its unit is the sampler's own, 0 at the start.
            num: Questions wanted.
        """

    def tiers(self, window: int) -> Indices:
        """Tier of difficulty of each eligible position, 0 the easiest; -1 where it has none."""

    def observe(self, visits: Sequence[Visited], own_nats: Mapping[int, Nats]) -> None:
        """Take in a step.

        Args:
            visits: All visits of the step, in order.
            own_nats: By window, the policy's entropy at each eligible position; NaN where it predicts none.
        """

    def state(self) -> dict[str, NDArray[np.generic]]:
        """What draws depend on beside step and cursor."""

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
