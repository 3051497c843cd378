"""Flow `fit-scaling`."""

from prefect import flow

from flows.make import make
from flows.recipes import Overrides
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact

DEFAULTS = Overrides()
ANYWHERE = Placement()


@flow(name="fit-scaling", persist_result=False)
def fit_scaling(
    recipe: str = "rpt_14b", overrides: Overrides = DEFAULTS, placement: Placement = ANYWHERE
) -> Artifact:
    """Fit accuracy over training compute, P(C) = A / C^alpha + P* (RPT, section 4.2).

    Args:
        recipe: Name of a recipe; ``rpt ls --recipes`` lists them.
        overrides: Your own data, model, seed or single fields in place of the recipe's.
        placement: Where and how it runs; ``auto`` fits the machine.
    """
    return make(recipe, "fit-scaling", overrides, placement)
