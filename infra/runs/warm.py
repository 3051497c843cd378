"""Start a stage's process as a fork of one that has imported the large libraries already.

Importing torch and transformers takes 5 to 7 CPU-seconds, and a journey starts a dozen stages. A *server*
imports a stage's modules once, and forks for every stage after it; there is one for each environment that
matters to what is imported. It imports only what the package itself names, computes nothing, has one thread
and no CUDA context, so a fork of it is as good as an interpreter that has just been started: the same bytes
come out. The stage runs in the fork, under the environment it was asked to have.

A server lives as long as the process that started it: it ends when the other end of its socket is closed or,
while it imports and looks at nothing, with whatever owns that process. Its forks end with the launcher as
every owned process does (:mod:`infra.runs.lifeline`), and with their server.

Linux alone: elsewhere, on a GPU, and with ``RPT_WARM=0`` stages are started as programs of their own.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.runs import lifeline, stops

OFF = "RPT_WARM"
OURS = ("RPT_", "PREFECT_", "MLFLOW_", "PYTEST_", "AWS_")
"""Beginnings of variables that are read when something is done, never while libraries are imported."""
_ROOM = "RPT_WARM_ROOM"
_ROOM_BYTES = 16 * 1024
_MESSAGE_BYTES = 1 << 20
_ONE_THREAD = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""Arrow's allocator starts a thread when it is loaded, to give memory back a little sooner."""
_PRELOADED = ("rpt_core.", "infra.", "tasks.")
_READY, _THREADED = "ready", "threaded"
_ANSWER_SECONDS = 120.0
"""The first answer waits for imports, on a busy machine."""


class ColdError(Exception):
    """A server could not fork; the stage is to be started as a program of its own."""


@dataclass
class Forked:
    """A fork of a server, with what :class:`subprocess.Popen` offers of a process."""

    pid: int
    _status: int
    """Pipe on which the server tells how it ended."""
    returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, minus the signal that ended it, or None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: it has not ended by then.
        """
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            told = os.read(self._status, 32)
            os.close(self._status)
            # a server that is gone tells nothing, and its forks are killed with it
            self.returncode = int(told) if told else -signal.SIGKILL
        return self.returncode


@dataclass
class Server:
    """A server as its launcher sees it: it answers one question at a time."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    lock: threading.Lock = field(default_factory=threading.Lock)

    def preload(self, modules: Sequence[str]) -> None:
        """Have it import modules of the package, for every fork from now on.

        Raises:
            ColdError: it is gone, or cannot be forked any more.
        """
        own = [name for name in modules if name.startswith(_PRELOADED)]
        if self._ask({"preload": own}) != _READY:
            self.end()
            raise ColdError("an imported library has started a thread")

    def fork(self, module: str, arguments: Sequence[str], env: Mapping[str, str], log: int) -> Forked:
        """Run ``module``'s ``main`` as ``python -P -m module arguments`` would, without the imports.

        Signals are held back in it, as they were when the server began, until it takes them
        (:func:`infra.runs.stops.let_through`).

        Args:
            module: With a function ``main`` that reads ``sys.argv``.
            arguments: Its arguments.
            env: The whole environment of the process.
            log: File descriptor of its standard output and standard error.

        Raises:
            ColdError: it is gone.
        """
        status, theirs = os.pipe()
        request = {"module": module, "arguments": list(arguments), "env": dict(env), "cwd": os.getcwd()}
        try:
            return Forked(int(self._ask(request, log, theirs)), status)
        except (ColdError, ValueError) as error:
            os.close(status)
            raise ColdError(str(error)) from error
        finally:
            os.close(theirs)

    def _ask(self, request: Mapping[str, Any], *descriptors: int) -> str:
        try:
            with self.lock:
                socket.send_fds(self.control, [json.dumps(request).encode()], descriptors)
                return self.control.recv(_MESSAGE_BYTES).decode()
        except OSError as error:
            self.end()
            raise ColdError(str(error)) from error

    def end(self) -> None:
        """End it, and every fork of it that still runs."""
        self.control.close()
        self.process.kill()
        self.process.wait()


_servers: dict[tuple[tuple[str, str], ...], Server] = {}
_lock = threading.Lock()


def available(env: Mapping[str, str]) -> bool:
    """Whether stages can be forked here."""
    return sys.platform == "linux" and env.get(OFF, "1") != "0"


