"""A server of a command's own: several commands may begin in a new home at once."""

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from infra.local import own_server
from infra.local.links import answers
from infra.runs import lifeline
from rpt_core.errors import EngineError, RecipeError, ServiceError


class Fake:
    """A server that is up when told."""

    def __init__(self) -> None:
        self.up, self.ended = False, False

    def poll(self) -> int | None:
        return 1 if self.ended else None


@pytest.mark.parametrize("end", ["up", "ended"])
def test_servers_of_one_home_start_one_after_the_other(end: str, tmp_path: Path, monkeypatch):
    started: list[Fake] = []

    def start(home: Path, line: socket.socket, log: Path) -> Fake:
        started.append(Fake())
        return started[-1]

    monkeypatch.setattr(own_server, "_start", start)
    monkeypatch.setattr(own_server, "answers", lambda health: started[int(health)].up)
    begin = [
        threading.Thread(
            target=own_server._started_alone, args=(tmp_path, None, tmp_path / "log", str(number))
        )
        for number in range(2)
    ]
    begin[0].start()
    begin[0].join(10)
    begin[1].start()
    time.sleep(0.3)
    assert len(started) == 1
    setattr(started[0], end, True)
    begin[1].join(10)
    assert len(started) == 2
    started[1].ended = True


SERVER = """
import http.server, socket, sys
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"true")
    def log_message(self, *words): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Healthy, bind_and_activate=False)
server.socket = socket.socket(fileno=int(sys.argv[1]))
server.serve_forever()
"""


@pytest.fixture
def light(monkeypatch, tmp_path: Path):
    """A private server that starts in a moment, and the processes that were started as it."""
    started: list[subprocess.Popen[bytes]] = []

    def start(home: Path, line: socket.socket, log: Path) -> subprocess.Popen[bytes]:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
        command = [sys.executable, "-c", SERVER, str(line.fileno())]
        started.append(subprocess.Popen(command, start_new_session=True, pass_fds=(line.fileno(),)))
        return started[-1]

    monkeypatch.setattr(own_server, "_start", start)
    monkeypatch.setenv(own_server.PREFECT, "")
    for name in (lifeline.RUN_TOKEN, lifeline.LIFELINE):
        monkeypatch.setenv(name, "")
    yield started
    assert all(process.wait(10) is not None for process in started)


def wait_for(condition) -> None:
    give_up = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_a_server_that_dies_is_started_again_where_it_was(light, tmp_path: Path):
    with own_server.prefect_at_hand(tmp_path) as ready:
        ready()
        url = os.environ[own_server.PREFECT]
        for lives in (2, 3):
            light[-1].kill()
            wait_for(lambda lives=lives: len(light) == lives)
            wait_for(lambda: answers(f"{url}/health"))
        assert os.environ[own_server.PREFECT] == url
    assert len(light) == 3


def test_it_leaves_no_marks_of_its_run_behind(light, tmp_path: Path, monkeypatch):
    monkeypatch.setenv(lifeline.RUN_TOKEN, "of another run")
    monkeypatch.delenv(lifeline.LIFELINE)
    with own_server.prefect_at_hand(tmp_path):
        inside = os.environ[lifeline.RUN_TOKEN], os.environ[lifeline.LIFELINE]
    assert "of another run" not in inside
    assert os.environ[lifeline.RUN_TOKEN] == "of another run"
    assert lifeline.LIFELINE not in os.environ


def test_who_asks_between_two_lives_waits_for_the_second(light, tmp_path: Path):
    with own_server.prefect_at_hand(tmp_path) as ready:
        ready()
        light[-1].kill()
        light[-1].wait()
        assert answers(f"{os.environ[own_server.PREFECT]}/health", 20.0)
    assert len(light) == 2


def refused(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) != 0


