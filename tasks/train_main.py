"""The child process of a stage: ``python -m tasks.train_main JOB.json``.

It reads its job, runs one function of rpt_core and leaves ``outcome.json`` behind, which its launcher
reads instead of an exit code. When its launcher is gone, so is it.

Only what takes its signals is imported before they are taken: a stop while the stage's libraries are
still being imported is a stop like any other. It is looked at before and after the slow imports.
"""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.runs.child import rank, reporting
from rpt_core.errors import Stopped

if TYPE_CHECKING:
    from infra.runs.attempt import Job
    from rpt_core.artifacts.manifest import Outcome


def named(path: str) -> Any:
    """The object that ``module:name`` names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def check_stop(stopping: Callable[[], bool]) -> None:
    """Raise Stopped if a stop was asked for before the stage's own code ran."""
    if stopping():
        raise Stopped("stopped before the first step; rerun to resume.")


def run(job: "Job", stopping: Callable[[], bool]) -> None:
    """Carry out the job; rank 0 leaves the stage's outcome and the attempts so far in its folder.

    Raises:
        Stopped: a stop was asked for before the stage's own code ran.
    """
    from infra.runs.attempt import RESULT_FILE
    from infra.runs.workers import workers
    from tasks.ranks import open_build

    build = open_build(job, rank(), stopping)
    recipe = named(job.recipe_class).model_validate(job.recipe)
    check_stop(stopping)
    function = named(job.function)
    check_stop(stopping)
    with joined(job), workers(job.placement, job.folder) as build.mapper:
        outcome: Outcome = function(recipe, build)
    if rank() > 0:
        return
    attempts = [*build.earlier, build.attempt("done")]
    result = {
        "outcome": outcome.model_dump(mode="json"),
        "attempts": [attempt.model_dump(mode="json") for attempt in attempts],
    }
    (job.folder / RESULT_FILE).write_text(json.dumps(result))


@contextmanager
def joined(job: "Job") -> Iterator[None]:
    """The process group of a stage in several processes, for as long as the stage runs.

    A rank that fails does not take its leave: it ends, and the others hear that it is gone.
    """
    if job.world_size == 1:
        yield
        return
    import torch

    from rpt_core.train.backends.ranks import end_ranks, init_ranks

    init_ranks(job.world_size, on_gpu=job.placement.gpus != 0 and torch.cuda.is_available())
    yield
    end_ranks()


def main() -> None:
    """Run the job named on the command line."""
    path = Path(sys.argv[1])
    with reporting(path.parent) as stopping:
        check_stop(stopping)
        from infra.runs.attempt import Job

        run(Job.model_validate_json(path.read_text()), stopping)


if __name__ == "__main__":
    main()
