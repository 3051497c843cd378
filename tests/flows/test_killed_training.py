"""Training killed at any step: rerun to resume, and ends in the weights of an undisturbed run."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from infra.storage.store import Store
from rpt_core.artifacts.manifest import Manifest
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Recipe
from rpt_core.recipes.supervised import BaseRecipe, ModelShape, Optimiser
from tasks import build as build_module
from tests.flows.small_training import small_policy
from tests.stage_process import stages_of

pytestmark = pytest.mark.slow
ENGINES = {"policy": "torch", "base": "torch", "ahead": "torch-copy"}
"""What draws the answers of each training; ``ahead`` draws a step's during the update before."""
DRIVER = """
import sys
from pathlib import Path
import tasks.build
tasks.build.track = lambda *a, **k: ""
from infra.storage.store import Store
from rpt_core.artifacts.placement import Placement
from rpt_core.recipes.stages import STAGES
recipe = STAGES[sys.argv[3]].recipe.model_validate_json(sys.argv[4])
placement = Placement(engine=sys.argv[5], checkpoint_seconds=0.001)
tasks.build.build_here(recipe, placement, Store(sys.argv[1], Path(sys.argv[2])))
"""


@pytest.fixture(scope="module")
def recipes(tmp_path_factory):
    """One training of every kind of loop, and the manifests of undisturbed runs."""
    root, patch = tmp_path_factory.mktemp("killed"), pytest.MonkeyPatch()
    patch.setenv("RPT_HOME", str(root / "home"))
    patch.delenv("RPT_STORE", raising=False)
    patch.setattr(build_module, "track", lambda *_, **__: "")
    store = Store(str(root / "store"), root / "cache")
    policy = small_policy(root, store, steps=6, milestones=(3,))
    shape = ModelShape(
        hidden_size=32, num_layers=2, num_heads=2, num_kv_heads=1, head_dim=16, intermediate_size=64
    )
    muon = Optimiser(name="muon", learning_rate=1e-3)
    base = BaseRecipe(corpus=policy.corpus, model=shape, steps=40, documents_per_step=2, optimiser=muon)
    ahead = policy.model_copy(update={"off_policy_steps": 1})
    found = {
        name: (recipe, store.load(build_module.build_here(recipe, Placement(engine=ENGINES[name]), store)))
        for name, recipe in (("policy", policy), ("base", base), ("ahead", ahead))
    }
    yield root, found
    patch.undo()


def emptied_of(kind: str, root: Path, tmp_path: Path) -> Store:
    """A store with the same inputs and nothing made of them."""
    source = root / "store"
    target = tmp_path / "store"
    subprocess.run(["cp", "-r", str(source), str(target)], check=True)
    for made in ("policy", "checkpoint", "base"):
        for manifest in (target / "artifacts" / made).glob("*/manifest.json"):
            if (
                made != "base"
                or Manifest.model_validate_json(manifest.read_text()).recipe["stage"] == "train-base"
            ):
                manifest.unlink()
    return Store(str(target), tmp_path / "cache")


def kill_at(store: Store, recipe: Recipe, step: int, engine: str) -> None:
    """Start the build in a process of its own and kill its training once ``step`` is saved."""
    driver = subprocess.Popen(
        [
            sys.executable,
            "-c",
            DRIVER,
            store.objects.url,
            str(store.cache),
            recipe.stage,
            recipe.model_dump_json(),
            engine,
        ],
        env=dict(os.environ),
    )
    saved = Path(store.objects.key("progress", recipe.fingerprint()))
    while not any(int(path.stem) >= step for path in saved.glob("*/*.json")):
        assert driver.poll() is None, "the build ended before it could be killed"
        time.sleep(0.002)
    (training,) = stages_of(driver.pid)
    training.kill()
    driver.wait(60)
    assert driver.returncode != 0
    assert not training.is_running() or training.status() == psutil.STATUS_ZOMBIE


EARLY, LATE = (pytest.param("policy", step, marks=pytest.mark.long) for step in (1, 5))


@pytest.mark.parametrize(("name", "step"), [EARLY, ("policy", 3), LATE, ("base", 17), ("ahead", 2)])
def test_killed_at_a_step_it_ends_in_the_same_weights(recipes, tmp_path, name, step):
    root, found = recipes
    recipe, undisturbed = found[name]
    store = emptied_of(recipe.kind, root, tmp_path)
    kill_at(store, recipe, step, ENGINES[name])
    assert store.manifest(recipe.kind, recipe.fingerprint()) is None
    resumed = store.load(build_module.build_here(recipe, Placement(engine=ENGINES[name]), store))
    assert resumed.digest == undisturbed.digest
    assert len(resumed.attempts) == 2
    assert resumed.attempts[1].steps[0] >= step
    weights = {entry.path: entry.digest for entry in undisturbed.files if entry.path.endswith(".safetensors")}
    assert weights
    assert {e.path: e.digest for e in resumed.files if e.path in weights} == weights
