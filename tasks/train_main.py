"""The child process of a stage: ``python -m tasks.train_main JOB.json``.

It reads its job, runs one function of rpt_core and leaves ``outcome.json`` behind, which its launcher
reads instead of an exit code. When its launcher is gone, so is it.
"""

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.attempt import RESULT_FILE, Job, StoreBuild
from infra.child import reporting
from infra.store import Store
from infra.workers import workers
from rpt_core.artifacts.manifest import Outcome


def named(path: str) -> Any:
    """The object that ``module:name`` names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def run(job: Job, stopping: Callable[[], bool]) -> None:
    """Carry out the job; leave the stage's outcome and the attempts so far in its folder."""
    build = StoreBuild(job, Store(job.store, job.cache), stopping)
    recipe = named(job.recipe_class).model_validate(job.recipe)
    with workers(job.placement, job.folder) as build.mapper:
        outcome: Outcome = named(job.function)(recipe, build)
    attempts = [*build.earlier, build.attempt("done")]
    result = {
        "outcome": outcome.model_dump(mode="json"),
        "attempts": [attempt.model_dump(mode="json") for attempt in attempts],
    }
    (job.folder / RESULT_FILE).write_text(json.dumps(result))


def main() -> None:
    """Run the job named on the command line."""
    path = Path(sys.argv[1])
    with reporting(path.parent) as stopping:
        run(Job.model_validate_json(path.read_text()), stopping)


if __name__ == "__main__":
    main()
