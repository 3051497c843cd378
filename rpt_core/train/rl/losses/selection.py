"""Which groups of answers are worth an update, and which answers of a group.

Groups: those whose rewards differ (DAPO's dynamic sampling), or differ enough (RLPR, arXiv 2506.18254): where
rewards have no steps hardly any group is equal, so the floor is a share of the deviations seen so far.
Answers: the right ones that rejection sampling learns from.
"""

from collections.abc import Sequence

import numpy as np

from rpt_core.objectives.objective import Verdict
from rpt_core.recipes.reinforce import Selection
from rpt_core.train.rl.losses.advantages import is_equal

MEMORY = 0.99
"""Of the moving average of deviations."""
STEPS_BEFORE = 5
"""Steps that average takes in before it drops a group."""


def kept_groups(
    scores: Sequence[Sequence[float]], selection: Selection, step: int, deviation: float = 0.0
) -> list[bool]:
    """Whether each group says anything: its rewards differ (enough), or equal ones are not dropped yet.

    Args:
        scores: Rewards by group and answer.
        selection: The recipe's rules.
        step: 1-based step; from ``drop_equal_from_step`` on, equal groups are dropped.
        deviation: Moving average of groups' deviations (:func:`followed`).

    Example:
        >>> kept_groups([[1, 0], [0, 0], [1, 1]], Selection(), step=1)
        [True, False, False]
        >>> kept_groups([[0, 0]], Selection(drop_equal_from_step=500), step=499)
        [True]
    """
    dropping = step >= selection.drop_equal_from_step
    floor = selection.deviation_share * deviation if step >= selection.deviation_from_step else 0.0
    return [not (dropping and is_equal(group)) and deviation_of(group) >= floor for group in scores]


def deviation_of(group: Sequence[float]) -> float:
    """The standard deviation of a group's rewards (of a sample, as in the advantage)."""
    return float(np.std(np.asarray(group, np.float64), ddof=1)) if len(group) > 1 else 0.0


def followed(deviation: float, scores: Sequence[Sequence[float]], selection: Selection, step: int) -> float:
    """The moving average of the groups' mean deviation, after a step.

    Example:
        >>> always = Selection(deviation_share=0.5, deviation_from_step=1)
        >>> round(followed(0.24, [[0.0, 0.2828427]], always, step=1), 6)
        0.2396
    """
    if not selection.deviation_share or step < selection.deviation_from_step - STEPS_BEFORE or not scores:
        return deviation
    mean = float(np.mean([deviation_of(group) for group in scores]))
    return MEMORY * deviation + (1 - MEMORY) * mean if deviation else mean


def learnt_answers(verdicts: Sequence[Verdict], most: int) -> list[bool]:
    """Which answers rejection sampling learns from: right ones, each thought once, at most so many.

    Without the limit easy questions would rule, and without the other a thought would by being drawn often.
    A right answer that earned nothing (a thought that is not verified) is none of them.

    Example:
        >>> said = [("correct", "a"), ("wrong", "a"), ("correct", " a"), ("correct", "b"), ("correct", "c")]
        >>> learnt_answers([Verdict(1.0, name, 1, 2, thought) for name, thought in said], 2)
        [True, False, False, True, False]
    """
    seen: set[tuple[str, ...]] = set()
    found = []
    for verdict in verdicts:
        thought = tuple(verdict.thought.split())
        is_right = verdict.verdict == "correct" and verdict.score > 0
        is_new = is_right and thought not in seen and len(seen) < most
        if is_new:
            seen.add(thought)
        found.append(is_new)
    return found
