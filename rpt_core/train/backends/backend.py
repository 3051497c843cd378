"""What holds the trained weights and steps them: one narrow protocol, whatever shards the weights.

A training runs as ``world_size`` ranks that take the same steps. Each learns from its share of a batch
(:mod:`rpt_core.train.backends.shares`), divided by the denominators of the whole batch, so gradients *add
up* over ranks. Decisions about a whole step (stop, save, not finite) are taken from values of all ranks, or
ranks part ways and hang.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

from torch import Tensor

from rpt_core.policy.forward import BranchScores, DocumentScores, Layout
from rpt_core.policy.trunk import Answers, Trunk

T = TypeVar("T")


class TrainerBackend(Protocol):
    """Scores, differentiates and updates one policy; all ranks call its methods in the same order."""

    rank: int
    world_size: int
    collective_scoring: bool
    """Whether ranks must make the same passes in the same order, as where a pass gathers weights. Callers
    then fill up with micro-batches of weight zero (:func:`rpt_core.train.backends.shares.in_step`)."""

    def score(
        self,
        trunks: Sequence[Trunk],
        answers: Answers,
        layout: Layout = "two-pass",
        temperature: float = 1.0,
        *,
        with_document: bool = True,
        as_drawn: bool = False,
    ) -> BranchScores:
        """As :func:`rpt_core.policy.forward.branch_logprobs`, with gradient, of the weights being trained."""

    def score_documents(self, trunks: Sequence[Trunk]) -> DocumentScores:
        """As :func:`rpt_core.policy.forward.document_scores`, the same way."""

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of this rank's share of the batch's loss.

        Ranks may call it differently often in a step, as their shares fall into micro-batches, unless
        scoring is collective: then they call :meth:`score` and this in step.
        """

    def step(self, number: int) -> float:
        """Add gradients over ranks, clip, take optimiser step ``number`` (1-based), and forget the gradient.

        Returns:
            Norm of the whole gradient before clipping; where it is not finite, no weight was changed.
        """

    def all_gather(self, value: T) -> list[T]:
        """The value of every rank, in their order, on every rank."""

    def whole(self) -> AbstractContextManager[None]:
        """While open, the policy's parameters are whole here, for whoever reads them past :meth:`score`."""

    def export(self, folder: Path) -> None:
        """Write an ordinary Hugging Face folder of the whole weights; rank 0 writes."""

    def adopt(self, folder: Path) -> None:
        """Take the weights of an exported folder.

        Raises:
            ResumeError: they are another model's.
        """

    def save(self, folder: Path) -> None:
        """Write the optimiser's moments by parameter name, as safetensors; rank 0 writes."""

    def load(self, folder: Path) -> None:
        """Take up the moments written by :meth:`save`.

        Raises:
            ResumeError: they were written by another rule, or for other parameters.
        """
