"""The back end of one process: torch's own backward pass, the project's update rules."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from torch import Tensor

from rpt_core.errors import ResumeError
from rpt_core.policy.forward import BranchScores, DocumentScores, Layout
from rpt_core.policy.load import save_policy
from rpt_core.policy.loading.replace import misfit, replace_weights, stored_weights
from rpt_core.policy.model import Policy
from rpt_core.policy.scorer import Scorer, score_branches, score_documents
from rpt_core.policy.trunk import Answers, Trunk
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.backends.backend import T
from rpt_core.train.backends.optimiser import Update


class TorchBackend:
    """Trains a policy in this process; rank 0 of 1."""

    def __init__(self, policy: Policy, recipe: Optimiser, total_steps: int) -> None:
        """Take a policy whose parameters are in float32.

        Args:
            policy: Its parameters that require a gradient are trained, in place.
            recipe: The update rule, its rates and its schedule.
            total_steps: Length of the schedule.
        """
        self.rank, self.world_size = 0, 1
        self.policy = policy
        self.scorer = Scorer(policy)
        self.update = Update(policy.model, recipe, total_steps)

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
        """Score answers, and documents from the same pass, with gradient."""
        return score_branches(
            self.scorer, trunks, answers, layout, temperature, with_document=with_document, as_drawn=as_drawn
        )

    def score_documents(self, trunks: Sequence[Trunk]) -> DocumentScores:
        """Score documents alone, with gradient."""
        return score_documents(self.scorer, trunks)

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of a loss to the parameters'."""
        loss.backward()  # type: ignore[no-untyped-call]

    def step(self, number: int) -> float:
        """Clip, update, forget the gradient; its norm."""
        return self.update.step(number)

    def all_gather(self, value: T) -> list[T]:
        """The one rank's value."""
        return [value]

    def whole(self) -> AbstractContextManager[None]:
        """Parameters are whole at all times."""
        return nullcontext()

    def export(self, folder: Path) -> None:
        """Write an ordinary Hugging Face folder."""
        if self.rank == 0:
            save_policy(self.policy, folder)

    def adopt(self, folder: Path) -> None:
        """Take the weights of such a folder.

        Raises:
            ResumeError: they are another model's.
        """
        stored = stored_weights(folder)
        if wrong := misfit(self.policy, stored):
            raise ResumeError(
                f"the checkpoint in {folder} belongs to another model: {wrong}. Start this recipe clean."
            )
        replace_weights(self.policy, stored)

    def save(self, folder: Path) -> None:
        """Write the moments."""
        if self.rank == 0:
            self.update.save(folder)

    def load(self, folder: Path) -> None:
        """Take up the moments."""
        self.update.load(folder)
