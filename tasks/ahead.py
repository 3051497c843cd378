"""Load what a journey's later stages need while its first ones run.

torch and transformers take 5 to 7 CPU-seconds to import and MLflow 3; the first stages read text and leave a
core free. Nothing depends on it: a stage that comes too early waits for its libraries, as without it.
"""

import threading
from collections.abc import Sequence
from contextlib import suppress

from infra.metrics import tracking
from infra.runs.launch import prepare, rank_command
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Recipe
from rpt_core.errors import RptError
from rpt_core.recipes.stages import stage_of
from tasks.build import STAGE_MODULE, preloaded, settled, stage_env


def load_ahead(recipes: Sequence[Recipe], placement: Placement) -> list[threading.Thread]:
    """Begin to load, beside the caller.

    Args:
        recipes: What is to be made here, in the journey's order.
        placement: Where and how it runs.

    Returns:
        The threads that load; nobody needs to wait for them.
    """
    if not recipes:
        return []
    works = {"load-stages": lambda: load_stages(recipes, placement), "load-mlflow": tracking.prepare}
    threads = [threading.Thread(target=work, name=name, daemon=True) for name, work in works.items()]
    for thread in threads:
        thread.start()
    return threads


def load_stages(recipes: Sequence[Recipe], placement: Placement) -> int:
    """Import the modules of stages where they will be forked; returns of how many stages, each once."""
    done = set[tuple[str, ...]]()
    with suppress(RptError):  # the stage itself raises it, when its turn comes
        for recipe in recipes:
            explicit, numerics = settled(recipe, placement)
            modules = preloaded(stage_of(recipe), numerics, explicit)
            if not modules or modules in done:
                continue
            if not prepare(rank_command(STAGE_MODULE, []), stage_env(numerics), modules):
                break  # nothing can be forked here, or this process is ending
            done.add(modules)
    return len(done)
