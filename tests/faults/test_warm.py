"""Forks of a server: as good as a program of their own, each by itself, and gone with what started them."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from infra.runs import stops, warm
from infra.runs.launch import launch, rank_command, training_env
from rpt_core.errors import EngineError
from tests.faults.random_kills import Journey
from tests.faults.test_launch import FORKED, left, run, steps
from tests.stage_process import is_server

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform != "linux", reason="stages are forked on Linux alone"),
]
SHOWS = """
import json, os, signal, sys, threading
from pathlib import Path
import psutil

def main():
    masked = sorted(int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    here = {
        "argv": sys.argv[1:], "env": dict(os.environ), "seen": psutil.Process().environ(), "cwd": os.getcwd(),
        "path": sys.path, "flags": [sys.flags.safe_path, sys.flags.ignore_environment], "masked": masked,
        "child handler": str(signal.getsignal(signal.SIGCHLD)), "threads": threading.active_count(),
        "session": os.getsid(0) == os.getpid(), "input": sys.stdin.read(),
        "files": sorted(os.readlink(f"/proc/self/fd/{n}").split(":")[0] for n in os.listdir("/proc/self/fd")
                        if os.path.exists(f"/proc/self/fd/{n}")),
    }
    Path(sys.argv[1]).write_text(json.dumps(here))

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module that stages may be; its folder is among the places of modules."""

    def write(text: str, name: str = "shown") -> str:
        (tmp_path / "modules").mkdir(exist_ok=True)
        (tmp_path / "modules" / f"{name}.py").write_text(text)
        return name

    places = [str(tmp_path / "modules"), os.environ["PYTHONPATH"]]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(places))
    yield write
    warm.end_servers()


def test_a_fork_is_what_a_program_would_be(tmp_path, module, monkeypatch):
    monkeypatch.setenv("RPT_LONG", "x" * 5000)
    shown = {}
    for name, preload in (("program", ()), ("fork", FORKED), ("again", FORKED)):
        command = rank_command(module(SHOWS), [str(tmp_path / name), "two words"])
        launch(
            command, workdir=tmp_path / "run", env={**training_env(), "RPT_WHICH": "same"}, preload=preload
        )
        shown[name] = json.loads((tmp_path / name).read_text())
        for volatile in ("RPT_RUN_TOKEN", "RPT_LIFELINE"):
            assert shown[name]["seen"].pop(volatile) == shown[name]["env"].pop(volatile)
        shown[name]["argv"].pop(0)
    assert shown["fork"] == shown["again"] == shown["program"]
    assert shown["fork"]["env"] == shown["fork"]["seen"]
    assert shown["fork"]["env"]["RPT_LONG"] == "x" * 5000
    assert set(shown["fork"]["masked"]) == {int(number) for number in stops.SIGNALS}


def test_a_server_forks_again_without_importing_again(tmp_path):
    run(tmp_path, "done", preload=FORKED).check()
    (server,) = {id(one): one for one in warm._servers.values() if one.process.poll() is None}.values()
    run(tmp_path, "done", preload=FORKED).check()
    assert server.process.poll() is None
    assert psutil.Process(server.process.pid).num_threads() == 1
    assert not psutil.Process(server.process.pid).children()


def test_two_run_side_by_side_and_each_is_told_its_own_end(tmp_path):
    ended = {}

    def go(mode: str) -> None:
        (tmp_path / mode).mkdir()
        ended[mode] = run(tmp_path / mode, mode, preload=FORKED)

    both = [threading.Thread(target=go, args=(mode,)) for mode in ("done", "oom")]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert ended["done"].status == "done"
    assert "SIGKILL" in ended["oom"].message


def test_a_server_that_is_killed_takes_its_fork_along_and_another_follows(tmp_path):
    def kill() -> None:
        if steps(tmp_path) >= 1:
            parent = psutil.Process(int((tmp_path / "ranks" / "0").read_text())).parent()
            if parent.pid != os.getpid():
                parent.kill()

    with pytest.raises(EngineError, match="SIGKILL"):
        run(tmp_path, "long", preload=FORKED, on_poll=kill).check()
    assert not left(tmp_path)
    run(tmp_path, "done", preload=FORKED).check()


def test_servers_end_with_the_process_that_started_them(tmp_path):
    program = (
        "import os, sys; from infra.runs import warm; server = warm.server_for(dict(os.environ));"
        "server.preload([]); print(server.process.pid, flush=True);"
        "sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], text=True, **pipes) as started:
        server = psutil.Process(int(started.stdout.readline()))
        started.kill()
    server.wait(10)


@pytest.mark.parametrize("why", ["threaded", "switched off", "no server"])
def test_what_cannot_be_forked_is_started_as_a_program(tmp_path, module, monkeypatch, why):
    if why == "threaded":
        name = module(
            "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
        )
        monkeypatch.setattr(warm, "_PRELOADED", ("infra.", name))
    elif why == "switched off":
        name = "infra.runs.attempt"
        monkeypatch.setenv(warm.OFF, "0")
    else:
        name, begin = "infra.runs.attempt", warm._begin
        monkeypatch.setattr(warm, "_begin", lambda env: gone_server(begin))
    parents = set()

    def look() -> None:
        if steps(tmp_path) >= 0:
            parents.add(psutil.Process(int((tmp_path / "ranks" / "0").read_text())).ppid())

    run(tmp_path, "done", preload=(name,), on_poll=look).check()
    assert parents <= {os.getpid()}
    assert steps(tmp_path) == 3


def gone_server(begin) -> warm.Server:
    server = begin(dict(os.environ))
    server.process.kill()
    server.process.wait()
    return server


def test_a_module_that_cannot_be_imported_says_so_in_the_fork(tmp_path, module, monkeypatch):
    broken = module("raise RuntimeError('no such luck')", "broken")
    monkeypatch.setattr(warm, "_PRELOADED", ("infra.", broken))
    with pytest.raises(EngineError, match="no such luck"):
        launch(rank_command(broken, []), workdir=tmp_path, env=training_env(), preload=FORKED).check()


def test_what_libraries_read_when_they_are_imported_has_a_server_of_its_own(monkeypatch):
    env = {**os.environ, **training_env()}
    one = warm.server_for(env)
    assert warm.server_for({**env, "RPT_HOME": "/elsewhere", "PREFECT_API_URL": "x"}) is one
    assert warm.server_for({**env, "OMP_NUM_THREADS": "2"}) is not one
    one.end()
    assert warm.server_for(env) is not one


def test_a_fork_tells_how_a_signal_ended_it(tmp_path, module):
    name = module("import time\ndef main():\n    time.sleep(60)\n", "sleeps")
    env = {**os.environ, **training_env()}
    with (tmp_path / "log").open("wb") as log:
        server = warm.server_for(env)
        forked = server.fork(name, [], env, log.fileno())
        assert forked.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            forked.wait(0.05)
        os.kill(forked.pid, signal.SIGKILL)
        begun = time.monotonic()
        assert forked.wait(10) == forked.poll() == -signal.SIGKILL
        assert time.monotonic() - begun < 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_that_still_imports_goes_with_its_command(tmp_path, number):
    """Libraries of later stages are loaded while the first one runs; a command that ends then leaves none."""
    journey = Journey(tmp_path)
    process = journey.start()
    try:
        give_up = time.monotonic() + 120
        while len(servers := [one for one in journey.processes() if is_server(one)]) < 2:
            assert process.poll() is None, journey.log.read_text()
            assert time.monotonic() < give_up
            time.sleep(0.02)
        process.send_signal(number)
        assert process.wait(60) == (75 if number == signal.SIGTERM else -number)
        if number == signal.SIGKILL:  # its watcher takes a moment to see it
            psutil.wait_procs(servers, timeout=3)
        assert journey.left() == []
    finally:
        process.kill()
        process.wait()
