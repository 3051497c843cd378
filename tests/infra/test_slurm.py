"""Real Slurm jobs: a training that meets its time limit and goes on, two nodes, GPUs that are not there."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.storage.store import Store
from rpt_core.artifacts.manifest import Manifest
from tests.flows.test_operated import Operated
from tests.infra.slurm_cluster import Cluster, slurm

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(5400)]
TRAIN, WORKER, POOL = (f"infra/slurm/{name}" for name in ("train.sbatch", "worker.sbatch", "pool.json"))
TINY = [
    "tiny_rpt", "--to", "train-base", "-p", "documents.sample.num_documents=60",
    "-p", "base.documents_per_step=2",
]  # fmt: skip
STEPS = 150
EVERY_STEP = "checkpoint_seconds=0.001"
"""A checkpoint at each: the training is as slow as it must be to be interrupted."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with slurm(tmp_path_factory.mktemp("slurm"), num_nodes=2) as running:
        yield running


@pytest.fixture(scope="module")
def whole(cluster, tmp_path_factory) -> Manifest:
    """The training of :data:`STEPS`, undisturbed."""
    home = tmp_path_factory.mktemp("whole")
    job = train(cluster, home, "-p", f"base.steps={STEPS}")
    cluster.wait(job, "COMPLETED")
    found = trained(home)
    assert len(found.attempts) == 1
    return found


def trained(home: Path) -> Manifest:
    """The one base model of a state folder."""
    store = Store(str(home / "store"), home / "cache")
    (found,) = (home / "store" / "artifacts" / "base").glob("*/manifest.json")
    manifest = store.manifest("base", found.parent.name)
    assert manifest is not None
    return manifest


def train(cluster: Cluster, home: Path, *words: str, options: tuple[str, ...] = ()) -> int:
    return cluster.sbatch(*options, TRAIN, *TINY, *words, RPT_HOME=str(home), RPT_PYTHON=cluster.python)


def steps_saved(home: Path) -> list[int]:
    return [int(path.stem) for path in (home / "store" / "progress").glob("*/*/*.json")]


def test_a_training_that_is_asked_to_stop_is_queued_again_and_ends_in_the_same_digest(
    cluster, whole, tmp_path
):
    """TERM to the script, as Slurm sends it before the time limit."""
    job = train(cluster, tmp_path, "-p", f"base.steps={STEPS}", "--placement", EVERY_STEP)
    cluster.until(job, lambda: len(steps_saved(tmp_path)) > 1)
    cluster.term(job)
    cluster.wait(job, "PENDING")
    assert cluster.state(job)["Restarts"] == "1"
    kept = max(steps_saved(tmp_path))
    assert kept < STEPS
    cluster.wait(job, "COMPLETED")
    said = cluster.said(job)
    assert all(words in said for words in ("life 1", "is queued again", "life 2"))
    resumed = trained(tmp_path)
    assert [attempt.outcome for attempt in resumed.attempts] == ["stopped", "done"]
    assert resumed.attempts[1].steps[0] == kept
    assert resumed.digest == whole.digest


STAND_IN = """\
#!/bin/sh
# in place of a training: asked to end, it is stopped (75); begun again, it is done
[ "$SLURM_RESTART_COUNT" ] && exit 0
trap 'echo "asked to end"; exit 75' TERM
while :; do sleep 0.2; done
"""


@pytest.mark.parametrize("script", [TRAIN, WORKER])
def test_slurm_itself_asks_before_the_time_limit(cluster, tmp_path, script):
    """The limit is moved to 4 minutes, so that less than the 300 s of the script's header are left."""
    program = tmp_path / "program"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    job = cluster.sbatch(script, "gpu-pool", RPT_PYTHON=str(program))
    cluster.wait(job, "RUNNING")
    cluster.update(job, TimeLimit=4)
    cluster.wait(job, "PENDING")
    cluster.update(job, TimeLimit=60)
    found = cluster.wait(job, "COMPLETED")
    assert found["Restarts"] == "1"
    assert cluster.said(job).count("is queued again") == 1


