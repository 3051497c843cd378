"""Run one training stage as a child process that is owned: watched, stoppable, never left behind.

The launcher writes nothing into the attempt's folder but the log; the child's ranks write
``outcome.json`` (:mod:`infra.runs.child`), and that alone says how the stage ended. Whatever happens to the
launcher, the lifeline (:mod:`infra.runs.lifeline`) takes every process of the run with it.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from infra.runs import lifeline, stops, warm
from infra.runs.child import RANKS_FOLDER, Status, outcome_file
from infra.runs.nodes import nodes_of, torchrun
from rpt_core.errors import BY_NAME, EngineError, LostRankError, SourceError, Stopped, StoreError

LOG_FILE = "log.txt"
POLL_SECONDS = 0.25
EXIT_GRACE_SECONDS = 20.0
"""How long a process that has told its outcome may take to end before it is ended."""
LAST_LINES = 20
_STATUSES: tuple[Status, ...] = ("failed", "stopped", "done")
_LOST = LostRankError.__name__
_NOT_BEGUN = "stopped before this stage began; everything before it is kept, and a rerun resumes."


@dataclass(frozen=True, slots=True)
class ProcessOutcome:
    """How a child process ended: by its outcome file where it left one."""

    status: Status
    error: str = ""
    """Class name out of :data:`rpt_core.errors.BY_NAME`; empty when done."""
    message: str = ""
    retryable: bool = False
    seconds: float = 0.0

    def check(self) -> None:
        """Raise what the child raised.

        Raises:
            Stopped: the child stopped; rerun to resume from its last checkpoint.
            RptError: the class the child named, with its message.
        """
        if self.status == "done":
            return
        raised = BY_NAME.get(self.error, Stopped if self.status == "stopped" else EngineError)
        if issubclass(raised, SourceError | StoreError):
            raise raised(self.message, retryable=self.retryable)
        raise raised(self.message)


@dataclass
class _Child:
    """A started child and what is needed to watch, stop and end it."""

    process: subprocess.Popen[bytes] | warm.Forked
    token: str
    workdir: Path
    log_offset: int
    signalled: set[int] = field(default_factory=set)
    part: bytes = b""

    def new_lines(self) -> list[str]:
        """Whole lines the child has logged since the last call."""
        with (self.workdir / LOG_FILE).open("rb") as log:
            log.seek(self.log_offset)
            fresh = log.read()
        self.log_offset += len(fresh)
        *whole, self.part = (self.part + fresh).split(b"\n")
        return [line.decode(errors="replace") for line in whole]

    def told(self) -> bool:
        """Whether rank 0, or a rank that failed, has left its outcome."""
        return any(self.workdir.glob("outcome*.json"))

    def lost(self) -> int | None:
        """A rank that is gone without a word; the others hang or fail without it, and do not know why."""
        recorded = _recorded(self.workdir)
        for rank, pid in recorded.items() if len(recorded) > 1 else ():  # one alone is the process itself
            if not _runs(pid) and not outcome_file(self.workdir, rank).exists():
                return rank
        return None

    def ask_to_stop(self) -> None:
        """SIGTERM to each rank itself (torchrun would pass it on only to kill soon after)."""
        recorded = set(_recorded(self.workdir).values())
        ranks = {process.pid for process in lifeline.members(self.token)} & recorded
        for pid in (ranks or {self.process.pid}) - self.signalled:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            if ranks:  # before any is enlisted, it waits in the child, and would never reach torchrun's ranks
                self.signalled.add(pid)

    def stop(self, grace_seconds: float, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Ask every rank to stop, wait, and leave the rest to the sweep."""
        give_up = time.monotonic() + grace_seconds
        while self.process.poll() is None and time.monotonic() < give_up:
            self.ask_to_stop()  # again each time: a rank may enlist after the others
            time.sleep(POLL_SECONDS)
            meanwhile()


def _recorded(workdir: Path) -> dict[int, int]:
    """Process ids by rank, of those on this machine that have joined and have not finished."""
    found = {}
    for path in (workdir / RANKS_FOLDER).glob("[0-9]*"):
        with suppress(FileNotFoundError, ValueError):  # finished, or only now being written
            found[int(path.name)] = int(path.read_text())
    return found


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


DATA_ENV = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 20),
}
"""What a stage over tables needs beside: arrays of a megabyte and more go back to the system when they are
freed, so its memory is what it holds. With the allocators' own ways the peak varied by 30 MiB (measured), and
the speed was the same. Training keeps these: its large tensors come and go at every step."""


