"""What is asked of :mod:`rpt_core.train.rl.replay`."""

from pydantic import Field

from rpt_core.artifacts.recipe import Frozen
from rpt_core.recipes.reinforce import PolicyRecipe, RlptRecipe, RlvrRecipe


class Replay(Frozen):
    """One step of a finished training, to be built again."""

    training: PolicyRecipe | RlptRecipe | RlvrRecipe = Field(discriminator="stage")
    step: int = Field(ge=1)
