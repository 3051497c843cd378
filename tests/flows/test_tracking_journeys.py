"""A journey or study in MLflow: one run with all its parts below, the same from a run and from the store."""

import json
import sqlite3
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows import make
from flows.cli.commands import show
from flows.recipes import Overrides, over_arms
from flows.recipes.trees import walk
from infra.local.state import sqlite_uri
from infra.metrics import tracking
from infra.metrics.server import EXPERIMENT, connected
from infra.metrics.tracking import track
from infra.storage.store import Store
from rpt_core.artifacts.build import FLOPS
from rpt_core.artifacts.digest import artifact_digest
from rpt_core.artifacts.manifest import Attempt, Manifest, Outcome
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact, Recipe
from rpt_core.errors import EngineError, Stopped
from rpt_core.recipes.stages import stage_of
from tasks.shown.journeys import Designs, shown_journey, told_of
from tasks.shown.spoken import Spoken

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SEEDS = (0, 1)


@pytest.fixture(scope="module")
def study() -> Recipe:
    whole = over_arms("tiny_rmt", SEEDS, (), Overrides())
    arms = tuple(model.name for model in whole.arms)[:2]
    return over_arms("tiny_rmt", SEEDS, arms, Overrides())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), tmp_path / "cache")


class Building:
    """Takes the place of the build task: a stage is made by writing a record of two steps."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.folder = store, folder
        self.asked: list[Recipe] = []
        self.raises: dict[str, BaseException] = {}
        """By kind."""

    def with_options(self, name: str, task_run_name: str):
        return self.build

    def build(self, recipe: Recipe, placement: Placement, spoken: Spoken) -> Artifact:
        fingerprint = recipe.fingerprint()
        known = self.store.manifest(recipe.kind, fingerprint)
        if known is not None:
            return known.artifact
        self.asked.append(recipe)
        if recipe.kind in self.raises:
            raise self.raises[recipe.kind]
        manifest = self.put(recipe, fingerprint)
        track(self.store, manifest, told_of(manifest, spoken, {"prefect.url": "http://x/runs/1"}))
        return manifest.artifact

    def put(self, recipe: Recipe, fingerprint: str) -> Manifest:
        folder = self.folder / fingerprint[:12]
        folder.mkdir(parents=True)
        rows = [{"step": i, "loss": 1 / i + len(self.asked), FLOPS: 2.0 * i} for i in (1, 2)]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "content").write_text(fingerprint)
        files = self.store.objects.put_folder(folder)
        now = datetime.now(UTC).isoformat()
        summary = {"reasoning_hard": 0.2 + 0.01 * len(self.asked)} if recipe.kind == "evaluation" else {}
        manifest = Manifest(
            kind=recipe.kind, fingerprint=fingerprint, digest=artifact_digest(files),
            recipe=recipe.model_dump(mode="json"), placement=Placement(),
            parents={name: value for name, value in recipe.inputs().items() if isinstance(value, Artifact)},
            files=files, outcome=Outcome(summary=summary), code="c" * 20, environment={}, created=now,
            attempts=(Attempt(started=now, seconds=1.0, outcome="done"),),
        )  # fmt: skip
        return self.store.publish(manifest)


@pytest.fixture
def building(store, tmp_path, monkeypatch) -> Building:
    one = Building(store, tmp_path / "made")
    monkeypatch.setattr(make, "open_store", lambda: store)
    monkeypatch.setattr(show, "open_store", lambda: store)
    monkeypatch.setattr(make, "build", one)
    monkeypatch.setattr(tracking, "_down_until", 0.0)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "home"))
    return one


def runs_in(home: Path):
    with connected(sqlite_uri(home), home) as client:
        number = client.get_experiment_by_name(EXPERIMENT).experiment_id
        return client, list(client.search_runs([number]))


def values_in(home: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Every value in MLflow's own table, by run and metric."""
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    with sqlite3.connect(home / "mlflow.db") as database:
        rows = database.execute("SELECT run_uuid, key, step, value FROM metrics ORDER BY step, value")
        for run, name, step, value in rows.fetchall():
            found.setdefault(run, {}).setdefault(name, []).append((step, value))
    return found


def shown_in(home: Path) -> dict:
    """Everything MLflow says, by the artifact: without the ids it gives, and what only a live run knows."""
    client, runs = runs_in(home)
    ids = {run.info.run_id: run.data.tags["rpt.fingerprint"] for run in runs}
    own = {"prefect.url", "mlflow.parentRunId", "mlflow.user", "mlflow.source.name", "mlflow.source.type"}
    found, written = {}, values_in(home)
    for run in runs:
        tags = run.data.tags
        assert tags["rpt.fingerprint"] not in found, "an artifact is shown twice"
        found[tags["rpt.fingerprint"]] = {
            "name": run.info.run_name,
            "status": run.info.status,
            "parent": ids.get(tags.get("mlflow.parentRunId")),
            "tags": {name: value for name, value in tags.items() if name not in own},
            "params": run.data.params,
            "metrics": written[run.info.run_id],
            "files": sorted(item.path for item in client.list_artifacts(run.info.run_id)),
        }
    models = {
        (one.name, version.tags["rpt.fingerprint"], *sorted(version.aliases))
        for one in client.search_registered_models()
        for version in (
            client.get_model_version(one.name, found.version)
            for found in client.search_model_versions(f"name = '{one.name}'")
        )
    }
    return {"runs": found, "models": models}


