"""Which reward of next-segment reasoning a recipe names: one row each."""

from collections.abc import Callable, Mapping
from pathlib import Path

from rpt_core.objectives.next_segment.gain import SegmentGain
from rpt_core.objectives.next_segment.objective import Rlpt, open_judge
from rpt_core.objectives.objective import Objective
from rpt_core.policy.codec import Codec
from rpt_core.recipes.reinforce import RlptRecipe


def open_judged(recipe: RlptRecipe, inputs: Mapping[str, Path], codec: Codec) -> Rlpt:
    """Predictions are compared by the judge the recipe names."""
    return Rlpt(recipe, inputs, codec, open_judge(recipe, inputs))


REWARDS: dict[str, Callable[[RlptRecipe, Mapping[str, Path], Codec], Objective]] = {
    "judged": open_judged,
    "gain": SegmentGain,
}
"""By the name a recipe gives."""


def open_objective(recipe: RlptRecipe, inputs: Mapping[str, Path], codec: Codec) -> Objective:
    """The objective of a training recipe, over the folders of its inputs.

    Raises:
        StarvedError: no segment of the training documents is a target.
    """
    return REWARDS[recipe.objective.reward](recipe, inputs, codec)
