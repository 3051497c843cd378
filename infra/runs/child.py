"""The protocol of a rank with its launcher: lifeline, stop signal, outcome file.

    with child.reporting(attempt_folder) as stopping:    # first, before any slow import
        ...train, looking at stopping() at every step border...

The exit code is not the message (torchrun turns 75 into 1): each rank leaves ``outcome.json`` in the
attempt's folder, and the launcher reads that.
"""

import json
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from infra.runs import lifeline, stops
from rpt_core.errors import RptError, Stopped

Status = Literal["done", "stopped", "failed"]
RANKS_FOLDER = "ranks"


def rank() -> int:
    """This process's rank, as torchrun numbers them; 0 without torchrun."""
    return int(os.environ.get("RANK", "0"))


def outcome_file(folder: Path, of_rank: int) -> Path:
    """``outcome.json`` for rank 0, ``outcome.3.json`` for rank 3."""
    return folder / ("outcome.json" if of_rank == 0 else f"outcome.{of_rank}.json")


def write_outcome(
    folder: Path, status: Status, error: str = "", message: str = "", *, retryable: bool = False
) -> None:
    """Say once how this rank ended; the file appears whole or not at all."""
    target = outcome_file(folder, rank())
    part = target.with_suffix(f".{os.getpid()}.part")
    part.write_text(
        json.dumps(
            {
                "status": status,
                "error": error,
                "message": message,
                "retryable": retryable,
                "rank": rank(),
                "time": time.time(),
            }
        )
    )
    part.replace(target)


def join_run(folder: Path) -> Callable[[], bool]:
    """Enlist this process with its launcher; return what tells whether a stop was asked for.

    Records its pid for a launcher on the same machine, takes SIGTERM, SIGINT and SIGHUP as "stop at the next
    step border", and starts a thread that ends the whole run when the launcher is gone. Without a launcher
    (a notebook, a debugger) only the signals are handled.
    """
    stop = threading.Event()
    for number in stops.SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    stops.let_through()
    token, line = os.environ.get(lifeline.RUN_TOKEN), os.environ.get(lifeline.LIFELINE)
    if token and line:
        lifeline.end_with_launcher(token, line)
    if lifeline.is_launchers_machine():
        (folder / RANKS_FOLDER).mkdir(parents=True, exist_ok=True)
        (folder / RANKS_FOLDER / str(rank())).write_text(str(os.getpid()))
    return stop.is_set


@contextmanager
def reporting(folder: Path) -> Iterator[Callable[[], bool]]:
    """Join the run, yield ``stopping``, and leave the outcome. Nothing is raised: the file is the answer.

    The process then ends by itself with code 0 (done), 75 (stopped) or 1, for whoever runs it by hand.
    """
    stopping = join_run(folder)
    try:
        yield stopping
    except Stopped as stopped:
        write_outcome(folder, "stopped", "Stopped", str(stopped))
        raise SystemExit(stopped.exit_code) from None
    except RptError as error:
        traceback.print_exc()
        retryable = bool(getattr(error, "retryable", False))
        write_outcome(folder, "failed", type(error).__name__, str(error), retryable=retryable)
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        traceback.print_exc()
        write_outcome(folder, "failed", "EngineError", f"{type(error).__name__}: {error}")
        raise SystemExit(1) from error
    if rank() == 0:
        write_outcome(folder, "done")
    else:  # finished, and not lost
        (folder / RANKS_FOLDER / str(rank())).unlink(missing_ok=True)
