"""How no process of a run outlives its launcher.

A launcher makes a *lifeline*: a named pipe whose only writer it is. Whoever reads end-of-file there
knows that the launcher is gone, however it died. Every process of the run inherits a *token* in its
environment, so all of them can be found again, in whatever session or process group they hide
(torchrun's ranks each have their own).

Two kinds of watcher look at the lifeline: a thread in each process that is owned (a training's own, or
the one :func:`guarded_module` puts into a server), and one process beside them that runs this file. The
second one exists because a thread cannot run while another holds the interpreter's lock in C code, nor
before its process has finished importing torch.

This file is run by its path, so it imports nothing of the project.
"""

import contextlib
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

RUN_TOKEN = "RPT_RUN_TOKEN"  # noqa: S105  (a name, not a secret)
LIFELINE = "RPT_LIFELINE"
RUN_HOST = "RPT_RUN_HOST"
"""The launcher's machine. Ranks on another one cannot see its pipe, and end with the process that started
them there, which torchrun and srun end with the launcher's."""
MARKS = (RUN_TOKEN, LIFELINE, RUN_HOST)
TICK_SECONDS = 0.5
SWEEP_ROUNDS = 20
_PREFIX = "rpt-line-"
_STALE_SECONDS = 60.0
"""A line younger than this may still be on its way to its writer."""
_owned: dict[str, str] = {}
"""Token -> path of the lifeline, of every run this process owns now."""


@contextlib.contextmanager
def owned() -> Iterator[dict[str, str]]:
    """Own every process that is started with the yielded variables in its environment, and all it starts.

    None of them is alive when the context ends, nor, within a second or two, when this process is killed.
    """
    _clear_stale()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    marks = {RUN_TOKEN: uuid.uuid4().hex, LIFELINE: str(folder / "line"), RUN_HOST: os.uname().nodename}
    writer, watcher = create(folder / "line"), None
    _owned[marks[RUN_TOKEN]] = marks[LIFELINE]
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
        _owned.pop(marks[RUN_TOKEN], None)


def owns() -> bool:
    """Whether this process owns a run now."""
    return bool(_owned)


def end_owned() -> None:
    """SIGKILL whatever this process owns, and remove the lines; the process itself goes on."""
    for token, path in list(_owned.items()):
        end(token, path)


def _clear_stale() -> None:
    """Remove lines whose launcher and watchers were all killed, so that nobody was left to do it."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # somebody else's, or gone by now
            if time.time() - folder.stat().st_mtime > _STALE_SECONDS and not _has_writer(folder / "line"):
                shutil.rmtree(folder)


def _has_writer(path: Path) -> bool:
    try:
        line = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    try:
        return _alive(line)
    finally:
        os.close(line)


def guarded_module(module: str, *arguments: str) -> list[str]:
    """The command ``python -m module arguments`` with a watcher of the lifeline in the process itself.

    Nothing is imported from the working folder (``-P``).
    """
    return [sys.executable, "-P", __file__, module, *arguments]


def create(path: Path) -> int:
    """Make the named pipe and return its write end, which the caller keeps open for its own life.

    The descriptor is not inheritable: a child that kept it open would keep the line alive.
    """
    os.mkfifo(path, 0o600)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(path, os.O_WRONLY)
    os.close(reader)
    return writer


def is_launchers_machine() -> bool:
    """Whether the launcher of this process's run, if there is one, is on the same machine."""
    return os.environ.get(RUN_HOST, os.uname().nodename) == os.uname().nodename


def watch(path: str, on_lost: Callable[[], None]) -> None:
    """Block until the launcher at the other end, or this process's own parent, is gone; then ``on_lost``.

    The parent is checked besides the pipe: a fork of the launcher may hold the write end open by
    accident, and a torchrun agent may die while the launcher lives.
    """
    parent = os.getppid()
    if not is_launchers_machine():
        while os.getppid() == parent:
            time.sleep(TICK_SECONDS)
        return on_lost()
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
    """End a run whose launcher is gone, and remove the line it left.

    The line goes first: several watchers end a run at once, and the sweep of each kills the others.
    """
    shutil.rmtree(Path(path).parent, ignore_errors=True)
    sweep(token)


def end_with_launcher(token: str, path: str) -> None:
    """Start a thread that ends the run, and this process with it, when the launcher is gone."""

    def ended() -> None:
        end(token, path)
        os.kill(os.getpid(), signal.SIGKILL)  # no clean-up of ours may hang on a launcher that is gone

    threading.Thread(target=watch, args=(path, ended), daemon=True).start()


def main() -> None:
    """Watch for one run, or be a module that is watched (:func:`guarded_module`).

    The token and the lifeline stand in the environment.
    """
    token, path = os.environ[RUN_TOKEN], os.environ[LIFELINE]
    if len(sys.argv) > 1:
        end_with_launcher(token, path)
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        return
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watch(path, lambda: end(token, path))


if __name__ == "__main__":
    main()
