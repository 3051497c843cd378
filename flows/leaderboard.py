"""Flow `leaderboard`."""

from prefect import flow

from flows.make import ANYWHERE, make_recipe
from flows.names import run_name
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact
from tasks.commands.leaderboard import NAME, leaderboard_recipe
from tasks.home import open_store


@flow(name="leaderboard", flow_run_name=run_name, persist_result=False)
def leaderboard(
    refs: tuple[str, ...] = (), title: str = "Leaderboard", placement: Placement | None = None
) -> Artifact:
    """All evaluated checkpoints side by side, with intervals, places and clean scores.

    Args:
        refs: Evaluations, models, reports or studies; empty for every evaluation of the store.
        title: Of the page.
        placement: Where and how it runs; None takes all of it from the machine.
    """
    return make_recipe(leaderboard_recipe(refs, open_store(), title), NAME, placement or ANYWHERE)
