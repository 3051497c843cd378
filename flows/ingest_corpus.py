"""Flow `ingest-corpus`."""

from prefect import flow

from flows.make import make
from flows.recipes import Overrides
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact

DEFAULTS = Overrides()
ANYWHERE = Placement()


@flow(name="ingest-corpus", persist_result=False)
def ingest_corpus(
    recipe: str = "tiny_rpt", overrides: Overrides = DEFAULTS, placement: Placement = ANYWHERE
) -> Artifact:
    """Read dumps, e-prints, problem sets and plain text into documents.

    Args:
        recipe: Name of a recipe; ``rpt ls --recipes`` lists them.
        overrides: Your own data, model, seed or single fields in place of the recipe's.
        placement: Where and how it runs; ``auto`` fits the machine.
    """
    return make(recipe, "ingest-corpus", overrides, placement)
