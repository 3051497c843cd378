"""An attempt goes on from its latest checkpoint, and a view of it counts the time of all attempts."""

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.metrics import tracking
from infra.metrics.tracking import Told
from infra.runs import attempt as attempts
from infra.runs.attempt import Job, StoreBuild
from infra.storage.objects import Objects
from infra.storage.store import Store
from rpt_core.artifacts.manifest import Attempt, Manifest, Outcome, RowCounts
from rpt_core.artifacts.placement import Placement
from tests.unit.infra.storage.test_store import NUMERICS, write

STARTED = "2026-11-20T10:00:00+00:00"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), tmp_path / "cache")


def attempt(store: Store, folder: Path, *, keep: int = 2) -> StoreBuild:
    job = Job(
        function="m:f", recipe_class="m:C", recipe={}, kind="toy", fingerprint="f" * 64, parents={},
        inputs={}, folder=folder, placement=Placement(keep_checkpoints=keep), numerics=NUMERICS,
        store=store.objects.url, cache=store.cache, code="c", environment={}, started=STARTED,
    )  # fmt: skip
    return StoreBuild(job, store, lambda: False)


def train(build: StoreBuild, folder: Path, first: int, last: int) -> None:
    """Steps that log their number; every third is saved."""
    for step in range(first, last + 1):
        build.log(step, {"x": float(step)})
        if step % 3 == 0:
            build.save(step, write(folder / str(step), w=f"weights {step}"))


def steps(build: StoreBuild) -> list[int]:
    return [json.loads(line)["step"] for line in (build.out / "metrics.jsonl").read_text().splitlines()]


def test_an_attempt_goes_on_from_the_latest_checkpoint(store: Store, tmp_path: Path):
    train(attempt(store, tmp_path / "one"), tmp_path / "states", 1, 8)
    second = attempt(store, tmp_path / "two")
    saved = second.resume()
    assert saved is not None
    assert saved.step == 6
    assert (saved.folder / "w.txt").read_text() == "weights 6"
    assert steps(second) == [1, 2, 3, 4, 5, 6]
    assert [one.steps for one in second.earlier] == [(0, 6)]
    train(second, tmp_path / "states", 7, 9)
    third = attempt(store, tmp_path / "three")
    assert third.resume().step == 9
    assert [one.steps for one in third.earlier] == [(0, 6), (6, 9)]


def test_a_damaged_checkpoint_is_passed_over(store: Store, tmp_path: Path, capsys):
    train(attempt(store, tmp_path / "one"), tmp_path / "states", 1, 6)
    for blob in Path(store.objects.key("checkpoints")).rglob("*"):
        if blob.is_file() and blob.read_bytes() == b"weights 6":
            blob.chmod(0o644)
            blob.write_text("evil")
    second = attempt(store, tmp_path / "two")
    assert second.resume().step == 3
    assert steps(second) == [1, 2, 3]
    assert "checkpoint 6 is passed over" in capsys.readouterr().out


@pytest.mark.parametrize("after", [0, 1])
def test_a_checkpoint_that_is_replaced_while_it_is_read_gives_way_to_the_new_one(
    store: Store, tmp_path: Path, monkeypatch, capsys, after: int
):
    first = attempt(store, tmp_path / "one", keep=1)
    train(first, tmp_path / "states", 1, 3)
    fetch, fetched = Objects.fetch, []

    def fetch_late(self, entry, target):
        fetched.append(entry.path)
        if len(fetched) == after + 1:
            train(first, tmp_path / "states", 4, 6)
        fetch(self, entry, target)

    monkeypatch.setattr(Objects, "fetch", fetch_late)
    second = attempt(store, tmp_path / "two", keep=1)
    assert second.resume().step == 6
    assert steps(second) == [1, 2, 3, 4, 5, 6]
    assert "checkpoint 3 is passed over: the checkpoint lacks the content" in capsys.readouterr().out