def training_env(*, threads: int = 1, gpus: int | None = None, offline: bool = False) -> dict[str, str]:
    """What a stage's process needs in its environment.

    ``PYTHONSAFEPATH``: neither it nor what it starts imports from the working folder, where data lie.

    Args:
        threads: CPU threads of its linear algebra.
        gpus: How many of the visible CUDA devices it may see; None leaves them as they are.
        offline: Never ask the Hugging Face hub for anything.
    """
    env = {
        "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads on a shared machine cost a factor of 100 (measured)
        "OMP_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
    }
    if offline:
        env["HF_HUB_OFFLINE"] = "1"
    if gpus is not None:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        names = visible.split(",") if visible is not None else [str(i) for i in range(gpus)]
        env["CUDA_VISIBLE_DEVICES"] = ",".join(names[:gpus])
    return env


def rank_command(module: str, arguments: Sequence[str], world_size: int = 1) -> list[str]:
    """The command of a stage: plain ``python -m`` for one process, torchrun above.

    Several machines take part where the environment names them (:mod:`infra.runs.nodes`).
    """
    if world_size == 1:
        return [sys.executable, "-P", "-m", module, *arguments]
    return torchrun(module, arguments, world_size, nodes_of())


def launch(
    command: Sequence[str],
    *,
    workdir: Path,
    env: Mapping[str, str] | None = None,
    stop_grace_seconds: float = 60.0,
    deadline_seconds: float | None = None,
    on_line: Callable[[str], None] | None = None,
    on_poll: Callable[[], None] | None = None,
    stop_requested: Callable[[], bool] = stops.asked,
    preload: Sequence[str] = (),
) -> ProcessOutcome:
    """Run ``command`` to its end and say how it ended; no process of it is alive afterwards.

    Args:
        command: A program whose ranks use :func:`infra.runs.child.reporting` on ``workdir``.
        workdir: The attempt's folder. ``log.txt`` grows there; earlier outcomes in it are removed.
        env: Added to this process's environment, see :func:`training_env`.
        stop_grace_seconds: How long a stopped child may take to write its last checkpoint.
        deadline_seconds: When reached, the child is stopped as if asked to.
        on_line: Called with every line the child logs.
        on_poll: Called about four times a second from the caller's own thread.
        stop_requested: Looked at as often; true stops the child. By default, whether a signal asked for it.
        preload: Modules to fork it with, where it can be forked (:mod:`infra.runs.warm`); none for a program
            of its own.

    Returns:
        ``done``, ``stopped`` or ``failed``; :meth:`ProcessOutcome.check` raises the latter two.

    Raises:
        BaseException: whatever interrupted the wait (Prefect's TerminationSignal, KeyboardInterrupt, an
            error of a callback), after the child was stopped the same way; how that went is its note.
    """
    started = time.monotonic()
    why_stopped, lost = "", None
    if stop_requested():
        return ProcessOutcome("stopped", "Stopped", _NOT_BEGUN)
    with stops.noted(stop_grace_seconds), _running(command, workdir, env or {}, preload) as child:
        try:
            while child.process.poll() is None and not child.told() and child.lost() is None:
                time.sleep(POLL_SECONDS)
                _tell(child, on_line, on_poll)
                if stop_requested():
                    why_stopped = "stopped"
                elif deadline_seconds is not None and time.monotonic() - started > deadline_seconds:
                    why_stopped = f"stopped at the deadline of {deadline_seconds:.0f} s"
                if why_stopped:
                    child.stop(stop_grace_seconds, lambda: _tell(child, on_line, on_poll))
                    break
            lost = child.lost()
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(EXIT_GRACE_SECONDS if child.told() and lost is None else 0)
        except BaseException as interruption:
            child.stop(stop_grace_seconds)
            seconds = time.monotonic() - started
            interruption.add_note(_read_outcome(workdir, child.process.poll(), "stopped", seconds).message)
            raise
        finally:
            _tell(child, on_line, None)
        code = child.process.poll()
    return _read_outcome(workdir, code, why_stopped, time.monotonic() - started, lost)


def _tell(child: _Child, on_line: Callable[[str], None] | None, on_poll: Callable[[], None] | None) -> None:
    for line in child.new_lines() if on_line else ():
        on_line(line)  # type: ignore[misc]
    if on_poll:
        on_poll()