def test_after_its_last_death_it_refuses_at_once(light, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(own_server, "_LIVES", 1)
    with own_server.prefect_at_hand(tmp_path) as ready:
        ready()
        light[-1].kill()
        light[-1].wait()
        port = int(os.environ[own_server.PREFECT].rpartition(":")[2].partition("/")[0])
        wait_for(lambda: refused(port))


def test_two_commands_never_share_a_port_even_before_their_servers_are_up():
    with own_server.listener(4300) as first:
        port = first.getsockname()[1]
        with own_server.listener(port) as second:
            assert second.getsockname()[1] > port


def test_a_server_that_ends_while_it_starts_is_named(light, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(own_server, "answers", lambda url: False)
    monkeypatch.setattr(f"{__name__}.SERVER", "raise SystemExit(3)")
    with own_server.prefect_at_hand(tmp_path) as ready, pytest.raises(EngineError, match="did not start"):
        ready()
    assert len(light) == 1


def test_a_server_that_is_killed_while_it_starts_is_started_again(light, tmp_path: Path):
    with own_server.prefect_at_hand(tmp_path) as ready:
        light[-1].kill()
        light[-1].wait()
        ready()
        assert answers(f"{os.environ[own_server.PREFECT]}/health")
    assert len(light) == 2


def test_a_server_that_is_killed_each_time_it_starts_is_named(light, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(own_server, "answers", lambda url: False)
    monkeypatch.setattr(f"{__name__}.SERVER", "import os; os.kill(os.getpid(), 9)")
    with own_server.prefect_at_hand(tmp_path) as ready, pytest.raises(EngineError, match="did not start"):
        ready()
    assert len(light) == own_server._LIVES


@pytest.mark.parametrize(
    ("address", "error", "says"),
    [
        ("http://127.0.0.1:9/api", ServiceError, "does not answer"),
        ("http://no-such-host.invalid/api", ServiceError, "does not answer"),
        ("ftp://127.0.0.1/api", RecipeError, "is no address"),
        ("127.0.0.1:4200", RecipeError, "is no address"),
        ("http://", RecipeError, "is no address"),
        ("http://[::1/api", ServiceError, "does not answer"),
    ],
)
def test_an_address_without_a_server_is_named_before_anything_starts(
    light, tmp_path, monkeypatch, address, error, says
):
    monkeypatch.setenv(own_server.PREFECT, address)
    with pytest.raises(error, match=says), own_server.prefect_at_hand(tmp_path):
        raise AssertionError("it began")
    assert not light


def spoilt(home: Path, how: str) -> None:
    (home / "prefect").mkdir()
    if how == "noise":
        (home / "prefect" / "prefect.db").write_bytes(os.urandom(8192))
    elif how == "folder":
        (home / "prefect" / "prefect.db").mkdir()
    else:
        (home / "prefect").rmdir()
        (home / "prefect").write_text("a file")


@pytest.mark.parametrize("how", ["noise", "folder", "file"])
def test_a_state_folder_that_cannot_be_used_is_named_at_once(light, tmp_path, how):
    spoilt(tmp_path, how)
    with pytest.raises(RecipeError, match=r"RPT_HOME|move it away"), own_server.prefect_at_hand(tmp_path):
        raise AssertionError("it began")
    assert not light


def test_kill_9_of_command_and_watcher_takes_the_server_too(tmp_path: Path):
    """The server has a watcher in itself: nothing and no line is left."""
    (tmp_path / "module_of_ours.py").write_text("import time\nprint('up', flush=True)\ntime.sleep(300)\n")
    script = (
        "import os, subprocess, time\n"
        "from infra.runs import lifeline\n"
        "with lifeline.owned() as marks:\n"
        "    env = {**os.environ, **marks, 'PYTHONPATH': os.environ['MODULES']}\n"
        "    command = lifeline.guarded_module('module_of_ours')\n"
        "    server = subprocess.Popen(command, env=env, start_new_session=True)\n"
        "    print(server.pid, flush=True)\n"
        "    time.sleep(300)\n"
    )
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    env = {**os.environ, "TMPDIR": str(temporary), "MODULES": str(tmp_path)}
    launcher = subprocess.Popen([sys.executable, "-c", script], env=env, stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    told = {launcher.stdout.readline().strip() for _ in range(2)}
    server = psutil.Process(int((told - {"up"}).pop()))
    watchers = [
        process
        for process in psutil.Process(launcher.pid).children()
        if process.cmdline()[-1] == lifeline.__file__
    ]
    for process in (*watchers, launcher):
        process.kill()
    launcher.communicate()
    assert len(watchers) == 1
    _, alive = psutil.wait_procs([server], timeout=10)
    assert not alive
    wait_for(lambda: not list(temporary.iterdir()))


def test_the_line_is_gone_before_watchers_kill_each_other(tmp_path, monkeypatch):
    """The external watcher and a process's own begin to sweep at once: either may end the other there."""
    folder = tmp_path / "rpt-line-x"
    folder.mkdir()
    os.close(lifeline.create(folder / "line"))
    swept = []
    monkeypatch.setattr(lifeline, "sweep", lambda token: swept.append((token, folder.exists())))
    lifeline.end("token", str(folder / "line"))
    assert swept == [("token", False)]


def test_lines_that_nobody_was_left_to_remove_are_swept_by_the_next_command(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    held, dead, young = (tmp_path / f"rpt-line-{name}" for name in ("held", "dead", "young"))
    for folder in (held, dead, young):
        folder.mkdir()
    writer = lifeline.create(held / "line")
    os.close(lifeline.create(dead / "line"))
    for folder in (held, dead):
        os.utime(folder, (0, 0))
    with lifeline.owned():
        assert held.exists()
        assert young.exists()
        assert not dead.exists()
    os.close(writer)