def test_whoever_resumes_beside_a_training_always_finds_a_whole_checkpoint(store: Store, tmp_path: Path):
    first = attempt(store, tmp_path / "one", keep=1)
    train(first, tmp_path / "states", 1, 3)
    writer = threading.Thread(target=train, args=(first, tmp_path / "states", 4, 120))
    writer.start()
    found = []
    while writer.is_alive() or not found:
        reader = attempt(store, tmp_path / f"reader{len(found)}", keep=1)
        saved = reader.resume()
        assert saved is not None
        assert (saved.folder / "w.txt").read_text() == f"weights {saved.step}"
        assert steps(reader)[-1] == saved.step
        found.append(saved.step)
    writer.join()
    assert found == sorted(found)
    assert store.progress_steps("f" * 64, NUMERICS.key()) == [120]
    contents = [each for each in Path(store.objects.key("checkpoints")).rglob("*") if each.is_file()]
    assert len(contents) == 3, "its metrics, its timings and its weights"


def test_the_first_attempt_begins_at_the_beginning(store: Store, tmp_path: Path):
    build = attempt(store, tmp_path / "one")
    assert build.resume() is None
    assert (build.first_step, build.earlier) == (0, ())


@pytest.mark.parametrize(("keep", "kept"), [(1, [9]), (2, [6, 9])])
def test_as_many_checkpoints_are_kept_as_the_placement_asks(store: Store, tmp_path: Path, keep, kept):
    train(attempt(store, tmp_path / "one", keep=keep), tmp_path / "states", 1, 9)
    assert store.progress_steps("f" * 64, NUMERICS.key()) == kept


def test_what_was_spent_is_that_of_all_attempts(tmp_path: Path, monkeypatch):
    views = []
    monkeypatch.setattr(tracking, "_down_until", 0.0)  # an earlier test may have found MLflow away
    monkeypatch.setattr(tracking, "project", lambda view, *rest: views.append(view) or "")
    monkeypatch.setattr(tracking, "tracking_uri", lambda: "")

    class Here:
        def fetch(self, files, folder):
            return tmp_path

    rows = RowCounts(rows_in=5, kept=3, dropped={"short": 2})
    manifest = Manifest(
        kind="toy", fingerprint="f" * 64, digest="d" * 64, recipe={}, placement=Placement(), parents={},
        files=(), outcome=Outcome(rows=rows, flops=3e9, tokens=70, summary={"steps": 9, "name": "x"}),
        code="c", environment={}, created=datetime.now(UTC).isoformat(),
        attempts=tuple(
            Attempt(started=f"2026-11-20T1{hour}:00:00+00:00", seconds=seconds, outcome=outcome)
            for hour, seconds, outcome in ((0, 10.0, "stopped"), (1, 5.0, "done"))
        ),
    )  # fmt: skip
    tracking.track(Here(), manifest, Told("data"))
    (view,) = views
    assert view.started == STARTED
    assert view.results == {
        "result/steps": 9.0, "spent/rows_in": 5.0, "spent/rows_kept": 3.0, "spent/tokens": 70.0,
        "spent/gflops": 3.0, "spent/seconds": 15.0,
    }  # fmt: skip


