"""Flow `pipeline`: a whole journey. ``flows/recipes/named.py: tiny_rpt`` writes one out, stage by stage."""

import sys

from prefect import flow

from flows.make import ANYWHERE, make
from flows.names import run_name
from flows.recipes import Overrides
from flows.recipes.choices import AnyRecipe
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact

DEFAULTS = Overrides()


@flow(name="pipeline", flow_run_name=run_name, persist_result=False)
def pipeline(
    recipe: AnyRecipe = "tiny_rpt", overrides: Overrides = DEFAULTS, placement: Placement | None = None
) -> Artifact:
    """The whole journey: text, base, difficulty, cold start, RPT, RLVR, benchmarks, scaling law, report.

    Args:
        recipe: Name of a recipe; ``rpt ls --recipes`` lists them.
        overrides: Your own data, model, seed or single fields in place of the recipe's.
        placement: Where and how it runs; None takes all of it from the machine.
    """
    return make(recipe, "report", overrides, placement or ANYWHERE)


if __name__ == "__main__":
    from flows.cli.__main__ import as_run

    as_run("report", "tiny_rpt", sys.argv[1:])