@contextmanager
def _running(
    command: Sequence[str], workdir: Path, env: Mapping[str, str], preload: Sequence[str]
) -> Iterator[_Child]:
    """Start the child; on leaving, nothing of it is alive."""
    workdir.mkdir(parents=True, exist_ok=True)
    for old in workdir.glob("outcome*.json"):
        old.unlink()
    shutil.rmtree(workdir / RANKS_FOLDER, ignore_errors=True)
    with lifeline.owned() as marks, (workdir / LOG_FILE).open("ab") as log:
        log.write(f"$ {shlex.join(command)}\n".encode())
        log.flush()  # before the child writes there
        offset = log.tell()
        process = _started(command, {**os.environ, **env, **marks}, log, preload)
        try:
            yield _Child(process, marks[lifeline.RUN_TOKEN], workdir, offset)
        finally:
            lifeline.sweep(marks[lifeline.RUN_TOKEN])
            with suppress(subprocess.TimeoutExpired):  # stuck in the kernel: nothing more can be done here
                process.wait(10)


def prepare(command: Sequence[str], env: Mapping[str, str], preload: Sequence[str]) -> bool:
    """Import what a command will be forked with before it is launched; otherwise that is done when it is.

    Args:
        command: As :func:`launch` will be given it, and so are the others.
        env: Added to this process's environment.
        preload: Modules to fork it with.

    Returns:
        Whether it can be forked.
    """
    try:
        return _server(command, {**os.environ, **env}, preload) is not None
    except warm.ColdError:
        return False


def _server(command: Sequence[str], env: Mapping[str, str], preload: Sequence[str]) -> warm.Server | None:
    """What a command can be forked from, its modules imported; None for a program of its own."""
    if not (preload and warm.available(env)):
        return None
    server = warm.server_for(env)
    server.preload([*preload, _module(command)])
    return server


def _module(command: Sequence[str]) -> str:
    return command[command.index("-m") + 1]


def _started(
    command: Sequence[str], env: Mapping[str, str], log: IO[bytes], preload: Sequence[str]
) -> subprocess.Popen[bytes] | warm.Forked:
    """A fork of a server that has imported what it needs, or a program; its signals wait until it takes them.

    A starting interpreter would end in a traceback.
    """
    try:
        if (server := _server(command, env, preload)) is not None:
            module = _module(command)
            with stops.held_back():
                return server.fork(module, command[command.index(module) + 1 :], env, log.fileno())
    except warm.ColdError:  # it starts all the same, some seconds later
        pass
    with stops.held_back():
        return subprocess.Popen(  # noqa: S603  (the command is ours)
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C at the terminal reaches the launcher alone, which decides
        )


def _read_outcome(
    workdir: Path, code: int | None, why_stopped: str, seconds: float, lost: int | None = None
) -> ProcessOutcome:
    """Merge the ranks' outcome files; the first failure in time is the cause of the others.

    That a rank lost touch with another is never the cause: the other's own words are, or its silence.
    """
    told = [json.loads(path.read_text()) for path in workdir.glob("outcome*.json")]
    told.sort(key=lambda one: (one["error"] == _LOST, _STATUSES.index(one["status"]), one["time"]))
    if lost is not None and all(one["error"] == _LOST for one in told):
        message = _died(workdir / LOG_FILE, None, f"rank {lost} of the training")
        return ProcessOutcome("failed", "EngineError", message, seconds=seconds)
    if told:
        first = told[0]
        where = f" (rank {first['rank']})" if first["rank"] else ""
        message = first["message"].removesuffix(where) + where
        return ProcessOutcome(first["status"], first["error"], message, first["retryable"], seconds)
    if why_stopped:
        message = f"{why_stopped} before a new checkpoint; rerun to resume from the last one."
        return ProcessOutcome("stopped", "Stopped", message, seconds=seconds)
    if code is not None and -code in stops.SIGNALS:  # it came before the process could take it
        message = f"stopped by {signal.Signals(-code).name} before the first step; rerun to resume."
        return ProcessOutcome("stopped", "Stopped", message, seconds=seconds)
    return ProcessOutcome("failed", "EngineError", _died(workdir / LOG_FILE, code), seconds=seconds)


def _died(log: Path, code: int | None, who: str = "the training process") -> str:
    how = f"with exit code {code}" if code is not None else "(killed, or the system ran out of memory)"
    if code is not None and code < 0:
        how = f"by {signal.Signals(-code).name}"
        if -code == signal.SIGKILL:
            how += " (somebody's kill -9, or the system ran out of memory)"
    last = "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
    return (
        f"{who} ended {how} without saying how it went. Rerun to resume from its "
        f"last checkpoint. The end of its log {log}:\n{last}"
    )
