"""``rpt up``: Prefect, MLflow and one worker per pool on this machine, under one supervisor.

Everything listens on 127.0.0.1 only, keeps its state in the state folder and is ended by the
supervisor: runs are cancelled first (a worker that is stopped under a run leaves it for ever
"running"), then the workers, then the servers. Should the supervisor itself be killed, the lifeline
takes all of it (:mod:`infra.runs.lifeline`).
"""

import fcntl
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TextIO

from rich.console import Console

from infra.local.automations import HEARTBEAT_SECONDS, ensure_automations
from infra.local.deploying import is_deployed, note_deployed, one_authority
from infra.local.links import MLFLOW, PREFECT, TRAINING_PAGES, add_lines, answers, remove_lines
from infra.local.prefect_api import PrefectApi
from infra.local.state import prefect_settings, sqlite_uri
from infra.machine import this_machine
from infra.runs import lifeline
from rpt_core.errors import EngineError, RecipeError, RptError

HOST = "127.0.0.1"
POOLS = ("cpu-pool", "gpu-pool")
NUM_PORTS = 200
"""Looked at, from the preferred one on."""
REPOSITORY = Path(__file__).resolve().parents[2]
READY_SECONDS = 400.0
"""12 s are enough when idle; `prefect deploy --all` was seen to take over 180 at load 18 on 2 cores."""
CANCEL_SECONDS, WORKER_SECONDS, SERVER_SECONDS = 75.0, 20.0, 15.0
_LAST_LINES = 15


