"""Plain torch on any number of ranks: each holds the whole model, gradients are added up once a step."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from torch import Tensor

from rpt_core.policy.forward import BranchScores, DocumentScores, Layout
from rpt_core.policy.load import save_policy
from rpt_core.policy.model import Policy
from rpt_core.policy.scorer import Scorer, score_branches, score_documents
from rpt_core.policy.trunk import Answers, Trunk
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.backends.backend import T
from rpt_core.train.backends.optimiser import STATE_FILE, Update
from rpt_core.train.backends.ranks import ALONE, Ranks, adopt_weights, file_digest, weights_digest


class TorchBackend:
    """Trains a policy in this process, together with those of other ranks.

    What every other back end is held to.
    """

    collective_scoring = False

    def __init__(self, policy: Policy, recipe: Optimiser, total_steps: int, ranks: Ranks = ALONE) -> None:
        """Take a policy whose parameters are in float32.

        Args:
            policy: Its parameters that require a gradient are trained, in place.
            recipe: The update rule, its rates and its schedule.
            total_steps: Length of the schedule.
            ranks: This rank's place; alone where it is left out.
        """
        self.ranks, self.rank, self.world_size = ranks, ranks.rank, ranks.world_size
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
        """Add up over ranks, clip, update, forget the gradient; its norm."""
        self.ranks.add_gradients(list(self.update.named.values()))
        return self.update.step(number)

    def all_gather(self, value: T) -> list[T]:
        """The value of every rank."""
        return self.ranks.all_gather(value)

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
            EngineError: ranks read different ones.
        """
        adopt_weights(self.policy, folder, self.ranks)

    def save(self, folder: Path) -> None:
        """Write the moments."""
        if self.rank == 0:
            self.update.save(folder)

    def load(self, folder: Path) -> None:
        """Take up the moments.

        Raises:
            ResumeError: they were written by another rule, or for other parameters.
            EngineError: ranks read different ones, or hold different weights.
        """
        self.update.load(folder)
        if self.world_size > 1:
            self.ranks.refuse_unequal(file_digest(folder / STATE_FILE), "moments")
            self.ranks.refuse_unequal(weights_digest(self.policy), "weights")
