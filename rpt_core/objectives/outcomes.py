"""What becomes of answers, by name. Unread is not wrong: each is counted apart."""

from collections.abc import Sequence
from typing import Literal, get_args

Outcome = Literal["correct", "wrong", "unparsed", "truncated", "timed out"]
VERDICTS: tuple[Outcome, ...] = get_args(Outcome)
"""What becomes of an answer that is compared with a truth."""
VerdictName = Outcome | Literal["scored"]
"""``scored``: neither right nor wrong; a reward that compares no answer (a gain of likelihood)."""
LONG_PREDICTION = 4
"""Predictions of this many tokens and more are counted together."""


def length_shares(tokens: Sequence[int]) -> dict[str, float]:
    """Shares of predictions by length in tokens: whether they shrink to stubs; empty without any.

    Example:
        >>> length_shares([1, 1, 2, 9])
        {'1': 0.5, '2': 0.25, '3': 0.0, '4+': 0.25}
    """
    if not tokens:
        return {}
    shares = {str(n): sum(t == n for t in tokens) / len(tokens) for n in range(1, LONG_PREDICTION)}
    return shares | {f"{LONG_PREDICTION}+": sum(t >= LONG_PREDICTION for t in tokens) / len(tokens)}
