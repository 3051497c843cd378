"""What an objective's reward may need beside the answers, supplied by the trainer (design 3.4)."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from rpt_core.objectives.objective import Asked, Verdict
from rpt_core.policy.trunk import Sample, Trunk


class Chances(Protocol):
    """What the policy says of plain text: the document alone, no instruction, no thought, temperature 1."""

    def __call__(
        self, trunks: Sequence[Trunk], tokens: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[list[float]]]:
        """Probabilities of given next tokens.

        Args:
            trunks: Documents with their cuts.
            tokens: By document and cut, the tokens asked about; a negative one has probability 0.

        Returns:
            In [0, 1], in the shape of ``tokens``.
        """


@runtime_checkable
class JudgesByChance(Protocol):
    """An objective whose rewards may lean on the policy's own plain prediction."""

    def judge_with(
        self, asked: Sequence[Asked], drawn: Sequence[Sequence[Sequence[Sample]]], chances: Chances
    ) -> list[list[list[Verdict]]]:
        """Verdicts by document, question and answer; ``chances`` is called only where a reward needs it."""
