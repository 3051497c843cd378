"""What draws answers: one narrow protocol, so that no algorithm ever branches on an engine."""

from pathlib import Path
from typing import Protocol

from rpt_core.policy.trunk import Sample, Sampling, Trunk

Drawn = list[list[list[Sample]]]
"""Answers by trunk, by cut, by answer."""


class RolloutEngine(Protocol):
    """Draws continuations of trunks under the weights it was last given.

    Every method raises :class:`rpt_core.errors.EngineError` once the engine has died; none waits for ever.
    """

    shares_weights: bool
    """Whether it draws with the trainer's own module. If so, an update needs no hand-over and answers follow
    it at once; if not, weights travel through :meth:`load_weights`, and each answer names their version."""
    replayable: bool
    """Whether an answer depends on (weights, seed, step, trunk key, cut, number) alone, so that a step of a
    finished training can be drawn again."""
    version: int
    """Of the weights served: the number of the step they were taken after."""
    num_forwarded: int
    """Tokens that went through the model since the engine was opened."""
    flops: float
    """Operations that took, as :mod:`rpt_core.policy.work` counts them."""

    def generate(self, trunks: list[Trunk], sampling: Sampling, step: int) -> Drawn:
        """``sampling.group_size`` answers at every cut.

        Each :class:`Sample` carries the version of the weights it was drawn under. Where the engine is
        replayable, random streams are keyed by (seed, step, trunk key, cut, answer, position), so an answer
        does not depend on which others are drawn beside it.
        """

    def load_weights(self, path: Path, version: int) -> None:
        """Serve the Hugging Face folder ``path`` from now on, as ``version``.

        Returns once they are served. What was cached of earlier weights (prefixes, above all) is dropped:
        old keys under new weights give wrong probabilities and no error.

        Raises:
            EngineError: the folder's parameters are not this model's; what was served before still is.
        """

    def close(self) -> None:
        """Release what the engine holds; may be called twice."""
