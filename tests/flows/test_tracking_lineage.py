"""What a finished build's MLflow run links to: datasets, milestones and rollouts; twice shown, once there."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.local.state import sqlite_uri
from infra.metrics import lineage
from infra.metrics.projection import project
from infra.metrics.server import EXPERIMENT, connected
from infra.metrics.views import View
from rpt_core.train.rl.record import ROLLOUTS_FILE, SCHEMA

CORPUS = {"kind": "corpus", "fingerprint": "ab" * 32, "digest": "cd" * 32}
START = {"kind": "base", "fingerprint": "12" * 32, "digest": "34" * 32}
STEPS = {
    str(step): {"kind": "policy", "fingerprint": f"{step:02d}" * 32, "digest": "ef" * 32} for step in (2, 4)
}


@pytest.fixture
def shown(tmp_path):
    """A finished training, shown, forgotten to be shown, and shown again: its client and its run."""
    home, folder = tmp_path / "home", tmp_path / "artifact"
    folder.mkdir()
    (folder / "metrics.jsonl").write_text(json.dumps({"step": 1, "reward_mean": 0.5}) + "\n")
    (folder / "milestones.json").write_text(json.dumps(STEPS))
    rows = [
        {"step": i // 5, "doc_id": f"d{i}", "position": i, "prompt_tail": "p", "thought": "t",
         "prediction": "x", "truth": "y", "verdict": "wrong", "reward": 0.0, "tokens": i}
        for i in range(30)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / ROLLOUTS_FILE)
    recipe = {"steps": 4, "corpus": CORPUS, "nested": {"starts": [START]}}
    view = View("train", "policy", "99" * 32, recipe, folder, "2026-11-20T10:00:00+00:00", digest="77" * 32)
    for _ in range(2):
        project(view, sqlite_uri(home), home)
        with connected(sqlite_uri(home), home) as client:
            experiment = client.get_experiment_by_name(EXPERIMENT)
            (run,) = client.search_runs([experiment.experiment_id])
            client.set_tag(run.info.run_id, "rpt.digest", "killed before it was noted")
    return client, run


def test_inputs_models_and_rollouts_are_linked_once(shown):
    client, run = shown
    inputs = client.get_run(run.info.run_id).inputs.dataset_inputs
    found = {
        one.tags[0].value: (one.dataset.name, json.loads(one.dataset.source)["digest"]) for one in inputs
    }
    assert found == {
        "corpus": ("corpus/abababababab", "cd" * 32),
        "nested.starts.0": ("base/121212121212", "34" * 32),
    }
    assert len(inputs) == 2

    found_models = client.search_logged_models([run.info.experiment_id])
    models = [model for model in found_models if model.name != "final"]
    told = {model.name: (model.tags["rpt.ref"], model.tags["rpt.digest"], model.params) for model in models}
    assert told == {
        f"step-{step}": (f"policy/{address['fingerprint'][:12]}", "ef" * 32, {"step": step})
        for step, address in STEPS.items()
    }
    assert len(models) == 2
    assert {(model.source_run_id, str(model.status)) for model in models} == {(run.info.run_id, "READY")}

    path = client.download_artifacts(run.info.run_id, lineage.ROLLOUTS_TABLE)
    table = json.loads(Path(path).read_text())
    assert table["columns"] == SCHEMA.names
    assert [row[1] for row in table["data"]] == [f"d{i}" for i in range(10, 30)]


def test_the_name_of_the_rollouts_is_the_trainers():
    assert lineage.ROLLOUTS_FILE == ROLLOUTS_FILE