def test_milestones_are_artifacts_of_their_own_and_gone_on_with(store: Store, tmp_path: Path):
    build = attempt(store, tmp_path / "one")
    model, state = write(tmp_path / "model", w="two"), write(tmp_path / "state", m="moments")
    build.milestone(2, model, {"eval/accuracy": 0.5})
    build.milestone(4, write(tmp_path / "model4", w="four"), {"eval/accuracy": 0.75}, state)
    build.log(4, {"x": 1.0})
    build.save(4, state)
    found = json.loads((build.out / "milestones.json").read_text())
    assert list(found) == ["2", "4"]
    manifests = [store.manifest(one["kind"], one["fingerprint"]) for one in found.values()]
    assert [one.kind for one in manifests] == ["checkpoint", "checkpoint"]
    assert [one.recipe for one in manifests] == [
        {"stage": "checkpoint", "of": "f" * 64, "step": step} for step in (2, 4)
    ]
    assert [one.outcome.summary for one in manifests] == [
        {"step": 2, "eval/accuracy": 0.5}, {"step": 4, "eval/accuracy": 0.75},
    ]  # fmt: skip
    assert [sorted(entry.path for entry in one.files) for one in manifests] == [
        ["milestone.json", "model/w.txt"], ["milestone.json", "model/w.txt", "state/m.txt"],
    ]  # fmt: skip
    assert all(one.attempts[0].outcome == "done" and one.attempts[0].seconds >= 0 for one in manifests)
    second = attempt(store, tmp_path / "two")
    assert second.resume().step == 4
    assert json.loads((second.out / "milestones.json").read_text()) == found


def test_word_of_progress_is_left_whole(store: Store, tmp_path: Path):
    build = attempt(store, tmp_path / "one")
    build.progress(3, 8, "answers")
    assert json.loads((build.job.folder / "progress.json").read_text()) == {
        "done": 3, "total": 8, "note": "answers", "resumed_at": None,
    }  # fmt: skip
    assert [path.name for path in build.job.folder.glob("progress*")] == ["progress.json"]


def test_an_attempt_says_what_it_was_and_where(store: Store, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(attempts.time, "monotonic", iter([100.0, 112.34567]).__next__)
    monkeypatch.setattr(attempts.os, "uname", lambda: SimpleNamespace(nodename="node7"))
    monkeypatch.setattr(attempts.os, "cpu_count", lambda: None)
    build = attempt(store, tmp_path / "one")
    build.first_step, build.last_step = 3, 8
    assert build.attempt("failed") == Attempt(
        started=STARTED, seconds=12.346, steps=(3, 8), outcome="failed",
        host={"name": "node7", "cpus": 0, "ranks": NUMERICS.world_size},
    )  # fmt: skip


def test_progress_is_kept_by_numerics_whatever_the_number_of_ranks(store: Store, tmp_path: Path):
    job = attempt(store, tmp_path / "one").job
    many = job.model_copy(update={"numerics": NUMERICS.model_copy(update={"world_size": 7})})
    other = job.model_copy(update={"numerics": NUMERICS.model_copy(update={"threads": 9})})
    exact = job.model_copy(update={"numerics": None})
    assert (many.world_size, exact.world_size, exact.key) == (7, 1, "exact")
    assert many.key == NUMERICS.model_copy(update={"world_size": 1}).key() != other.key


def test_what_is_published_is_what_the_job_says(store: Store, tmp_path: Path):
    job = attempt(store, tmp_path / "one").job.model_copy(
        update={"recipe": {"a": 3}, "environment": {"p": "3"}}
    )
    spent = (Attempt(started=STARTED, seconds=2.5, outcome="done"),)
    folder = write(tmp_path / "made", w="weights")
    (folder / "timings.jsonl").write_text("{}")
    made = attempts.publish(store, job, folder, Outcome(tokens=70), spent)
    assert made == store.manifest("toy", "f" * 64)
    assert (made.kind, made.recipe, made.code, made.environment) == ("toy", {"a": 3}, "c", {"p": "3"})
    assert (made.placement, made.numerics, made.parents) == (job.placement, NUMERICS, {})
    assert (made.outcome, made.attempts) == (Outcome(tokens=70), spent)
    assert [(entry.path, entry.volatile) for entry in made.files] == [
        ("timings.jsonl", True),
        ("w.txt", False),
    ]
    assert datetime.fromisoformat(made.created).microsecond == 0
    store.verify(made)


def test_an_attempt_stops_when_it_is_asked_to(store: Store, tmp_path: Path):
    asked = []
    build = StoreBuild(attempt(store, tmp_path / "one").job, store, lambda: bool(asked))
    assert not build.stopping()
    asked.append("now")
    assert build.stopping()
