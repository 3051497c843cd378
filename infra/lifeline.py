"""How no process of a run outlives its launcher.

A launcher makes a *lifeline*: a named pipe whose only writer it is. Whoever reads end-of-file there
knows that the launcher is gone, however it died. Every process of the run inherits a *token* in its
environment, so all of them can be found again, in whatever session or process group they hide
(torchrun's ranks each have their own).

Two kinds of watcher look at the lifeline: a thread in each training process, and one process beside
them that runs this file. The second one exists because a thread cannot run while another holds the
interpreter's lock in C code, nor before its process has finished importing torch.

This file is run by its path in isolated mode, so it imports nothing of the project.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

RUN_TOKEN = "RPT_RUN_TOKEN"  # noqa: S105  (a name, not a secret)
LIFELINE = "RPT_LIFELINE"
TICK_SECONDS = 0.5
SWEEP_ROUNDS = 20


@contextlib.contextmanager
def owned() -> Iterator[dict[str, str]]:
    """Own every process that is started with the yielded variables in its environment, and all it starts.

    None of them is alive when the context ends, nor, within a second or two, when this process is killed.
    """
    folder = Path(tempfile.mkdtemp(prefix="rpt-line-"))
    marks = {RUN_TOKEN: uuid.uuid4().hex, LIFELINE: str(folder / "line")}
    writer, watcher = create(folder / "line"), None
    try:
        watcher = subprocess.Popen(  # noqa: S603  (this very file)
            [sys.executable, "-I", __file__],
            env={**os.environ, **marks},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        yield marks
    finally:
        sweep(marks[RUN_TOKEN])
        if watcher is not None:
            watcher.wait()
        os.close(writer)
        shutil.rmtree(folder, ignore_errors=True)


def create(path: Path) -> int:
    """Make the named pipe and return its write end, which the caller keeps open for its own life.

    The descriptor is not inheritable: a child that kept it open would keep the line alive.
    """
    os.mkfifo(path, 0o600)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(path, os.O_WRONLY)
    os.close(reader)
    return writer


def watch(path: str, on_lost: Callable[[], None]) -> None:
    """Block until the launcher at the other end, or this process's own parent, is gone; then ``on_lost``.

    The parent is checked besides the pipe: a fork of the launcher may hold the write end open by
    accident, and a torchrun agent may die while the launcher lives.
    """
    parent = os.getppid()
    try:
        line = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return on_lost()
    while _alive(line) and os.getppid() == parent:
        time.sleep(TICK_SECONDS)
    os.close(line)
    return on_lost()


def _alive(line: int) -> bool:
    """Whether the pipe has a writer: reading it blocks with one, and ends without."""
    try:
        return os.read(line, 1) != b""
    except BlockingIOError:
        return True


def members(token: str) -> Iterator[psutil.Process]:
    """Every live process, except the caller, whose environment carries ``token``."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):  # gone, another user's, or not ours to read
            if (
                process.pid != os.getpid()
                and process.environ().get(RUN_TOKEN) == token
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                yield process


def sweep(token: str) -> int:
    """SIGKILL every process of the run but the caller, until none is left. Returns how many were killed."""
    killed: set[int] = set()
    for _ in range(SWEEP_ROUNDS):  # a process may fork between being listed and being killed
        found = list(members(token))
        if not found:
            break
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
                killed.add(process.pid)
        psutil.wait_procs(found, timeout=0.5)
    return len(killed)


def end(token: str, path: str) -> None:
    """End a run whose launcher is gone, and remove the line it left."""
    sweep(token)
    shutil.rmtree(Path(path).parent, ignore_errors=True)


def main() -> None:
    """Watch for one run: ``python -I lifeline.py`` with the token and the lifeline in the environment."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    token, path = os.environ[RUN_TOKEN], os.environ[LIFELINE]
    watch(path, lambda: end(token, path))


if __name__ == "__main__":
    main()
