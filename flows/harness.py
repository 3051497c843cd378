"""Flow `evaluate-harness`."""

from prefect import flow

from flows.benchmarks import spoken
from flows.make import ANYWHERE, make_recipe
from flows.names import run_name
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact
from rpt_core.recipes.harness_evaluation import HarnessOptions
from tasks.commands.harness import harness_recipe
from tasks.home import open_store
from tasks.inputs.models import find_model

DEFAULTS = HarnessOptions()


@flow(name="evaluate-harness", flow_run_name=run_name, persist_result=False)
def evaluate_harness(
    model: str = "tiny_rpt-base",
    benchmarks: tuple[str, ...] = ("gsm8k",),
    data: str = "",
    options: HarnessOptions = DEFAULTS,
    placement: Placement | None = None,
) -> list[Artifact]:
    """Ask one model some tasks of lm-evaluation-harness; one artifact each.

    Args:
        model: A Hugging Face folder, an artifact, or a hub id.
        benchmarks: Tasks or groups, by the harness's names.
        data: Folder with one folder for each data set that they read.
        options: How they are asked, in place of each task's own.
        placement: Where and how it runs; None takes all of it from the machine.
    """
    made, placement = list[Artifact](), placement or ANYWHERE
    asked = find_model(model, open_store()).source
    for name in benchmarks:
        recipe = harness_recipe(asked, name, data, options, placement)
        made.append(make_recipe(recipe, f"{spoken(model)}-{spoken(name)}", placement))
    return made
