"""What a journey whose placement names a pool has run there: one stage, or a look at the machine."""

from typing import Any

from prefect import flow

from flows.make import ANYWHERE
from infra.machine import check_served
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact
from rpt_core.recipes.stages import STAGES
from tasks.build import build
from tasks.planning.capacity import ModelNeed, check_need
from tasks.shown.spoken import UNSPOKEN, Spoken
from tasks.train_main import named


@flow(name="build-stage", persist_result=False)
def build_stage(
    stage: str,
    recipe: dict[str, Any],
    placement: Placement | None = None,
    spoken: Spoken = UNSPOKEN,
    need: ModelNeed | None = None,
) -> Artifact:
    """One stage of a journey that runs elsewhere; journeys begin this themselves (``placement.pool``).

    Args:
        stage: Name of the stage.
        recipe: Its recipe, with finished artifacts as inputs.
        placement: Where and how it runs; None takes all of it from the machine.
        spoken: What the journey calls it.
        need: What its model asks of the machine.
    """
    where = placement or ANYWHERE
    check_served(where)
    if need:
        check_need(need, where)
    known = named(STAGES[stage].recipe_class).model_validate(recipe)
    return build.with_options(name=stage, task_run_name=str(spoken))(known, where, spoken)


@flow(name="check-pool", persist_result=False)
def check_pool(needs: tuple[ModelNeed, ...], placement: Placement | None = None) -> None:
    """Whether this pool's machine holds the models of a journey; asked before any input is touched.

    Args:
        needs: Models and what is done with them.
        placement: How the journey's stages will run; None takes all of it from the machine.
    """
    where = placement or ANYWHERE
    check_served(where)
    for need in sorted(needs, key=lambda need: need.num_parameters, reverse=True):
        check_need(need, where)
