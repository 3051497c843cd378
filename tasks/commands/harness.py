"""From what a person asks of a model and some tasks of lm-evaluation-harness to recipes."""

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from infra.machine import numerics_of
from rpt_core.artifacts.interpreters import harness_python
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact
from rpt_core.errors import RecipeError
from rpt_core.evaluation.harness.jobs import run_job
from rpt_core.evaluation.harness.local import data_folder, local_splits
from rpt_core.evaluation.harness.worker import Describe
from rpt_core.recipes.corpus import InputFile
from rpt_core.recipes.given import GivenModel
from rpt_core.recipes.harness_evaluation import HarnessOptions, HarnessRecipe, HarnessTask
from tasks.inputs.resolve import input_files, resolve_sources
from tasks.planning import capacity


def harness_recipe(
    model: GivenModel | Artifact, name: str, data: str, options: HarnessOptions, placement: Placement
) -> HarnessRecipe:
    """The resolved recipe of one task, or group of tasks.

    Raises:
        CapacityError: the harness's environment is not here.
        RecipeError: it has no such task, or the folder holds no data for it.
        SourceError: the model is not there, or the data lack a split.
    """
    described = _described(name, harness_python())
    tasks = tuple(HarnessTask.model_validate(one) for one in described["tasks"][name])
    recipe = HarnessRecipe.parse({
        "model": model,
        "benchmark": name,
        "tasks": tasks,
        "harness": described["version"],
        "options": options,
        "data": str(Path(data).absolute()),
        "files": data_files(tasks, Path(data)),
    })  # fmt: skip
    numerics = numerics_of(placement, capacity.num_parameters(recipe) or None, many_ranks=False)
    recipe = recipe.model_copy(update={"engine": numerics.engine, "dtype": numerics.dtype})
    resolved = resolve_sources(recipe)
    assert isinstance(resolved, HarnessRecipe)
    return resolved


def data_files(tasks: tuple[HarnessTask, ...], data: Path) -> tuple[InputFile, ...]:
    """The files of all data sets that some tasks read, once it is known that they hold what is asked.

    Raises:
        RecipeError: there is no folder for one.
        SourceError: a split is missing.
    """
    files = list[InputFile]()
    folders = {task.dataset: data_folder(data, task.dataset) for task in tasks}
    for dataset, folder in folders.items():
        if folder is None:
            raise RecipeError(
                f"--data {data} holds no folder for the data set {dataset}, so there is nothing to ask. Put "
                f"its files into {data / dataset.rpartition('/')[2]}."
            )
        named = input_files(folder)
        files += [one.model_copy(update={"name": f"{folder.name}/{one.name}"}) for one in named]
    for task in tasks:
        folder = folders[task.dataset]
        assert folder is not None
        local_splits(folder, task)
    return tuple(files)


@lru_cache
def _described(name: str, _python: Path) -> dict[str, Any]:
    """What the harness says of a task; asked once a process, for its index takes seconds."""
    with tempfile.TemporaryDirectory(prefix="rpt-harness-") as folder:
        return run_job(Describe(names=(name,), out=Path(folder) / "out"), Path(folder))
