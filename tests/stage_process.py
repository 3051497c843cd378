"""Processes of a command that a test looks for: stages, forked or started, and what they are forked from."""

from contextlib import suppress

import psutil

from infra.runs import lifeline, warm
from tasks.build import STAGE_MODULE


def is_stage(process: psutil.Process) -> bool:
    """Whether it is the first process of a stage: it carries the run's mark, which its parent does not."""
    with suppress(psutil.Error):
        parent = process.parent()
        mark = process.environ().get(lifeline.RUN_TOKEN)
        if mark is None or process.status() == psutil.STATUS_ZOMBIE or parent is None:
            return False
        if warm.__name__ in process.cmdline():
            forked = warm.__name__ in parent.cmdline()
        else:
            forked = STAGE_MODULE in process.cmdline()
        return forked and parent.environ().get(lifeline.RUN_TOKEN) != mark
    return False


def is_server(process: psutil.Process) -> bool:
    """Whether stages are forked from it (:mod:`infra.runs.warm`)."""
    with suppress(psutil.Error):
        parent = process.parent()
        return warm.__name__ in process.cmdline() and (
            parent is None or warm.__name__ not in parent.cmdline()
        )
    return False


def stages_of(pid: int) -> list[psutil.Process]:
    """Those a process has started."""
    return [process for process in psutil.Process(pid).children(recursive=True) if is_stage(process)]
