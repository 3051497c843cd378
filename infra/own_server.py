"""A Prefect server for one command: the one that runs already, or a private one that ends with it.

Prefect would start a temporary server itself, but in the terminal's own process group: a Ctrl-C would
end the server together with the flow, which then waits a minute for somebody to report its end to.
"""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from infra.lifeline import owned
from infra.links import PREFECT, answers, live_api_url
from infra.stack import HOST, READY_SECONDS, prefect_settings, reserved_port
from rpt_core.errors import EngineError

_END_SECONDS = 5.0


@contextmanager
def prefect_at_hand(home: Path) -> Iterator[Callable[[], None]]:
    """Own whatever is started inside, and have a Prefect server to report to.

    Enter it before Prefect is imported: its address travels by the environment. The server starts
    meanwhile (about ten seconds); call what is yielded before the first flow.

    Args:
        home: State folder, for the server's database and log.
    """
    with owned() as marks:
        os.environ.update(marks)
        if live_api_url():
            yield lambda: None
            return
        with reserved_port(4300) as port:
            url = f"http://{HOST}:{port}/api"
            log = home / "logs" / "prefect-own.log"
            process = _started_alone(home, port, log, f"{url}/health")
            os.environ[PREFECT] = url
            try:
                yield lambda: _wait(process, url, log)
            finally:
                process.send_signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_END_SECONDS)


def _started_alone(home: Path, port: int, log: Path, health: str) -> subprocess.Popen[bytes]:
    """Start the server, one at a time in a home: two that set up the same new database fail both."""
    lock = (home / "prefect.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    process = _start(home, port, log)

    def until_up() -> None:
        with lock:
            give_up = time.monotonic() + READY_SECONDS
            while process.poll() is None and time.monotonic() < give_up and not answers(health):
                time.sleep(0.1)

    threading.Thread(target=until_up, daemon=True).start()
    return process


def _start(home: Path, port: int, log: Path) -> subprocess.Popen[bytes]:
    """The API alone, without pages; in its own session, so that a Ctrl-C is ours to pass on."""
    log.parent.mkdir(parents=True, exist_ok=True)
    env = {
        **os.environ,
        **prefect_settings(home),
        PREFECT: "",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT__SERVER_EPHEMERAL": "1",
        "PREFECT__SERVER_FINAL": "1",
    }
    command = [
        *(sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"),
        *("--host", HOST, "--port", str(port), "--log-level", "error", "--lifespan", "on"),
    ]
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603  (our own command)
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up = time.monotonic() + READY_SECONDS
    while not answers(f"{url}/health"):
        if process.poll() is not None or time.monotonic() > give_up:
            last = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise EngineError(
                f"Prefect did not start for this command; `rpt doctor` looks for causes.\n{last}"
            )
        time.sleep(0.1)
