"""Flow `prepare-corpus`."""

from prefect import flow

from flows.make import make
from flows.recipes import Overrides
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact

DEFAULTS = Overrides()
ANYWHERE = Placement()


@flow(name="prepare-corpus", persist_result=False)
def prepare_corpus(
    recipe: str = "tiny_rpt", overrides: Overrides = DEFAULTS, placement: Placement = ANYWHERE
) -> Artifact:
    """Clean, filter, de-duplicate, decontaminate, mask, split and segment what was read.

    Args:
        recipe: Name of a recipe; ``rpt ls --recipes`` lists them.
        overrides: Your own data, model, seed or single fields in place of the recipe's.
        placement: Where and how it runs; ``auto`` fits the machine.
    """
    return make(recipe, "prepare-corpus", overrides, placement)
