"""Which objective a training recipe names: one row each."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rpt_core.objectives.next_segment import objective as next_segment
from rpt_core.objectives.next_token import objective as next_token
from rpt_core.objectives.next_token.rlp import InformationGain
from rpt_core.objectives.next_token.verifree import VeriFree
from rpt_core.objectives.objective import Objective
from rpt_core.objectives.problems import objective as problems
from rpt_core.policy.codec import Codec

Opener = Callable[[Any, Mapping[str, Path], Codec], Objective]
"""From the stage's recipe, the folders of its inputs by name and the policy's codec."""

OBJECTIVES: dict[str, Opener] = {
    "rpt": next_token.open_objective,
    "rmt": next_token.open_objective,
    "ntp": next_token.open_control,
    "rlp": partial(next_token.open_objective, question=InformationGain),
    "verifree": partial(next_token.open_objective, question=VeriFree),
    "rlpt": next_segment.open_objective,
    "rlvr": problems.open_objective,
}
"""By the name of the recipe's objective."""


def open_objective(recipe: Any, inputs: Mapping[str, Path], codec: Codec) -> Objective:
    """The objective a recipe names, over the stage's inputs.

    Raises:
        StarvedError: no position, segment or problem is eligible.
    """
    return OBJECTIVES[recipe.objective.name](recipe, inputs, codec)