def test_two_nodes_train_together(cluster, tmp_path):
    """`srun` starts torchrun on each; they meet on the first, and the manifest names two ranks."""
    options = ("--nodes=2", "--gpus-per-node=2")
    job = train(cluster, tmp_path, "-p", "base.steps=20", "--placement", "ranks=2", options=options)
    cluster.wait(job, "COMPLETED")
    manifest = trained(tmp_path)
    assert manifest.numerics is not None
    assert manifest.numerics.world_size == 2
    assert "on n[1-2]" in cluster.said(job)


def test_a_cancelled_job_stays_away(cluster, tmp_path):
    job = train(cluster, tmp_path, "-p", "base.steps=5000", "--placement", EVERY_STEP)
    cluster.until(job, lambda: steps_saved(tmp_path))
    cluster.run("scancel", str(job))
    cluster.wait(job, "CANCELLED")
    time.sleep(15)  # one that was queued again would stand there now
    assert cluster.state(job)["JobState"] == "CANCELLED"
    assert "is queued again" not in cluster.said(job)


def test_gpus_that_no_node_has_are_refused_by_slurm(cluster, tmp_path):
    done = cluster.run("sbatch", "--gpus-per-node=3", TRAIN, *TINY)
    assert done.returncode != 0
    assert "Requested node configuration is not available" in done.stderr


def test_gpus_that_torch_cannot_use_end_the_job_in_a_sentence(cluster, tmp_path):
    """Slurm gives two devices, which are no GPUs of any driver; the job fails once and is not tried again."""
    options = ("--gpus-per-node=2",)
    job = train(cluster, tmp_path, "--placement", "gpus=2", options=options)
    found = cluster.wait(job, "FAILED")
    assert found["ExitCode"] == "2:0"
    assert re.search(r"rpt: 2 GPUs are asked for and this machine has no GPU", cluster.said(job))


@pytest.fixture(scope="module")
def up(tmp_path_factory) -> Iterator[Operated]:
    """A Prefect server with the pool and one deployment, as the head of worker.sbatch says."""
    operated = Operated(tmp_path_factory.mktemp("prefect"))
    try:
        operated.serve()
        for words in (
            ["work-pool", "create", "gpu-pool", "--type", "process", "--base-job-template", POOL],
            ["deploy", "--name", "flows.stages.cold_start/prod"],
        ):
            done = operated.prefect(*words)
            assert done.returncode == 0, done.stdout + done.stderr
        yield operated
    finally:
        operated.end()


def test_a_worker_whose_time_is_up_hands_its_run_back_and_goes_on_with_it(cluster, whole, up, tmp_path):
    """TERM as before the time limit: the run is AwaitingRetry, the job queues again, and both go on."""
    env = {"PREFECT_API_URL": up.api.url, "RPT_HOME": str(tmp_path), "RPT_PYTHON": cluster.python}
    job = cluster.sbatch(WORKER, "gpu-pool", **env, PREFECT_WORKER_QUERY_SECONDS="2")
    deployment = up.api.call("GET", "/deployments/name/cold-start/prod")
    fields = {"documents.sample.num_documents": 60, "base.documents_per_step": 2, "base.steps": STEPS}
    parameters = {
        "recipe": "tiny_rpt", "kind": "base", "overrides": {"fields": fields},
        "placement": {"checkpoint_seconds": 0.001},
    }  # fmt: skip
    run = up.api.call("POST", f"/deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})
    cluster.until(job, lambda: len(steps_saved(tmp_path)) > 1)
    cluster.term(job)
    cluster.wait(job, "PENDING")
    state = up.api.call("GET", f"/flow_runs/{run['id']}")["state"]
    assert (state["type"], state["name"]) == ("SCHEDULED", "AwaitingRetry")
    kept = max(steps_saved(tmp_path))

    cluster.until(job, lambda: is_final(up, run["id"]))
    assert up.api.call("GET", f"/flow_runs/{run['id']}")["state"]["type"] == "COMPLETED", cluster.said(job)
    resumed = trained(tmp_path)
    assert [attempt.outcome for attempt in resumed.attempts] == ["stopped", "done"]
    assert resumed.attempts[1].steps[0] == kept
    assert resumed.digest == whole.digest
    cluster.run("scancel", str(job))


def is_final(up: Operated, run: str) -> bool:
    return up.api.call("GET", f"/flow_runs/{run}")["state"]["type"] in (
        "COMPLETED",
        "FAILED",
        "CRASHED",
        "CANCELLED",
    )
