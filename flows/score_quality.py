"""Flow `score-quality`."""

from prefect import flow

from flows.make import make
from flows.recipes import Overrides
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact

DEFAULTS = Overrides()
ANYWHERE = Placement()


@flow(name="score-quality", persist_result=False)
def score_quality(
    recipe: str = "rlpt_4b", overrides: Overrides = DEFAULTS, placement: Placement = ANYWHERE
) -> Artifact:
    """Let a language model score every document, where the recipe of the corpus asks for it.

    Args:
        recipe: Name of a recipe; ``rpt ls --recipes`` lists them.
        overrides: Your own data, model, seed or single fields in place of the recipe's.
        placement: Where and how it runs; ``auto`` fits the machine.
    """
    return make(recipe, "score-quality", overrides, placement)
