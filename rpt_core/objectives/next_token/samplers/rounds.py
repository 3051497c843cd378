"""Every eligible position once before any twice, in random order: the sampler of RPT."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpt_core.objectives.next_token.samplers.sampler import Indices, Nats, State, Visited
from rpt_core.objectives.rounds import Rounds, Visit, merge_visits


@dataclass(frozen=True)
class RoundsSampler:
    """Without replacement and without memory; the cursor counts questions drawn."""

    rounds: Rounds
    wants_entropies: bool = False

    def take(self, step: int, cursor: int, num: int) -> tuple[list[Visit], int]:
        """The next questions; visits to the same window are one."""
        return merge_visits(self.rounds.take(cursor, num)), cursor + num

    def tiers(self, window: int) -> Indices:
        """None of them has a tier."""
        return np.full(int(self.rounds.counts[window]), -1)

    def observe(self, visits: Sequence[Visited], own_nats: Mapping[int, Nats]) -> None:
        """Whatever was seen, the order stays."""

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Nothing."""
        return {}

    def restore(self, state: State) -> None:
        """There is nothing to go on from."""
