"""Sources being read, or a corpus prepared, killed at a random point and started again: the same bytes.

The disturbed run works in two processes and the undisturbed one in its own, so this also says that the
placement leaves no trace.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from infra.storage.store import Store
from rpt_core.artifacts.placement import Placement
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe, SampleWorld
from tasks import build as build_module
from tests.faults.test_launch import left
from tests.stage_process import stages_of

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(900)]

DRIVER = """
import sys
from pathlib import Path
import tasks.build
tasks.build.track = lambda *a, **k: ""
from infra.storage.store import Store
from rpt_core.artifacts.placement import Placement
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe
recipe = {"ingest": IngestRecipe, "prepare": PrepareRecipe}[sys.argv[4]].model_validate_json(sys.argv[3])
tasks.build.build_here(recipe, Placement(workers=2), Store(sys.argv[1], Path(sys.argv[2])))
"""


def child_of(driver: subprocess.Popen) -> psutil.Process:
    for _ in range(3600):
        for process in stages_of(driver.pid):
            return process
        time.sleep(0.05)
    raise AssertionError("the stage never started")


@pytest.mark.parametrize(
    ("stage", "kills"),
    [("prepare", 1), *(pytest.param(stage, 2, marks=pytest.mark.long) for stage in ("ingest", "prepare"))],
)
def test_a_killed_data_stage_ends_in_the_same_bytes(stage: str, kills: int, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RPT_TEST_MARK", str(tmp_path))
    monkeypatch.setattr(build_module, "track", lambda *_, **__: "")
    stores = [Store(str(tmp_path / name), tmp_path / f"{name}-cache") for name in ("calm", "killed")]
    recipe: IngestRecipe | PrepareRecipe
    recipe = IngestRecipe(sample=SampleWorld(num_documents=600, num_problems=100))
    if stage == "prepare":
        recipe = PrepareRecipe(documents=build_module.build_here(recipe, Placement(), stores[0]))
        shutil.copytree(tmp_path / "calm", tmp_path / "killed", dirs_exist_ok=True)
    began = time.monotonic()
    calm = stores[0].load(build_module.build_here(recipe, Placement(), stores[0]))
    seconds = time.monotonic() - began
    seed = time.time_ns()
    rng, num_killed = random.Random(seed), 0
    for _ in range(4):
        told = [stores[1].objects.url, str(stores[1].cache), recipe.model_dump_json(), stage]
        driver = subprocess.Popen([sys.executable, "-c", DRIVER, *told], env=dict(os.environ))
        child = child_of(driver)
        time.sleep(rng.uniform(0.1, 0.8) * seconds)
        victim = child if rng.random() < 0.5 else psutil.Process(driver.pid)
        if driver.poll() is None:
            with suppress(psutil.NoSuchProcess):  # the child was done, and its launcher is still publishing
                victim.send_signal(signal.SIGKILL)
        driver.wait(120)
        num_killed += driver.returncode != 0
        _, alive = psutil.wait_procs([child], timeout=20)
        assert not alive
        if num_killed == kills:
            break
    assert num_killed, f"every run was over before it was killed (seed {seed})"
    again = stores[1].load(build_module.build_here(recipe, Placement(workers=2), stores[1]))
    assert again.digest == calm.digest, f"seed {seed}"
    for _ in range(100):
        if not left(tmp_path):
            return
        time.sleep(0.1)
    raise AssertionError(f"left behind: {left(tmp_path)}")
