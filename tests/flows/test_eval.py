"""`rpt eval` from a folder to artifacts: found again, taken over from, gone on with after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows import benchmarks
from flows.cli.commands import eval as command
from infra.runs.attempt import Job
from infra.storage.store import Store
from rpt_core.artifacts.placement import Placement
from rpt_core.recipes.benchmark_evaluation import BenchmarkOptions, BenchmarkRecipe
from tasks import build as build_module
from tasks import train_main
from tasks.commands.benchmarks import benchmark_recipe, benchmarks_at_hand
from tasks.inputs.models import find_model
from tests.unit.evaluation.benchmarks.test_suite import CHOICES, PROBLEMS, write_lines
from tests.unit.evaluation.folders import write_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
DRIVER = """
import sys
from pathlib import Path
import tasks.build
tasks.build.track = lambda *a, **k: ""
from infra.runs.attempt import Job
from infra.storage.store import Store
from rpt_core.artifacts.placement import Placement
from rpt_core.recipes.benchmark_evaluation import BenchmarkRecipe
recipe = BenchmarkRecipe.model_validate_json(Path(sys.argv[3]).read_text())
tasks.build.build_here(recipe, Placement(checkpoint_seconds=0.001), Store(sys.argv[1], Path(sys.argv[2])))
"""
SHORT = BenchmarkOptions(samples=2, max_new_tokens=4, limit=3)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A state folder, a model, and two benchmarks; stages are built without Prefect."""
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RPT_STORE", raising=False)
    monkeypatch.setattr(build_module, "track", lambda *_, **__: "")
    write_model(tmp_path / "tiny")
    write_lines(tmp_path / "data" / "GSM8K" / "test.txt", PROBLEMS)
    write_lines(tmp_path / "data" / "mmlu" / "astronomy_test.jsonl", CHOICES)
    write_lines(tmp_path / "data" / "elsewhere" / "x.jsonl", PROBLEMS)
    return tmp_path


def in_process(command: list[str], **_: object) -> SimpleNamespace:
    """The stage of a job, run in this process instead of a child."""
    train_main.run(Job.model_validate_json(Path(command[-1]).read_text()), lambda: False)
    return SimpleNamespace(error="", message="", check=lambda: None)


@pytest.fixture
def built(home, monkeypatch) -> list[BenchmarkRecipe]:
    """What was asked to be made."""
    monkeypatch.setattr(build_module, "launch", in_process)
    seen: list[BenchmarkRecipe] = []

    def make(recipe, name, placement):
        seen.append(recipe)
        return build_module.build_here(recipe, placement, store_of(home))

    monkeypatch.setattr(benchmarks, "make_recipe", make)
    return seen


def store_of(home: Path) -> Store:
    return Store(str(home / "home" / "store"), home / "home" / "cache")


def asked(home: Path, on: str, options: BenchmarkOptions, capsys, *, as_json: bool = False) -> str:
    names = command.checked(str(home / "tiny"), on, str(home / "data"), options)
    flow = benchmarks.evaluate_benchmark.fn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmarks, "evaluate_benchmark", flow)
        command.run_eval(
            str(home / "tiny"), names, str(home / "data"), options, Placement(), lambda: None, as_json=as_json
        )
    return capsys.readouterr().out


def test_a_folder_of_benchmarks_is_asked_found_again_and_taken_over_from(home, built, capsys):
    told = asked(home, "gsm8k,mmlu", SHORT, capsys)
    assert told.splitlines()[-1].startswith("asked 6 of 12 items (6 not-drawn left out), answered ")
    assert [recipe.benchmark for recipe in built] == ["gsm8k", "mmlu"]
    again = json.loads(asked(home, "all", SHORT, capsys, as_json=True))
    first = {one["scores"]["benchmark"]: one for one in again}
    assert set(first) == {"gsm8k", "mmlu"}
    assert all(len(one.attempts) == 1 for one in store_of(home).manifests())
    assert len(list(store_of(home).manifests())) == 2  # nothing was made twice

    more = json.loads(asked(home, "gsm8k", SHORT.model_copy(update={"samples": 9}), capsys, as_json=True))[0]
    source = first["gsm8k"]["artifact"]["fingerprint"]
    assert more["summary"][f"reused_from_{source[:12]}"] == 3 * 2
    manifest = store_of(home).manifest("benchmark-evaluation", more["artifact"]["fingerprint"])
    assert manifest is not None
    assert [one.fingerprint for one in manifest.parents.values()] == [source]
    other = SHORT.model_copy(update={"samples": 9, "seed": 1})
    unlike = json.loads(asked(home, "gsm8k", other, capsys, as_json=True))[0]
    assert not [name for name in unlike["summary"] if name.startswith("reused")]


def test_killed_anywhere_it_goes_on_and_ends_in_the_same_bytes(home, tmp_path):
    options = BenchmarkOptions(samples=64, max_new_tokens=40)
    store = store_of(home)
    (held,) = benchmarks_at_hand(("gsm8k",), str(home / "data"))
    model = find_model(str(home / "tiny"), store).source
    recipe = benchmark_recipe(model, held, options, Placement(checkpoint_seconds=0.001), store)
    whole = store.load(build_module.build_here(recipe, Placement(), store))
    (tmp_path / "recipe.json").write_text(recipe.model_dump_json())
    empty = Store(str(tmp_path / "again"), tmp_path / "again-cache")
    words = [sys.executable, "-c", DRIVER, str(tmp_path / "again"), str(tmp_path / "again-cache")]
    env = {**os.environ, "RPT_HOME": str(tmp_path / "home-2")}
    child = subprocess.Popen([*words, str(tmp_path / "recipe.json")], env=env, start_new_session=True)
    deadline = time.monotonic() + 240
    while not empty.objects.list(empty.objects.key("progress", recipe.fingerprint())):
        assert child.poll() is None, "it ended before anything was kept"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert empty.manifest(recipe.kind, recipe.fingerprint()) is None
    subprocess.run([*words, str(tmp_path / "recipe.json")], env=env, check=True, timeout=240)
    again = empty.manifest(recipe.kind, recipe.fingerprint())
    assert again is not None
    assert again.digest == whole.digest
    assert len(again.attempts) == 2