@dataclass
class ServerProcess:
    """A process of the stack and where it logs."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def log_tail(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:])


@dataclass
class Stack:
    """The running parts, in the order they were started."""

    home: Path
    env: dict[str, str]
    console: Console
    services: list[ServerProcess] = field(default_factory=list)
    hurry: bool = False
    """Set by a second Ctrl-C: waits are cut short."""

    def start(
        self, name: str, command: Sequence[str], settings: Mapping[str, str] | None = None
    ) -> ServerProcess:
        """Start a part in its own session, with settings of its own, logging into the state folder."""
        log = self.home / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603  (our own commands)
                command,
                cwd=REPOSITORY,
                env={**self.env, **(settings or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        service = ServerProcess(name, process, log)
        self.services.append(service)
        return service

    def dead(self) -> ServerProcess | None:
        """A part that ended although nobody asked it to."""
        return next((service for service in self.services if service.process.poll() is not None), None)

    def wait(self, ready: Callable[[], bool], what: str) -> None:
        """Until ``ready``, or until a part dies.

        Raises:
            EngineError: a part died, or it took too long.
        """
        give_up = time.monotonic() + READY_SECONDS
        while not ready():
            if (service := self.dead()) is not None:
                raise EngineError(
                    f"{service.name} ended while starting:\n{service.log_tail()}\n({service.log})"
                )
            if time.monotonic() > give_up:
                raise EngineError(
                    f"{what} did not come up within {READY_SECONDS:.0f} s; see {self.home / 'logs'}."
                )
            time.sleep(0.25)

    def end(self, names: Sequence[str], seconds: float) -> None:
        """SIGTERM to the groups of these parts, and wait; what stays is left to the sweep."""
        chosen = [service for service in self.services if service.name in names]
        for service in chosen:
            with suppress(ProcessLookupError):
                os.killpg(service.process.pid, signal.SIGTERM)
        give_up = time.monotonic() + seconds
        while any(service.process.poll() is None for service in chosen):
            if self.hurry or time.monotonic() > give_up:
                return
            time.sleep(0.1)


def service_env(home: Path, links: Mapping[str, str]) -> dict[str, str]:
    """Environment of everything in the stack, and of whoever wants to talk to it."""
    quieted = {"PREFECT_LOGGING_LEVEL"}  # our own commands silence Prefect; a server's runs have their logs
    return {
        **{name: value for name, value in os.environ.items() if name not in quieted},
        "RPT_HOME": str(home),
        "RPT_WORKDIR": str(REPOSITORY),
        **links,
        **server_settings(home),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # it leaves orphans behind (measured)
        "PREFECT_WORKER_QUERY_SECONDS": "2",  # a person waits for the run just asked for
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",  # workers, their engines and stages import nothing from a working folder
    }


def server_settings(home: Path) -> dict[str, str]:
    """Settings of a Prefect server of ours, and of what runs under it."""
    return {
        **prefect_settings(home),
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
    }


def free_port(preferred: int) -> int:
    """``preferred``, or the next port on 127.0.0.1 that nobody listens on."""
    return next(_free_ports(preferred))


def _free_ports(preferred: int) -> Iterator[int]:
    for port in range(preferred, preferred + NUM_PORTS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        yield port
    raise no_port(preferred)


def no_port(preferred: int) -> EngineError:
    """What to raise where every port from ``preferred`` on is taken."""
    last = preferred + NUM_PORTS - 1
    return EngineError(f"ports {preferred} to {last} are all taken on {HOST}; free one of them.")


@contextmanager
def reserved_port(preferred: int) -> Iterator[int]:
    """A free port that no other stack of this user takes while its server is still starting."""
    folder = Path(tempfile.gettempdir()) / f"rpt-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for port in _free_ports(preferred):
        with (folder / str(port)).open("w") as note:
            try:
                fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            yield port
            return


def run_stack(home: Path, *, console: Console | None = None, env_file: Path = Path(".env")) -> int:
    """Bring the stack up, say where it is, keep it until Ctrl-C or SIGTERM, and take it down.

    Args:
        home: State folder.
        console: Where to talk to the user.
        env_file: Where Prefect will look for the address; lines of others in it stay.

    Returns:
        1 when a part died.

    Raises:
        KeyboardInterrupt: a stop was asked for, and all of it is down.
        RecipeError: a stack already runs on this state folder, or a pool has another type.
        EngineError: a part did not come up.
    """
    console = console or Console(stderr=True, highlight=False, soft_wrap=True)
    if not (REPOSITORY / "prefect.yaml").is_file():
        raise RecipeError(
            f"{REPOSITORY} holds no prefect.yaml: `rpt up` runs from a clone of the repository."
        )
    home = home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    with (
        _only_one(home) as note,
        _signals() as heard,
        reserved_port(4200) as prefect_port,
        reserved_port(5000) as mlflow_port,
    ):
        links = {PREFECT: f"http://{HOST}:{prefect_port}/api", MLFLOW: f"http://{HOST}:{mlflow_port}"}
        with _running(home, service_env(home, links), console, heard) as stack:
            api = PrefectApi(links[PREFECT])
            try:
                _start(stack, api, links[MLFLOW])
                add_lines(links, env_file)
                _announce(note, console, links)
                return _keep(stack)
            finally:
                heard.stopping = True
                remove_lines(links, env_file)
                _take_down(stack, api)


@contextmanager
def _only_one(home: Path) -> Iterator[TextIO]:
    """Hold the state folder's lock; it is let go by the system however this process ends."""
    with (home / "stack.lock").open("a+") as note:
        try:
            fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            note.seek(0)
            where = note.read().strip() or "it is just starting"
            raise RecipeError(
                f"a stack already runs on {home}: {where}. Use it, end it with Ctrl-C where it runs, or name "
                "another state folder with RPT_HOME."
            ) from None
        note.truncate(0)
        note.write(f"process {os.getpid()}")
        note.flush()
        yield note
        note.truncate(0)


@dataclass
class _Heard:
    """What the signal handlers know."""

    stopping: bool = False
    stack: Stack | None = None


@contextmanager
def _signals() -> Iterator[_Heard]:
    """SIGINT, SIGTERM and SIGHUP begin the tear-down; once it runs, a further one hurries it.

    Handlers are set even where a shell started us with SIGINT ignored, and so children get the default.
    """
    heard = _Heard()

    def handle(number: int, frame: FrameType | None) -> None:
        if not heard.stopping:
            heard.stopping = True
            raise KeyboardInterrupt
        if heard.stack is not None:
            heard.stack.hurry = True

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _running(home: Path, env: Mapping[str, str], console: Console, heard: _Heard) -> Iterator[Stack]:
    """A stack whose every process is gone when the context ends, however it ends."""
    with lifeline.owned() as marks:
        stack = heard.stack = Stack(home, {**env, **marks}, console)
        try:
            yield stack
        finally:
            heard.stopping = True
            lifeline.sweep(marks[lifeline.RUN_TOKEN])
            for service in stack.services:
                with suppress(subprocess.TimeoutExpired):
                    service.process.wait(10)