def server_for(env: Mapping[str, str]) -> Server:
    """The server whose forks may take this environment; it is started where there is none."""
    key = tuple(sorted((name, value) for name, value in env.items() if not name.startswith(OURS)))
    with _lock:
        server = _servers.get(key)
        if server is not None and server.process.poll() is not None:
            server.end()
            server = None
        if server is None:
            server = _servers[key] = _begin(_as_owned(env))
    return server


def _as_owned(env: Mapping[str, str]) -> dict[str, str]:
    """Owned as this process is, if it is: a server goes with it, and not with the stage that it began for."""
    ours = {name: os.environ[name] for name in lifeline.MARKS if name in os.environ}
    return {name: value for name, value in env.items() if name not in lifeline.MARKS} | ours


@atexit.register
def end_servers() -> None:
    """End all servers of this process."""
    while _servers:
        _servers.popitem()[1].end()


def _begin(env: Mapping[str, str]) -> Server:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(_ANSWER_SECONDS)
    with theirs, stops.held_back():
        process = subprocess.Popen(  # noqa: S603  (this very module)
            [sys.executable, "-P", "-m", __name__, str(theirs.fileno())],
            env={**env, **_ONE_THREAD, _ROOM: "-" * _ROOM_BYTES},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
    return Server(process, ours)


def main() -> None:
    """Serve the launcher at the other end of the socket named on the command line, until it is gone."""
    control = socket.socket(fileno=int(sys.argv[1]))
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(ended, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    running: dict[int, int] = {}
    while True:
        ready = select.select([control.fileno(), ended], [], [])[0]
        if ended in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(ended, 4096)
            _tell_ended(running)
        if control.fileno() in ready:
            message, descriptors, _, _ = socket.recv_fds(control, _MESSAGE_BYTES, 2)
            if not message:
                return
            request = json.loads(message)
            if "preload" in request:
                control.send(_preload(request["preload"]).encode())
                continue
            log, status = descriptors
            pid = os.fork()
            if pid == 0:
                for descriptor in (*running.values(), status, ended, wake):
                    os.close(descriptor)
                control.close()
                _become(request, log)
                importlib.import_module(request["module"]).main()
                return
            os.close(log)
            running[pid] = status
            control.send(str(pid).encode())


def _tell_ended(running: dict[int, int]) -> None:
    """Reap what has ended, and tell each launcher its code."""
    while running:
        pid, how = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        status = running.pop(pid)
        with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
            os.write(status, str(os.waitstatus_to_exitcode(how)).encode())
        os.close(status)


def _preload(modules: Sequence[str]) -> str:
    """Import; what cannot be imported is left to the fork, which says so where it is logged."""
    for module in modules:
        with contextlib.suppress(Exception):
            importlib.import_module(module)
    gc.collect()
    gc.freeze()  # a collection in a fork would copy every page of what it only reads
    return _READY if len(os.listdir("/proc/self/task")) == 1 else _THREADED


def _become(request: Mapping[str, Any], log: int) -> None:
    """Make a fork what a program of its own would be: session, streams, folder, words, environment."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.chdir(request["cwd"])
    sys.argv = [request["module"], *request["arguments"]]
    _take_environment(request["env"])


def _take_environment(env: Mapping[str, str]) -> None:
    """Have exactly ``env``, also for who looks from outside (``/proc/PID/environ``).

    By the marks there every process of a run is found and ended, and a fork would carry its server's. The
    block of memory that the system shows is written over; the C library's own pointers into it were dropped
    before, when every variable was removed.
    """
    os.environ.clear()
    fields = open("/proc/self/stat").read().rpartition(")")[2].split()  # noqa: SIM115  (closed when dropped)
    begin, end = int(fields[47]), int(fields[48])  # env_start and env_end, fields 50 and 51 of proc(5)
    block = b"".join(_entries(env, end - begin))
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(begin)
        memory.write(block.ljust(end - begin, b"\0"))
    os.environ.update(env)


def _entries(env: Mapping[str, str], room: int) -> Iterator[bytes]:
    """``NAME=value`` with a zero, ours first, as far as there is room."""
    for name in sorted(env, key=lambda name: not name.startswith(OURS)):
        entry = os.fsencode(f"{name}={env[name]}") + b"\0"
        room -= len(entry)
        if room < 0:
            return
        yield entry


if __name__ == "__main__":
    main()
