"""Flow `train-judge`."""

from prefect import flow

from flows.make import make
from flows.recipes import Overrides
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact

DEFAULTS = Overrides()
ANYWHERE = Placement()


@flow(name="train-judge", persist_result=False)
def train_judge(
    recipe: str = "tiny_rlpt", overrides: Overrides = DEFAULTS, placement: Placement = ANYWHERE
) -> Artifact:
    """The sample world's own judge, taught from pairs whose truth is known.

    Args:
        recipe: Name of a recipe; ``rpt ls --recipes`` lists them.
        overrides: Your own data, model, seed or single fields in place of the recipe's.
        placement: Where and how it runs; ``auto`` fits the machine.
    """
    return make(recipe, "train-judge", overrides, placement)