def _start(stack: Stack, api: PrefectApi, mlflow_url: str) -> None:
    """Servers side by side, then pools, then workers beside the deploying."""
    begin = time.monotonic()
    stack.console.print("starting Prefect and MLflow ...")
    _start_servers(stack, api.url, mlflow_url)
    stack.wait(lambda: answers(f"{api.url}/health"), "Prefect")
    limits = {"cpu-pool": this_machine().cores, "gpu-pool": 1}
    for pool in POOLS:
        api.ensure_process_pool(pool, limits[pool])
    ensure_automations(api)
    deployed = is_deployed(stack.home, REPOSITORY, api)
    what = "starting workers" if deployed else "starting workers and deploying prefect.yaml"
    stack.console.print(f"{what} ... ({time.monotonic() - begin:.0f} s)")
    for pool in POOLS:
        name = ("--pool", pool, "--type", "process", "--name", f"{pool}-{os.getpid()}")
        stack.start(f"worker-{pool}", [*_prefect("worker", "start"), *name])
    if not deployed:
        _deploy(stack)
        note_deployed(stack.home, REPOSITORY, api)
    stack.wait(lambda: answers(f"{mlflow_url}/health"), "MLflow")
    stack.wait(lambda: all(api.online_workers(pool) for pool in POOLS), "the workers")
    stack.console.print(f"up after {time.monotonic() - begin:.0f} s")


def _prefect(*arguments: str) -> list[str]:
    return lifeline.guarded_module("prefect", "--no-prompt", *arguments)


def _start_servers(stack: Stack, prefect_url: str, mlflow_url: str) -> None:
    ports = [url.removesuffix("/api").rpartition(":")[2] for url in (prefect_url, mlflow_url)]
    stack.start("prefect", [*_prefect("server", "start"), "--host", HOST, "--port", ports[0]])
    files = stack.home / "mlflow-files"
    files.mkdir(exist_ok=True)
    stack.start(
        "mlflow",
        lifeline.guarded_module(
            *("infra.metrics.serve", "--host", HOST, "--port", ports[1], "--workers", "1"),
            *("--backend-store-uri", sqlite_uri(stack.home), "--artifacts-destination", files.as_uri()),
        ),
    )


def _deploy(stack: Stack) -> None:
    """Deploy everything in prefect.yaml; a pull step's folder is taken from RPT_WORKDIR now, not later.

    Raises:
        EngineError: Prefect refused; its words are in the message.
    """
    service = stack.start("deploy", _prefect("deploy", "--all"), one_authority(stack.home))
    stack.services.remove(service)  # it ends by itself
    stack.wait(lambda: service.process.poll() is not None, "`prefect deploy --all`")
    if service.process.returncode:
        raise EngineError(f"`prefect deploy --all` failed:\n{service.log_tail()}\n({service.log})")


def _announce(note: TextIO, console: Console, links: Mapping[str, str]) -> None:
    page = links[PREFECT].removesuffix("/api")
    note.write(f", Prefect {page}, MLflow {links[MLFLOW]}")
    note.flush()
    console.print(
        f"\n  Prefect  {page}\n  MLflow   {links[MLFLOW]}/#/experiments?{TRAINING_PAGES}\n"
        f"  Workers  {', '.join(POOLS)}\n\n"
        "In another shell in this folder:\n"
        "  .venv/bin/prefect deployment run train-rpt/prod -p recipe=tiny_rpt --watch\n"
        "Anywhere else, first:\n"
        f"  export {PREFECT}={links[PREFECT]}\n  export {MLFLOW}={links[MLFLOW]}\n\n"
        "Ctrl-C stops all of it."
    )


def _keep(stack: Stack) -> int:
    """Wait for the end; 1 when a part dies first."""
    while (service := stack.dead()) is None:
        time.sleep(1.0)
    stack.console.print(
        f"{service.name} died (exit code {service.process.returncode}):\n{service.log_tail()}"
    )
    return 1


def _take_down(stack: Stack, api: PrefectApi) -> None:
    """Runs, workers, servers: in this order, so that nothing is left saying "running"."""
    started = {service.name for service in stack.services}
    workers = [f"worker-{pool}" for pool in POOLS]
    if started & set(workers):
        stack.console.print("stopping: runs, workers, servers ...")
        try:
            left = api.cancel_all(CANCEL_SECONDS, lambda: stack.hurry)
            if left:
                stack.console.print(f"did not end in time and is killed: {', '.join(left)}")
        except RptError as error:
            stack.console.print(f"runs could not be cancelled: {error}")
        stack.end(workers, WORKER_SECONDS)
    stack.end(["prefect", "mlflow"], SERVER_SECONDS)
