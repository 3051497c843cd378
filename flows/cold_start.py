"""Flow `cold-start`."""

from typing import Literal

from prefect import flow

from flows.make import make
from flows.recipes import Overrides
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact

DEFAULTS = Overrides()
ANYWHERE = Placement()


@flow(name="cold-start", persist_result=False)
def cold_start(
    recipe: str = "tiny_rpt",
    kind: Literal["base", "cold-start"] = "cold-start",
    overrides: Overrides = DEFAULTS,
    placement: Placement = ANYWHERE,
) -> Artifact:
    """A model to start from: the base (from scratch or given), or the base with supervised traces.

    Args:
        recipe: Name of a recipe; ``rpt ls --recipes`` lists them.
        kind: Which of the two.
        overrides: Your own data, model, seed or single fields in place of the recipe's.
        placement: Where and how it runs; ``auto`` fits the machine.
    """
    return make(recipe, "train-base" if kind == "base" else "cold-start", overrides, placement)
