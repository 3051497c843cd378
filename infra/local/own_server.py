"""A Prefect server for one command: the one that runs already, or a private one that ends with it.

Prefect would start a temporary server itself, but in the terminal's own process group: a Ctrl-C would
end the server together with the flow, which then waits a minute for somebody to report its end to.
A private server that dies under its command is started again where it was, on the same database.

The command itself listens, and hands its socket on to the server: no other program can take the port while
the server starts, be taken for it, or come between two lives of it; who asks meanwhile waits.
"""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from infra.local.links import PREFECT, answers, checked_address, live_api_url
from infra.local.stack import HOST, NUM_PORTS, READY_SECONDS, no_port, server_settings
from infra.local.state import check_writable
from infra.runs.lifeline import guarded_module, owned
from rpt_core.errors import EngineError

_END_SECONDS = 5.0
_DRAIN_SECONDS = 3.0
_LIVES = 4
"""Times a private server is started for one command; a fourth death has a cause of its own."""
_TICK_SECONDS = 0.2
_FIRST_PORT = 4300


@contextmanager
def prefect_at_hand(home: Path) -> Iterator[Callable[[], None]]:
    """Own whatever is started inside, and have a Prefect server to report to.

    Enter it before Prefect is imported: its address travels by the environment. The server starts
    meanwhile (about ten seconds); call what is yielded before the first flow.

    Args:
        home: State folder, for the server's database and log.

    Raises:
        RecipeError: the state folder cannot be written, or ``PREFECT_API_URL`` is no address.
        ServiceError: the server that ``PREFECT_API_URL`` names does not answer.
    """
    checked_address(PREFECT)
    with owned() as marks, _in_environment(marks):
        if live_api_url():
            try:
                yield lambda: None
            finally:
                _send_what_waits()
            return
        check_writable(home)
        with (
            listener(_FIRST_PORT) as line,
            _OwnServer(home, line) as server,
            _in_environment({PREFECT: server.url}),
        ):
            yield server.wait


@contextmanager
def _in_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Variables that whatever is started inside inherits; afterwards they are what they were."""
    before = {name: os.environ.pop(name, None) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def listener(preferred: int) -> socket.socket:
    """A socket that listens at ``preferred``, or at the next port on 127.0.0.1 that nobody listens at.

    Raises:
        EngineError: there is none.
    """
    for port in range(preferred, preferred + NUM_PORTS):
        line = socket.socket()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # every connection of it inherits this
        try:
            line.bind((HOST, port))
            line.listen()
        except OSError:
            line.close()
            continue
        return line
    raise no_port(preferred)


class _OwnServer:
    """A private server, started again when it dies, until the context ends."""

    def __init__(self, home: Path, line: socket.socket) -> None:
        self.home, self.line = home, line
        self.url = f"http://{HOST}:{line.getsockname()[1]}/api"
        self.log = home / "logs" / "prefect-own.log"
        self._ending = threading.Event()
        self._lives = 1

    def __enter__(self) -> "_OwnServer":
        self._begin()
        return self

    def _begin(self) -> None:
        self._process = _started_alone(self.home, self.line, self.log, f"{self.url}/health")

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        if self._process.poll() is None:
            _send_what_waits()
        self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)

    def wait(self) -> None:
        """Until it answers; from then on it is kept alive. One that is killed meanwhile is started again.

        Raises:
            EngineError: it ended, or took too long.
        """
        give_up = time.monotonic() + READY_SECONDS
        while not answers(f"{self.url}/health"):
            if (self._process.poll() or 0) < 0 and self._lives < _LIVES:
                self._lives += 1
                self._begin()
            elif self._process.poll() is not None or time.monotonic() > give_up:
                last = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
                raise EngineError(
                    f"Prefect did not start for this command; `rpt doctor` looks for causes.\n{last}"
                )
            time.sleep(0.1)
        threading.Thread(target=self._keep, daemon=True).start()

    def _keep(self) -> None:
        """Start it again when it dies: what clients of Prefect ask meanwhile waits at the socket."""
        while not self._ending.wait(_TICK_SECONDS) and self._lives < _LIVES:
            if self._process.poll() is not None:
                self._lives += 1
                self._process = _start(self.home, self.line, self.log)
        self.line.close()  # the server has its own; after its last death nobody shall wait for another


def _send_what_waits() -> None:
    """Let Prefect send its last events while its server is there; it would report the loss on a page."""
    if "prefect.events.worker" in sys.modules:
        from prefect.events.worker import EventsWorker

        with suppress(Exception):  # a view only: whatever goes wrong here must not hide how the run ended
            EventsWorker.drain_all(timeout=_DRAIN_SECONDS)


def _started_alone(home: Path, line: socket.socket, log: Path, health: str) -> subprocess.Popen[bytes]:
    """Start the server, one at a time in a home: two that set up the same new database fail both."""
    lock = (home / "prefect.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    process = _start(home, line, log)

    def until_up() -> None:
        with lock:
            give_up = time.monotonic() + READY_SECONDS
            while process.poll() is None and time.monotonic() < give_up and not answers(health):
                time.sleep(0.1)

    threading.Thread(target=until_up, daemon=True).start()
    return process


def _start(home: Path, line: socket.socket, log: Path) -> subprocess.Popen[bytes]:
    """The API alone, without pages; in its own session, so that a Ctrl-C is ours to pass on.

    It runs in a folder of ours: uvicorn and Prefect read modules, settings and ``.env`` of the one they
    are started in.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    folder = home / "prefect"
    folder.mkdir(exist_ok=True)
    env = {
        **os.environ,
        **server_settings(home),
        PREFECT: "",
        "PYTHONSAFEPATH": "1",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT__SERVER_EPHEMERAL": "1",
        "PREFECT__SERVER_FINAL": "1",
    }
    command = guarded_module(
        "uvicorn", "--factory", "prefect.server.api.server:create_app", "--app-dir", str(folder),
        "--fd", str(line.fileno()), "--log-level", "error", "--lifespan", "on",
    )  # fmt: skip
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603  (our own command)
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(line.fileno(),),
        )
