"""The process of a stage, started as a program of its own or forked, among what a test has started."""

from contextlib import suppress

import psutil

from infra.runs import lifeline


def is_stage(process: psutil.Process) -> bool:
    """Whether it is the first process of a run: it carries the run's mark, which its parent does not.

    The watcher beside it carries the mark, too, and runs another file.
    """
    with suppress(psutil.Error):
        mark = process.environ().get(lifeline.RUN_TOKEN)
        parent = process.parent()
        return (
            mark is not None
            and process.status() != psutil.STATUS_ZOMBIE
            and process.cmdline()[-1:] != [lifeline.__file__]
            and (parent is None or parent.environ().get(lifeline.RUN_TOKEN) != mark)
        )
    return False


def stages_of(pid: int) -> list[psutil.Process]:
    """Those a process has started."""
    return [process for process in psutil.Process(pid).children(recursive=True) if is_stage(process)]
