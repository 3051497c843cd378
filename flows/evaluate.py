"""Flow `evaluate`."""

from prefect import flow

from flows.make import make
from flows.recipes import Overrides
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact

DEFAULTS = Overrides()
ANYWHERE = Placement()


@flow(name="evaluate", persist_result=False)
def evaluate(
    recipe: str = "rpt_14b", overrides: Overrides = DEFAULTS, placement: Placement = ANYWHERE
) -> Artifact:
    """Next-token accuracy by difficulty and exact answers on held-out problems, with intervals.

    Args:
        recipe: Name of a recipe; ``rpt ls --recipes`` lists them.
        overrides: Your own data, model, seed or single fields in place of the recipe's.
        placement: Where and how it runs; ``auto`` fits the machine.
    """
    return make(recipe, "evaluate", overrides, placement)
