"""A stage on several ranks: all of them run, and rank 0 alone leaves anything behind."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import pytest

from infra.runs.attempt import RESULT_FILE, Job
from infra.runs.launch import rank_command
from infra.storage.store import Store
from rpt_core.artifacts.manifest import Outcome
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Frozen
from tasks import train_main
from tests.unit.infra.storage.test_store import NUMERICS, write


class Nothing(Frozen):
    """A recipe without a field."""


def stage(recipe, build):
    """What any training does: logs, says how far it is, saves, publishes, goes on from a save."""
    found = build.resume()
    build.log(4, {"from": float(found.step if found else 0)})
    build.progress(4, 8)
    folder = write(build.scratch / "state", w="weights")
    build.save(4, folder)
    build.milestone(4, folder, {})
    (build.out / "model.txt").write_text("weights")
    return Outcome(summary={"steps": 4})


@pytest.fixture
def job(tmp_path: Path, monkeypatch) -> Job:
    module = ModuleType("stage_of_ranks")
    module.stage, module.Nothing = stage, Nothing
    monkeypatch.setitem(sys.modules, "stage_of_ranks", module)
    return Job(
        function="stage_of_ranks:stage", recipe_class="stage_of_ranks:Nothing", recipe={}, kind="toy",
        fingerprint="f" * 64, parents={}, inputs={}, folder=tmp_path / "attempt", placement=Placement(),
        numerics=NUMERICS.model_copy(update={"world_size": 2}), store=str(tmp_path / "store"),
        cache=tmp_path / "cache", code="c", environment={}, started="2026-11-20T10:00:00+00:00",
    )  # fmt: skip


def run(job: Job, rank: int, monkeypatch) -> None:
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setattr(train_main, "joined", lambda job: nullcontext())  # the other rank is not there
    train_main.run(job, lambda: False)


def test_rank_1_writes_nothing_that_is_kept(job: Job, monkeypatch):
    run(job, 1, monkeypatch)
    assert not job.out.exists()
    assert not (job.folder / RESULT_FILE).exists()
    assert not list(job.folder.rglob("progress.json"))
    store = Store(job.store, job.cache)
    assert list(store.progress_steps(job.fingerprint, job.key)) == []
    run(job, 0, monkeypatch)
    assert sorted(path.name for path in job.out.iterdir()) == [
        "metrics.jsonl",
        "milestones.json",
        "model.txt",
        "timings.jsonl",
    ]
    assert list(store.progress_steps(job.fingerprint, job.key)) == [4]
    assert json.loads((job.folder / RESULT_FILE).read_text())["outcome"]["summary"] == {"steps": 4}


def test_every_rank_goes_on_from_rank_0s_checkpoint(job: Job, monkeypatch):
    run(job, 0, monkeypatch)
    run(job, 1, monkeypatch)
    lines = (job.folder / "rank-1" / "out" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1]) == {"step": 4, "from": 4.0}


def test_a_job_of_one_rank_goes_on_from_the_checkpoint_of_two(job: Job, monkeypatch):
    run(job, 0, monkeypatch)
    alone = job.model_copy(
        update={
            "folder": job.folder.parent / "alone",
            "numerics": job.numerics.model_copy(update={"world_size": 1}),
        }
    )
    train_main.run(alone, lambda: False)
    lines = (alone.out / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1]) == {"step": 4, "from": 4.0}
    attempts = json.loads((alone.folder / RESULT_FILE).read_text())["attempts"]
    assert [attempt["host"]["ranks"] for attempt in attempts] == [2, 1]


def test_as_many_ranks_are_started_as_the_manifest_will_say(job: Job):
    assert job.world_size == 2
    assert "--nproc-per-node=2" in rank_command("tasks.train_main", [], job.world_size)
    assert job.model_copy(update={"numerics": None}).world_size == 1
