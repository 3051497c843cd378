"""What draws answers: one narrow protocol, so that no algorithm ever branches on an engine."""

from pathlib import Path
from typing import Protocol

from rpt_core.policy.trunk import Sample, Sampling, Trunk

Drawn = list[list[list[Sample]]]
"""Answers by trunk, by cut, by answer."""


class RolloutEngine(Protocol):
    """Draws continuations of trunks under the weights it was last given."""

    num_forwarded: int
    """Tokens that went through the model since the engine was opened."""
    flops: float
    """Operations that took, as :mod:`rpt_core.policy.work` counts them."""

    def generate(self, trunks: list[Trunk], sampling: Sampling, step: int) -> Drawn:
        """``sampling.group_size`` answers at every cut.

        Random streams are keyed by (seed, step, trunk key, cut, answer, position), so an answer does
        not depend on which others are drawn beside it.
        """

    def load_weights(self, path: Path, version: int) -> None:
        """Serve the Hugging Face folder ``path`` from now on, as ``version``."""

    def close(self) -> None:
        """Release what the engine holds."""
