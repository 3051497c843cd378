"""Flow `study`."""

from prefect import flow

from flows.make import fitted, make_recipe
from flows.recipes import Overrides, over_arms
from flows.recipes_rmt import ARMS
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact

DEFAULTS = Overrides()
ANYWHERE = Placement()
EVERY_ARM = tuple(ARMS)


@flow(name="study", persist_result=False)
def study(
    recipe: str = "tiny_rmt",
    seeds: tuple[int, ...] = (0, 1, 2),
    arms: tuple[str, ...] = EVERY_ARM,
    overrides: Overrides = DEFAULTS,
    placement: Placement = ANYWHERE,
) -> Artifact:
    """RMT against RPT from one start model at equal training tokens, and what is left of it part by part.

    Args:
        recipe: Name of an RMT recipe; ``rpt ls --recipes`` lists them.
        seeds: Data, models and training all follow the seed.
        arms: What is compared: the reference first, then the method, then the rest.
        overrides: Your own data, model or single fields in place of the recipe's.
        placement: Where and how it runs; ``auto`` fits the machine.
    """
    return make_recipe(fitted(over_arms(recipe, seeds, arms, overrides), placement), recipe, placement)
