"""Which groups of answers are worth an update (DAPO's dynamic sampling)."""

from collections.abc import Sequence

from rpt_core.recipes.reinforce import Selection
from rpt_core.train.rl.losses.advantages import is_equal


def kept_groups(scores: Sequence[Sequence[float]], selection: Selection, step: int) -> list[bool]:
    """Whether each group says anything: its rewards differ, or equal ones are not dropped yet.

    Args:
        scores: Rewards by group and answer.
        selection: The recipe's rules.
        step: 1-based step; from ``drop_equal_from_step`` on, equal groups are dropped.

    Example:
        >>> kept_groups([[1, 0], [0, 0], [1, 1]], Selection(), step=1)
        [True, False, False]
        >>> kept_groups([[0, 0]], Selection(drop_equal_from_step=500), step=499)
        [True]
    """
    dropping = step >= selection.drop_equal_from_step
    return [not (dropping and is_equal(group)) for group in scores]
