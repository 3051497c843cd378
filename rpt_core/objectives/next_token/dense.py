"""Dense rewards: a wrong guess earns what the model itself would have given it (RPT, appendix A).

Right is decided by the prediction's first token. A wrong one earns ``P(y_0 | x_<t)``, the probability of
the token it begins with on the plain text, without instruction or thought: a small positive number, so
that groups without a right answer still differ. An answer that could not be read earns nothing.

The paper gives no numbers for any of its variants.
"""

from collections.abc import Sequence

from rpt_core.objectives.objective import Verdict


def dense_scores(verdicts: Sequence[Verdict], chances: Sequence[float]) -> list[float]:
    """Rewards of one group.

    Args:
        verdicts: By answer, right decided by the first token.
        chances: By answer, the plain probability of the token its prediction begins with; 0 where there is
            none.

    Example:
        >>> right, wrong = (Verdict(0.0, name, 3, 5) for name in ("correct", "wrong"))
        >>> dense_scores([right, wrong], [0.2, 0.1])
        [1.0, 0.1]
    """
    earned = {"correct": 1.0}
    return [
        earned.get(verdict.verdict, chance if verdict.verdict == "wrong" else 0.0)
        for verdict, chance in zip(verdicts, chances, strict=True)
    ]


def conditional_scores(
    verdicts: Sequence[Verdict], chances: Sequence[float], when_none_right: float
) -> list[float]:
    """Rewards of one group: dense where an answer is right, else ``when_none_right`` for all alike.

    So a group that knows nothing says nothing, instead of teaching the likeliest wrong token.

    Example:
        >>> wrong = Verdict(0.0, "wrong", 3, 5)
        >>> conditional_scores([wrong, wrong], [0.2, 0.1], 0.0)
        [0.0, 0.0]
    """
    if not any(verdict.verdict == "correct" for verdict in verdicts):
        return [when_none_right] * len(verdicts)
    return dense_scores(verdicts, chances)
