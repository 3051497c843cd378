"""Which objective a training recipe names: one row each."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rpt_core.objectives.next_segment import rewards as segments
from rpt_core.objectives.next_token import objective as next_token
from rpt_core.objectives.next_token.expected_prefix import ExpectedPrefix
from rpt_core.objectives.next_token.jepo import Jepo
from rpt_core.objectives.next_token.masker import open_masker
from rpt_core.objectives.next_token.nover import Nover
from rpt_core.objectives.next_token.nrt import Nrt
from rpt_core.objectives.next_token.oracle import open_oracle
from rpt_core.objectives.next_token.rlp import InformationGain
from rpt_core.objectives.next_token.rlpr import MeanProbability
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
    "expected-prefix": partial(next_token.open_objective, question=ExpectedPrefix),
    "jepo": partial(next_token.open_objective, question=Jepo),
    "rlpr": partial(next_token.open_objective, question=MeanProbability),
    "nover": partial(next_token.open_objective, question=Nover),
    "nrt": partial(next_token.open_objective, question=Nrt),
    "oracle": open_oracle,
    "pretrainzero": open_masker,
    "rlpt": segments.open_objective,
    "rlvr": problems.open_objective,
}
"""By the name of the recipe's objective."""


def open_objective(recipe: Any, inputs: Mapping[str, Path], codec: Codec) -> Objective:
    """The objective a recipe names, over the stage's inputs.

    Raises:
        StarvedError: no position, segment or problem is eligible.
    """
    return OBJECTIVES[recipe.objective.name](recipe, inputs, codec)
