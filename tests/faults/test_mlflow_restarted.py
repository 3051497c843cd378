"""Four arms of 500 metrics write at once; MLflow is killed midway and comes back: nothing twice."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.local.links import answers
from infra.local.stack import REPOSITORY, reserved_port
from infra.local.state import DATABASE, sqlite_uri
from infra.metrics.server import connected
from rpt_core.artifacts.build import FLOPS

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(900)]
ARMS, METRICS, STEPS, PIECES = 4, 500, 4, 4
ARM = """
import json, sys, time
from dataclasses import replace
from pathlib import Path
from infra.metrics import tracking
from infra.metrics.tracking import LiveView
from infra.metrics.views import Journey, View
from rpt_core.artifacts.build import FLOPS

number, folder, metrics, steps, pieces = int(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:])
tracking._AGAIN_AFTER_SECONDS = 2.0
own = folder / f"arm-{number}"
own.mkdir()
tags = {"rpt.recipe": "many", "rpt.role": "policy", "rpt.arm": f"arm {number}", "rpt.seed": "0"}
view = View("train", "policy", f"{number}" * 64, {"steps": steps}, own, "2026-11-20T10:00:00+00:00", tags,
            journey=Journey("ab" * 32, "many at once"))
live = LiveView(view, every_seconds=0.0)
for step in range(1, steps + 1):
    values = {f"m{i:03d}": step + i / 1000 for i in range(metrics - 1)} | {FLOPS: 3.0 * step}
    with (own / "metrics.jsonl").open("a") as record:
        record.write(json.dumps({"step": step, **values}) + "\\n")
    with (own / "timings.jsonl").open("a") as record:
        record.write(json.dumps({"step": step, "seconds": 1.5}) + "\\n")
    if step % (steps // pieces) == 0:
        live.poll()
        (folder / f"told-{number}-{step}").touch()
while not (folder / "back").exists():
    live.poll()
    time.sleep(0.2)
live.view = replace(view, digest="cd" * 32)
while not (folder / f"done-{number}").exists():
    live.poll()
    if tracking._down_until < time.monotonic():
        (folder / f"done-{number}").touch()
    time.sleep(0.2)
"""


class Server:
    """An MLflow server of the test's own, in a group of its own."""

    def __init__(self, home: Path, port: int) -> None:
        self.home, self.url = home, f"http://127.0.0.1:{port}"
        self.command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
            "--workers", "1", "--backend-store-uri", sqlite_uri(home),
            "--artifacts-destination", (home / "files").as_uri(),
        ]  # fmt: skip

    def start(self) -> None:
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self.home / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.home, env={**os.environ, **quiet}, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        give_up = time.monotonic() + 240
        while not answers(f"{self.url}/health"):
            assert self.process.poll() is None, (self.home / "server.log").read_text()[-3000:]
            assert time.monotonic() < give_up, "the server did not come up"
            time.sleep(0.3)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def wait_for(files: list[Path], arms: list[subprocess.Popen], seconds: float = 400) -> None:
    give_up = time.monotonic() + seconds
    while not all(file.exists() for file in files):
        ended = [arm for arm in arms if arm.poll()]
        assert not ended, ended[0].communicate()[1][-3000:]
        assert time.monotonic() < give_up, [file.name for file in files if not file.exists()]
        time.sleep(0.2)


def test_every_value_stands_there_once_and_the_outage_is_one_sentence(tmp_path):
    with reserved_port(5600) as port:
        server = Server(tmp_path, port)
        server.start()
        env = {
            **os.environ,
            "MLFLOW_TRACKING_URI": server.url,
            "RPT_HOME": str(tmp_path),
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
        }
        numbers = range(1, ARMS + 1)
        arms = [
            subprocess.Popen(
                [sys.executable, "-c", ARM, *map(str, (i, tmp_path, METRICS, STEPS, PIECES))],
                cwd=REPOSITORY, env=env, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )
            for i in numbers
        ]  # fmt: skip
        try:
            wait_for([tmp_path / f"told-{i}-{STEPS // PIECES}" for i in numbers], arms)
            server.kill()
            wait_for([tmp_path / f"told-{i}-{STEPS}" for i in numbers], arms)
            server.start()
            (tmp_path / "back").touch()
            wait_for([tmp_path / f"done-{i}" for i in numbers], arms)
            told = [arm.communicate()[1] for arm in arms]
            assert [arm.returncode for arm in arms] == [0] * ARMS
        finally:
            for arm in arms:
                arm.kill()
            server.kill()
    for said in told:
        assert said.count("MLflow could not be written") == 1, said
        assert "Nothing is lost" in said
        assert "Traceback" not in said
    check(tmp_path)


def check(home: Path) -> None:
    """Read MLflow's own tables: every value of every arm, on both axes, once."""
    with sqlite3.connect(home / "mlflow.db") as database:
        tags = database.execute("SELECT run_uuid, value FROM tags WHERE key = 'rpt.arm'").fetchall()
        parents = database.execute("SELECT value FROM tags WHERE key = 'mlflow.parentRunId'").fetchall()
        assert sorted(arm for _, arm in tags) == [f"arm {i}" for i in range(1, ARMS + 1)]
        assert len(parents) == ARMS
        assert len(set(parents)) == 1
        for run, arm in tags:
            rows = (home / arm.replace(" ", "-") / "metrics.jsonl").read_text().splitlines()
            expected = []
            for row in map(json.loads, rows):
                step = row.pop("step")
                expected += [(name, step, value) for name, value in row.items()]
                expected += [(f"{n}_by_gflops", int(row[FLOPS]), v) for n, v in row.items() if n != FLOPS]
            assert len(expected) == STEPS * (2 * METRICS - 1)
            query = "SELECT key, step, value FROM metrics WHERE run_uuid = ? AND key NOT LIKE 'time/%'"
            assert sorted(database.execute(query, (run,)).fetchall()) == sorted(expected)


def test_a_database_killed_while_it_is_made_is_made_again(tmp_path):
    """MLflow would refuse a file with some of its tables; so there is none until there are all."""
    new = tmp_path / "mlflow.new" / DATABASE
    for least in (1, 12):
        process = subprocess.Popen(
            [sys.executable, "-c", "from infra.metrics.server import make_database as make; from pathlib "
             "import Path; import sys; make(Path(sys.argv[1]))", str(tmp_path)],
        )  # fmt: skip
        try:
            give_up = time.monotonic() + 120
            while tables(new) < least:
                assert process.poll() is None
                assert time.monotonic() < give_up
                time.sleep(0.005)
        finally:
            process.kill()
            process.wait()
        assert not (tmp_path / DATABASE).exists()
    half = tables(new)
    with connected(sqlite_uri(tmp_path), tmp_path) as client:
        client.create_experiment("mine")
    with connected(sqlite_uri(tmp_path), tmp_path) as client:
        assert {one.name for one in client.search_experiments()} == {"mine", "Default"}
    assert tables(tmp_path / DATABASE) > half > 0
    assert not new.parent.exists()


def tables(path: Path) -> int:
    """How many a database holds so far."""
    if not path.exists():
        return 0
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        try:
            return int(
                database.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
            )
        except sqlite3.OperationalError:  # locked, or only now being made
            return 0
