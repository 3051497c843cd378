"""Flow `study-rlpt`."""

from prefect import flow

from flows.make import fitted, make_recipe
from flows.recipes import Overrides, any_journey
from flows.recipes_rlpt import ARMS, with_arms
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact
from rpt_core.errors import RecipeError
from rpt_core.report.rlpt_recipe import RlptReportRecipe

DEFAULTS = Overrides()
ANYWHERE = Placement()
USUAL_ARMS = ("RLPT", "strict rule", "ASR alone", "MSR alone")


@flow(name="study-rlpt", persist_result=False)
def study_rlpt(
    recipe: str = "tiny_rlpt",
    seeds: tuple[int, ...] = (0, 1, 2),
    arms: tuple[str, ...] = USUAL_ARMS,
    overrides: Overrides = DEFAULTS,
    placement: Placement = ANYWHERE,
) -> Artifact:
    """RLPT beside its start, its controls and its ablations, all from one cold start a seed.

    Args:
        recipe: Name of an RLPT recipe; ``rpt ls --recipes`` lists them.
        seeds: Data, models, judges and training all follow the seed.
        arms: What is compared, RLPT first.
        overrides: Your own data, model or single fields in place of the recipe's.
        placement: Where and how it runs; ``auto`` fits the machine.
    """
    found = [any_journey(recipe, overrides.model_copy(update={"seed": seed})) for seed in seeds]
    journeys = [journey for journey in found if isinstance(journey, RlptReportRecipe)]
    if len(journeys) < len(seeds) or not set(arms) <= set(ARMS) or arms[:1] != ("RLPT",):
        raise RecipeError(
            f"{recipe!r} with arms {list(arms)} is no study of RLPT: take a recipe such as tiny_rlpt, and "
            f"arms out of {list(ARMS)}, RLPT first."
        )
    title = f"{journeys[0].title}: arms under seeds {', '.join(map(str, seeds))}"
    return make_recipe(fitted(with_arms(journeys, arms, title), placement), recipe, placement)
