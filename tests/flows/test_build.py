"""One stage through its whole life: built once, resumed after any end, failed by name."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from infra.storage.store import Store
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import StarvedError, Stopped
from rpt_core.recipes.stages import STAGES, Stage
from tasks import build as build_module
from tests.flows.toy import ToyRecipe
from tests.least_time import least_seconds
from tests.stage_process import stages_of

TOY = Stage(ToyRecipe, "tests.flows.toy:toy", exact=False, group="data", flow="toy")


@pytest.fixture
def store(tmp_path: Path, monkeypatch) -> Store:
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(STAGES, "toy", TOY)
    monkeypatch.setattr(build_module, "track", lambda *_, **__: "")
    return Store(str(tmp_path / "store"), tmp_path / "cache")


def made(recipe: ToyRecipe, store: Store):
    return store.load(build_module.build_here(recipe, Placement(), store))


def test_a_stage_is_built_once(store: Store):
    first = made(ToyRecipe(), store)
    assert first.outcome.summary == {"total": 36}
    assert least_seconds(lambda: made(ToyRecipe(), store), 1.0, time.monotonic) < 1.0
    assert made(ToyRecipe(), store) == first
    lines = [
        json.loads(line)
        for line in (store.materialise(first.artifact) / "metrics.jsonl").read_text().splitlines()
    ]
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert store.progress_steps(first.fingerprint, first.numerics.key()) == []


def test_timings_stand_outside_the_digest(store: Store, tmp_path: Path):
    again = Store(str(tmp_path / "second"), tmp_path / "cache2")
    assert made(ToyRecipe(), store).digest == made(ToyRecipe(), again).digest


def test_milestones_are_artifacts_of_their_own(store: Store):
    manifest = made(ToyRecipe(), store)
    listed = json.loads((store.materialise(manifest.artifact) / "milestones.json").read_text())
    checkpoint = store.find(f"checkpoint/{listed['4']['fingerprint']}")
    assert checkpoint.outcome.summary == {"step": 4, "gflops_total": 40.0}
    assert (store.materialise(checkpoint.artifact) / "model" / "total.json").read_text() == "10"


def test_a_named_failure_crosses_the_process_border(store: Store):
    with pytest.raises(StarvedError, match="nothing to add: give numbers"):
        made(ToyRecipe(fails=True), store)
    assert next(iter(store.manifests())).kind == "checkpoint"


def test_the_users_command_hears_of_a_bound_while_a_stage_runs_and_of_its_end(store, tmp_path, monkeypatch):
    heard = tmp_path / "heard.jsonl"
    code = f"import sys; open({str(heard)!r}, 'a').write(sys.stdin.read() + chr(10))"
    monkeypatch.setenv("RPT_ALERT", shlex.join([sys.executable, "-S", "-c", code]))
    monkeypatch.setenv("RPT_ALERT_WHEN", "total>20 total<0")
    with pytest.raises(StarvedError):
        made(ToyRecipe(steps=12, fails=True), store)
    first, last = [json.loads(line) for line in heard.read_text().splitlines()]
    assert (first["kind"], first["metric"], first["stage"]) == ("threshold", "total", "toy")
    assert first["step"] >= 10
    assert first["value"] > 20
    assert (last["kind"], last["error"]) == ("run-stopped", "StarvedError")
    assert "nothing to add: give numbers" in last["text"]


DRIVER = """
import sys
from pathlib import Path
from infra.storage.store import Store
import tasks.build
tasks.build.track = lambda *a, **k: ""
from rpt_core.artifacts.placement import Placement
from tasks.build import build_here
from rpt_core.recipes.stages import STAGES
from tests.flows.test_build import TOY
from tests.flows.toy import ToyRecipe
STAGES["toy"] = TOY
build_here(ToyRecipe(steps=8, step_seconds=0.25), Placement(), Store(sys.argv[1], Path(sys.argv[2])))
"""


def start_driver(store: Store) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, store.objects.url, str(store.cache)], env=dict(os.environ)
    )


def child_of(driver: subprocess.Popen) -> psutil.Process:
    """The stage's process, once it has begun."""
    for _ in range(1200):
        for process in stages_of(driver.pid):
            return process
        time.sleep(0.05)
    raise AssertionError("the stage never started")


def wait_for_progress(store: Store, recipe: ToyRecipe, step: int) -> None:
    for _ in range(2400):
        folder = Path(store.objects.key("progress", recipe.fingerprint()))
        if any(int(path.stem) >= step for path in folder.glob("*/*.json")):
            return
        time.sleep(0.05)
    raise AssertionError(f"step {step} was never saved")


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["stage", "launcher", "launcher-term"])
def test_killed_and_started_again_it_ends_in_the_same_bytes(store: Store, tmp_path: Path, victim: str):
    recipe = ToyRecipe(steps=8, step_seconds=0.25)
    driver = start_driver(store)
    stage = child_of(driver)
    wait_for_progress(store, recipe, 3)
    if victim == "stage":
        stage.kill()
    else:
        driver.send_signal(signal.SIGTERM if victim == "launcher-term" else signal.SIGKILL)
    driver.wait(30)
    assert driver.returncode != 0
    _, alive = psutil.wait_procs([stage], timeout=10)
    assert not alive
    resumed = made(recipe, store)
    undisturbed = made(recipe, Store(str(tmp_path / "other"), tmp_path / "cache2"))
    assert resumed.digest == undisturbed.digest
    assert len(resumed.attempts) == 2
    assert resumed.attempts[1].steps[0] >= 3


def test_a_deadline_stops_after_a_checkpoint(store: Store):
    recipe = ToyRecipe(steps=40, step_seconds=0.2)
    with pytest.raises(Stopped):
        build_module.build_here(recipe, Placement(deadline_hours=3 / 3600), store)
    folder = Path(store.objects.key("progress", recipe.fingerprint()))
    assert list(folder.glob("*/*.json"))
