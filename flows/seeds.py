"""Flow `seeds`."""

from prefect import flow

from flows.make import ANYWHERE, make_recipe
from flows.names import run_name
from flows.recipes import Overrides, over_seeds
from flows.recipes.choices import AnyRecipe
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact

DEFAULTS = Overrides()


@flow(name="seeds", flow_run_name=run_name, persist_result=False)
def seeds(
    recipe: AnyRecipe = "tiny_rpt",
    seeds: tuple[int, ...] = (0, 1, 2),
    overrides: Overrides = DEFAULTS,
    placement: Placement | None = None,
) -> Artifact:
    """One journey under several seeds, up to the evaluation of the policy: is the gain there every time?

    Args:
        recipe: Name of a recipe; ``rpt ls --recipes`` lists them.
        seeds: Data, model and training all follow the seed.
        overrides: Your own data, model or single fields in place of the recipe's.
        placement: Where and how it runs; None takes all of it from the machine.
    """
    return make_recipe(over_seeds(recipe, seeds, overrides), recipe, placement or ANYWHERE)
