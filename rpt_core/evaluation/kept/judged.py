"""What is kept of answers that a judge reads, where the world knows the truth: who was fooled, and when.

Legend of shapes: ``I`` questions, ``S`` answers to each, ``P`` parts of a training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpt_core.evaluation.kept.bits import bits, of_bits

ERRING = (0.05, 0.2)
"""Shares of wrong predictions that a judge which errs on purpose accepts, by their words alone."""
PARTS = 8
"""Equal parts of a training's steps, at most."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A published checkpoint at the same questions."""

    step: int
    tokens: int
    """Forwarded by the training up to it, drawn and updated on; a judge's are not among them."""
    right_IS: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Fooled:
    """Of the training's own judge, summed over the steps of each part of the training: shapes ``(P,)``."""

    answers: tuple[int, ...]
    """Drawn."""
    wrong: tuple[int, ...]
    """That it was asked about and that the text proves wrong."""
    accepted: tuple[int, ...]
    """Of these, accepted all the same: by weakness or on purpose."""
    on_purpose: tuple[int, ...]
    """Answers whose refusal it turned round because it errs on purpose."""

    def shares(self) -> list[float]:
        """Of all answers of a part, those that were wrong and paid.

        Example:
            >>> Fooled((100, 200), (40, 50), (5, 20), (4, 18)).shares()
            [0.05, 0.1]
        """
        return [one / num for one, num in zip(self.accepted, self.answers, strict=True)]


@dataclass(frozen=True, slots=True)
class JudgedAnswers:
    """Beside :class:`rpt_core.evaluation.kept.arm.Answers`, whose ``right_IS`` is the truth's here."""

    accepted_IS: NDArray[np.bool_]
    """By the evaluation's judge."""
    fooling_IS: Mapping[float, NDArray[np.bool_]] = field(default_factory=dict)
    """By share of :data:`ERRING`: wrong answers that were read and whose words a judge that errs so takes for
    right. Guards that stand before a judge are not asked."""
    checkpoints: tuple[Reached, ...] = ()
    """By step."""
    fooled: Fooled | None = None
    """None where no judge trained the arm."""


def written_judged(judged: JudgedAnswers) -> dict[str, Any]:
    """The key ``judged`` of a file of outcomes."""
    return {
        "accepted": bits(judged.accepted_IS),
        "fooling": {f"{share:g}": bits(found) for share, found in judged.fooling_IS.items()},
        "checkpoints": [
            {"step": one.step, "tokens": one.tokens, "right": bits(one.right_IS)}
            for one in judged.checkpoints
        ],
        "fooled": None if judged.fooled is None else asdict(judged.fooled),
    }


def read_judged(data: Mapping[str, Any], shape: tuple[int, int]) -> JudgedAnswers:
    """The same from a file.

    Args:
        data: The key's value.
        shape: ``(I, S)``.

    Raises:
        ValueError: its parts do not fit the shape.
        KeyError: one is missing.
    """

    def whole(text: str) -> NDArray[np.bool_]:
        found = of_bits(text, shape)
        if found is None:
            raise ValueError("bits of judged answers are missing")
        return found

    fooled = data["fooled"]
    return JudgedAnswers(
        accepted_IS=whole(data["accepted"]),
        fooling_IS={float(share): whole(text) for share, text in data["fooling"].items()},
        checkpoints=tuple(
            Reached(int(one["step"]), int(one["tokens"]), whole(one["right"])) for one in data["checkpoints"]
        ),
        fooled=None if fooled is None else Fooled(**{name: tuple(of) for name, of in fooled.items()}),
    )


def fooled_over(rows: Sequence[Mapping[str, float]]) -> Fooled | None:
    """The record of a training's judge, from its metrics; None where no verdict was held against the truth.

    Args:
        rows: Of the training's steps, in order.
    """
    steps = [row for row in rows if any(name.startswith("verdict/") for name in row)]
    if not any("audit/wrong" in row for row in steps):
        return None
    parts = np.array_split(np.arange(len(steps)), min(PARTS, len(steps)))

    def summed(*names: str) -> tuple[int, ...]:
        return tuple(int(sum(steps[i].get(name, 0.0) for i in part for name in names)) for part in parts)

    verdicts = sorted({name for row in steps for name in row if name.startswith("verdict/")})
    return Fooled(
        answers=summed(*verdicts),
        wrong=summed("audit/wrong"),
        accepted=summed("audit/false_accepts"),
        on_purpose=summed("judge/erred_on_purpose"),
    )
