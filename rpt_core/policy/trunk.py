"""Documents, cuts and answers as plain token ids: the types every engine and every update speak.

Many questions share one document. A *trunk* is an instruction followed by a document; a *cut* is a
place in the document where a question is asked, with a suffix of its own; answers hang below the
cut. It is a tree of two levels, and every path through it is one ordinary sequence:

    instruction + document[:position] + suffix + answer

Text becomes ids in :mod:`rpt_core.policy.codec` and nowhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from rpt_core.errors import RecipeError

Answers = Sequence[Sequence[Sequence[Sequence[int]]]]
"""Token ids of answers: by trunk, by cut, by answer."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A place in a document where something is asked."""

    position: int
    """Document tokens before the cut, 0 to the document's length."""
    suffix_ids: tuple[int, ...] = ()
    """Tokens between the cut and every answer to it; shared by its answers."""
    stop_ids: frozenset[int] | None = None
    """Tokens that end an answer to this cut; None for those of :class:`Sampling`."""


@dataclass(frozen=True, slots=True)
class Trunk:
    """One document, what stands before it, and the places where it is cut.

    Raises:
        RecipeError: a cut lies outside the document, or a path to an answer would have no token at
            all, so that nothing predicts the answer's first token.
    """

    key: str
    """Names the document in random streams: the same key, cut and seed draw the same answers."""
    instruction_ids: tuple[int, ...]
    document_ids: tuple[int, ...]
    cuts: tuple[Cut, ...] = ()

    def __post_init__(self) -> None:
        for cut in self.cuts:
            if not 0 <= cut.position <= len(self.document_ids):
                raise RecipeError(
                    f"document {self.key!r} is cut at token {cut.position} but has "
                    f"{len(self.document_ids)} tokens; a cut lies between 0 and the document's length."
                )
            if not (self.instruction_ids or cut.position or cut.suffix_ids):
                raise RecipeError(
                    f"document {self.key!r} is cut at token 0 with neither an instruction nor a suffix; "
                    "no token is left to predict the first answer token from. Give it one of the two."
                )

    @property
    def token_ids(self) -> tuple[int, ...]:
        """Instruction and document, in order."""
        return self.instruction_ids + self.document_ids

    @property
    def num_tokens(self) -> int:
        """Length of the trunk: instruction and document."""
        return len(self.instruction_ids) + len(self.document_ids)

    def depth(self, cut: Cut) -> int:
        """Trunk tokens before ``cut``, the instruction included."""
        return len(self.instruction_ids) + cut.position


def raw_trunk(trunk: Trunk, begin_ids: tuple[int, ...]) -> Trunk:
    """The document as plain text: only what begins every row (BOS, where the model has one) before it."""
    return replace(trunk, instruction_ids=begin_ids)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How answers are drawn."""

    temperature: float
    max_new_tokens: int
    stop_ids: frozenset[int]
    group_size: int
    seed: int
    top_p: float = 1.0
    top_k: int = 0
    """Keep this many likeliest tokens; 0 keeps all."""
    forced_ids: tuple[int, ...] = ()
    """First tokens of every answer, given rather than drawn; they count in ``max_new_tokens``."""

    def __post_init__(self) -> None:
        wrong = [
            clause
            for clause, holds in (
                (f"temperature {self.temperature} (> 0)", self.temperature > 0),
                (f"max_new_tokens {self.max_new_tokens} (>= 1)", self.max_new_tokens >= 1),
                (f"group_size {self.group_size} (>= 1)", self.group_size >= 1),
                (f"top_p {self.top_p} (0 < top_p <= 1)", 0 < self.top_p <= 1),
                (f"top_k {self.top_k} (>= 0)", self.top_k >= 0),
                (f"{len(self.forced_ids)} forced tokens (< max_new_tokens {self.max_new_tokens})",
                 len(self.forced_ids) < self.max_new_tokens),
            )
            if not holds
        ]  # fmt: skip
        if wrong:
            raise RecipeError(f"answers cannot be drawn with {', '.join(wrong)}; change the recipe.")

    def stops(self, cut: Cut) -> frozenset[int]:
        """Tokens that end an answer to ``cut``: its own, where it has any of its own."""
        return self.stop_ids if cut.stop_ids is None else cut.stop_ids


@dataclass(frozen=True, slots=True)
class Sample:
    """One drawn answer."""

    token_ids: tuple[int, ...]
    """Forced tokens and the stop token included."""
    logprobs: tuple[float, ...] = field(repr=False)
    """Natural log of the probability each token was drawn with, ``temperature`` and truncation applied;
    for a forced token, the probability it would have had, or NaN where the engine does not tell it."""
    finish: Literal["stop", "length"]
    version: int = 0
    """Of the weights it was drawn under: the number of the training step they were taken after."""
