"""Flow `evaluate-benchmark`."""

import re
from pathlib import Path

from prefect import flow

from flows.make import ANYWHERE, make_recipe
from flows.names import run_name
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact
from rpt_core.recipes.benchmark_evaluation import BenchmarkOptions
from tasks.commands.benchmarks import benchmark_recipe, benchmarks_at_hand, form_of
from tasks.home import open_store
from tasks.inputs.models import find_model

DEFAULTS = BenchmarkOptions()


@flow(name="evaluate-benchmark", flow_run_name=run_name, persist_result=False)
def evaluate_benchmark(
    model: str = "tiny_rpt-base",
    benchmarks: tuple[str, ...] = ("gsm8k",),
    data: str = "",
    options: BenchmarkOptions = DEFAULTS,
    placement: Placement | None = None,
) -> list[Artifact]:
    """Ask one model some published benchmarks; one artifact each.

    Args:
        model: A Hugging Face folder, an artifact, or a hub id.
        benchmarks: Their names; ``all`` for those that the folder has.
        data: Folder with one folder for each benchmark; empty to fetch them from the hub.
        options: How they are asked, in place of each benchmark's own.
        placement: Where and how it runs; None takes all of it from the machine.
    """
    store, made = open_store(), list[Artifact]()
    placement = placement or ANYWHERE
    held = benchmarks_at_hand(benchmarks, data)
    asked = find_model(model, store).source
    options = options.model_copy(update={"prompt": form_of(asked, options, store)})
    for one in held:
        recipe = benchmark_recipe(asked, one, options, placement, store)
        made.append(make_recipe(recipe, f"{spoken(model)}-{one.pack.name}", placement))
    return made


def spoken(model: str) -> str:
    """A model's name as part of a ref's.

    Example:
        >>> spoken("./models/SmolLM2-135M"), spoken("tiny_rpt-base@2")
        ('SmolLM2-135M', 'tiny_rpt-base-2')
    """
    name = Path(model).name if "/" in model or "\\" in model else model
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.")[:80] or "model"