def test_a_study_is_one_run_from_a_run_and_from_the_store_alone(building, study, tmp_path, monkeypatch):
    root = make.make_recipe(study, "tiny_rmt", Placement(stages_at_once=1))
    live = shown_in(tmp_path / "home")
    runs = live["runs"]
    assert len(runs) == len(walk(study)) == len(building.asked)

    parent = runs[root.fingerprint]
    assert parent["name"] == "tiny_rmt mid-training, seeds 0 1"
    assert parent["tags"]["rpt.seeds"] == "0 1"
    assert parent["parent"] is None
    assert {one["parent"] for one in runs.values()} == {None, root.fingerprint}
    assert {one["status"] for one in runs.values()} == {"FINISHED"}

    policies = [one for one in runs.values() if one["tags"]["rpt.kind"] == "policy"]
    arms = {model.name for model in study.arms}
    assert {(one["params"]["arm"], one["params"]["seed"]) for one in policies} == {
        (arm, str(seed)) for arm in arms for seed in SEEDS
    }
    assert len({one["name"] for one in policies}) == len(policies) == 4
    assert all(one["tags"]["rpt.arm"] == one["params"]["arm"] for one in policies)
    assert all(one["files"] == ["learning_curve.png"] for one in policies)
    shared = [one for one in runs.values() if one["tags"]["rpt.kind"] in ("base", "cold-start", "corpus")]
    assert not any("arm" in one["params"] for one in shared)
    assert policies[0]["metrics"]["loss_by_gflops"][0][0] == 2

    assert Counter(alias for _, _, *aliases in live["models"] for alias in aliases)["newest"] == 3
    best = [fingerprint for name, fingerprint, *aliases in live["models"] if "best" in aliases]
    judged = [recipe for recipe in building.asked if recipe.kind == "evaluation"]
    assert {recipe.inputs()["model"].kind for recipe in judged} == {"cold-start", "policy"}
    last = {recipe.inputs()["model"].kind: recipe.inputs()["model"].fingerprint for recipe in judged}
    assert sorted(best) == sorted(last.values()), "the best is what was judged best: here, last"

    make.make_recipe(study, "tiny_rmt", Placement(stages_at_once=1))
    show.track_again("tiny_rmt-policy")
    assert shown_in(tmp_path / "home") == live
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "empty"))
    for _ in range(2):
        show.track_again("tiny_rmt-arms-report")
    assert shown_in(tmp_path / "empty") == live


@pytest.mark.parametrize(
    ("raised", "status"), [(Stopped("stopped"), "KILLED"), (EngineError("died"), "FAILED")]
)
def test_a_journey_that_ends_early_says_so_and_goes_on_in_its_run(building, study, tmp_path, raised, status):
    building.raises = {"cold-start": raised}
    with pytest.raises(type(raised)):
        make.make_recipe(study, "tiny_rmt", Placement(stages_at_once=1))
    _, runs = runs_in(tmp_path / "home")
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    assert parent.info.status == status
    assert len(runs) > 1
    building.raises = {}
    root = make.make_recipe(study, "tiny_rmt", Placement(stages_at_once=1))
    _, runs = runs_in(tmp_path / "home")
    (again,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    assert (again.info.run_id, again.info.status) == (parent.info.run_id, "FINISHED")
    assert again.data.tags["rpt.fingerprint"] == root.fingerprint


def test_what_was_made_while_mlflow_was_away_is_shown_at_the_journeys_end(
    building, study, tmp_path, monkeypatch
):
    """As is what other journeys made: everything that belongs to it stands below it."""
    before = next(recipe for recipe in walk(study) if recipe.stage == "train-base")
    make.make_recipe(before, "tiny_rpt", Placement(stages_at_once=1))
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "empty"))
    root = make.make_recipe(study, "tiny_rmt", Placement(stages_at_once=1))
    runs = shown_in(tmp_path / "empty")["runs"]
    assert len(runs) == len(walk(study))
    assert {one["parent"] for one in runs.values()} == {None, root.fingerprint}


def test_a_recipe_and_what_it_made_have_one_design(building, store, study):
    """Before anything is made, half-way, and from the store alone."""
    before = shown_journey(study, "tiny_rmt", store)
    root = make.make_recipe(study, "tiny_rmt", Placement(stages_at_once=1))
    after = shown_journey(root, "tiny_rmt", store)
    assert (before.journey, before.arms) == (after.journey, after.arms)
    designs = Designs(store)
    for recipe in walk(study):
        made = [one for one in building.asked if one.stage == recipe.stage]
        assert designs.of(recipe) in {
            designs.of(store.manifest(one.kind, one.fingerprint()).artifact) for one in made
        }
    other = over_arms("tiny_rmt", SEEDS, (), Overrides(fields={"policy.temperature": 0.7}))
    assert shown_journey(other, "tiny_rmt", store).journey.key != before.journey.key
    assert {stage_of(recipe).group for recipe in walk(study)} == {"data", "train", "eval", "report"}
