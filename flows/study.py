"""Flow `study`."""

from prefect import flow

from flows.make import ANYWHERE, make_recipe
from flows.names import run_name
from flows.recipes import Overrides, over_arms
from flows.recipes.choices import AnyRecipe
from flows.recipes.named import MID_TRAINING
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact

DEFAULTS = Overrides()


@flow(name="study", flow_run_name=run_name, persist_result=False)
def study(
    recipe: AnyRecipe = "tiny_rmt",
    seeds: tuple[int, ...] = (0, 1, 2),
    arms: tuple[str, ...] = (),
    about: str = MID_TRAINING,
    overrides: Overrides = DEFAULTS,
    placement: Placement | None = None,
) -> Artifact:
    """Several trainings from one start model at equal training tokens, in one report.

    About ``mid-training``: RMT against RPT, and what is left of it part by part. About ``table-1``: RPT,
    plain and reasoning, beside continual next-token training. About ``rewards`` or ``positions``: RPT's
    variants. About ``rlvr``: verifiable rewards from RPT, from the start model and from continual next-token
    training, at equal operations. About ``next-segment``: RLPT beside its start, its controls and its
    ablations.

    Args:
        recipe: Name of an RMT recipe; of an RLPT recipe for ``next-segment``, of an RPT recipe for the
            other studies.
        seeds: Data, models and training all follow the seed.
        arms: What is compared: the reference first, then the method, then the rest; empty for all.
        about: Which study.
        overrides: Your own data, model or single fields in place of the recipe's.
        placement: Where and how it runs; None takes all of it from the machine.
    """
    return make_recipe(over_arms(recipe, seeds, arms, overrides, about), recipe, placement or ANYWHERE)
