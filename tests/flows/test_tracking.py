"""MLflow as a view: each step once, however often and from wherever it is projected, and never a failure."""

import json
import logging
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from infra.local.state import sqlite_uri
from infra.metrics import projection, server, tracking
from infra.metrics.projection import project
from infra.metrics.server import EXPERIMENT, connected
from infra.metrics.tracking import LiveView, Told, track
from infra.metrics.views import View, flat
from infra.storage.store import Store
from rpt_core.artifacts.build import FLOPS, METRICS_FILE, LocalBuild
from rpt_core.artifacts.manifest import Attempt, Manifest, Outcome, RowCounts
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Ref
from rpt_core.errors import EngineError, Stopped
from rpt_core.recipes.scaling import ScalingRecipe
from rpt_core.scaling.fit import fit_scaling
from rpt_core.train.rl.reinforce import train_policy
from tests.flows.small_training import small_policy
from tests.unit.evaluation.tables import AFTER, Planted, write_evaluation

STARTED = "2026-11-20T10:00:00+00:00"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """One database for the module (its tables take two seconds), at a path that needs quoting."""
    return tmp_path_factory.mktemp("a home é 50% #1")


@pytest.fixture
def client(home):
    with connected(sqlite_uri(home), home) as one:
        return one


@pytest.fixture
def view(tmp_path, request) -> View:
    fingerprint = request.node.name[-60:].encode().hex()[:64]
    recipe = {"steps": 6, "optimiser": {"name": "adamw"}, "stage": "train-rpt"}
    return View("train", "policy", fingerprint, recipe, tmp_path, STARTED)


def log(view: View, steps: range, offset: float = 0.0, *, flops: bool = True, seconds: float = 2.0) -> None:
    with (
        (view.folder / "metrics.jsonl").open("a") as metrics,
        (view.folder / "timings.jsonl").open("a") as timings,
    ):
        for step in steps:
            row = {"step": step, "reward": step + offset, "odd % name": 1.0}
            metrics.write(json.dumps({**row, FLOPS: 2.5 * step} if flops else row) + "\n")
            timings.write(json.dumps({"step": step, "seconds": seconds}) + "\n")


def history(client, view: View, metric: str) -> list[tuple[int, float]]:
    run = the_run(client, view)
    return sorted((m.step, m.value) for m in client.get_metric_history(run.info.run_id, metric))


def the_run(client, view: View):
    experiment = client.get_experiment_by_name(EXPERIMENT)
    runs = client.search_runs([experiment.experiment_id], f"tags.`rpt.fingerprint` = '{view.fingerprint}'")
    assert len(runs) == 1
    return runs[0]


def test_a_run_is_called_as_people_speak_of_it_and_found_by_its_tags(home, client, view):
    log(view, range(1, 3))
    tags = {"rpt.recipe": "tiny_rpt", "rpt.role": "policy", "rpt.seed": "3", "prefect.url": "http://x/runs/1"}
    project(replace(view, tags=tags), sqlite_uri(home), home)
    run = the_run(client, view)
    assert run.info.run_name == "tiny_rpt-policy seed 3"
    assert {name: run.data.tags[name] for name in tags} == tags
    assert run.data.tags["rpt.ref"] == f"policy/{view.fingerprint[:12]}"


def test_the_experiment_opens_on_its_runs_and_says_what_they_are(home, client, view):
    project(view, sqlite_uri(home), home)
    found = client.get_experiment_by_name(EXPERIMENT)
    assert found.tags["mlflow.experimentKind"] == "custom_model_development"
    assert "_by_gflops" in found.tags["mlflow.note.content"]
    for name, (_, search, columns) in server.VIEWS.items():
        assert server.view_path(found.experiment_id, name) in found.tags["mlflow.note.content"]
        saved = json.loads(found.tags[f"mlflow.sharedViewState.{name}"])
        assert saved["name"] == name
        state = json.loads(saved["state"])
        assert (state["searchFilter"], state["selectedColumns"]) == (search, columns)
        assert ("groupBy" in state) == bool(search)
        client.search_runs([found.experiment_id], search)  # a filter that MLflow refuses raises


def test_an_experiment_of_an_earlier_version_is_brought_up_to_date(home, client, view):
    project(view, sqlite_uri(home), home)
    number = client.get_experiment_by_name(EXPERIMENT).experiment_id
    client.set_experiment_tag(number, "mlflow.note.content", "as it was")
    client.set_experiment_tag(number, "mlflow.experimentKind", "genai_development")
    project(view, sqlite_uri(home), home)
    found = client.get_experiment(number).tags
    assert found["mlflow.experimentKind"] == "custom_model_development"
    assert found["mlflow.note.content"] == server.note(number)


@pytest.mark.parametrize(
    ("raised", "status"),
    [(Stopped("stopped"), "KILLED"), (KeyboardInterrupt(), "KILLED"), (EngineError("died"), "FAILED")],
)
def test_what_ends_without_an_artifact_does_not_run_for_ever(home, client, view, monkeypatch, raised, status):
    monkeypatch.setattr(tracking, "tracking_uri", lambda: sqlite_uri(home))
    monkeypatch.setattr(tracking, "state_folder", lambda: home)
    log(view, range(1, 3))

    def attempt() -> None:
        with LiveView(view, every_seconds=0) as live:
            live.poll()
            assert the_run(client, view).info.status == "RUNNING"
            raise raised

    with pytest.raises(type(raised)):
        attempt()
    assert the_run(client, view).info.status == status
    with LiveView(view, every_seconds=0) as again:  # a later attempt resumes
        again.poll()
        assert the_run(client, view).info.status == "RUNNING"


def test_what_was_never_shown_is_not_begun_by_its_end(home, client, view, monkeypatch):
    monkeypatch.setattr(tracking, "tracking_uri", lambda: pytest.fail("MLflow is asked"))
    with pytest.raises(Stopped), LiveView(view):
        raise Stopped("at once")


def test_every_metric_is_shown_over_steps_and_over_computing(home, client, view):
    log(view, range(1, 4))
    project(view, sqlite_uri(home), home)
    assert history(client, view, "reward") == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert history(client, view, "reward_by_gflops") == [(2, 1.0), (5, 2.0), (7, 3.0)]
    assert history(client, view, "odd _ name") == [(1, 1.0), (2, 1.0), (3, 1.0)]
    run = the_run(client, view)
    assert run.data.params["optimiser.name"] == "adamw"
    assert run.info.status == "RUNNING"
    points = client.get_metric_history(run.info.run_id, "reward")
    assert sorted(p.timestamp - run.info.start_time for p in points) == [2000, 4000, 6000]


def test_a_record_without_flops_has_no_computing_axis(home, client, view):
    log(view, range(1, 3), flops=False)
    project(view, sqlite_uri(home), home)
    assert "reward_by_gflops" not in the_run(client, view).data.metrics


def test_the_record_of_a_real_training_has_its_computing_axis(home, client, view, tmp_path):
    """Every metric of two real steps, by the operations the trainer counted; nothing here is made up."""
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    recipe = small_policy(tmp_path, store, steps=2, milestones=()).model_copy(update={"prompts_per_step": 40})
    folders = {name: store.materialise(found) for name, found in recipe.inputs().items()}
    train_policy(recipe, LocalBuild(folders, tmp_path / "trained", tmp_path / "scratch"))
    view = replace(view, folder=tmp_path / "trained")
    rows = [json.loads(line) for line in (view.folder / METRICS_FILE).read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    project(view, sqlite_uri(home), home)
    at = [int(row[FLOPS]) for row in rows]
    assert 0 < at[0] < at[1]
    names = rows[0].keys() - {"step", FLOPS}
    assert {"reward_mean", "loss", "grad_norm", "tokens_total"} <= names
    for name in names:
        expected = sorted((gflops, row[name]) for gflops, row in zip(at, rows, strict=True))
        assert history(client, view, f"{name}_by_gflops") == expected
    assert history(client, view, FLOPS) == [(row["step"], row[FLOPS]) for row in rows]


def test_a_growing_record_is_shown_piece_by_piece_and_once(home, client, view):
    for steps in (range(1, 3), range(3, 5), range(5, 5)):
        log(view, steps)
        project(view, sqlite_uri(home), home)
    with (view.folder / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"step": 5, "rew')  # a line half written
    project(view, sqlite_uri(home), home)
    assert history(client, view, "reward") == [(i, float(i)) for i in range(1, 5)]


def test_a_writer_that_died_before_it_noted_how_far_it_was_repeats_nothing(home, client, view, monkeypatch):
    log(view, range(1, 4))
    killed_before_the_note(view, home, monkeypatch)
    project(view, sqlite_uri(home), home)
    assert history(client, view, "reward") == [(1, 1.0), (2, 2.0), (3, 3.0)]


def killed_before_the_note(view: View, home: Path, monkeypatch) -> None:
    """Show the record, and die after its last metric."""
    write = projection._log_metrics

    def die(*given) -> None:
        write(*given)
        raise OSError("killed here")

    with monkeypatch.context() as broken:
        broken.setattr(projection, "_log_metrics", die)
        with pytest.raises(OSError, match="killed here"):
            project(view, sqlite_uri(home), home)


@pytest.mark.parametrize("offset", [0.0, 0.5], ids=["same", "other"])
def test_an_attempt_after_a_writer_that_died_gives_each_step_once(home, client, view, monkeypatch, offset):
    """The steps are taken again, at other seconds; with other values where another machine resumed."""
    log(view, range(1, 4))
    killed_before_the_note(view, home, monkeypatch)
    for name in ("metrics.jsonl", "timings.jsonl"):
        path = view.folder / name
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:1]))
    project(view, sqlite_uri(home), home)
    log(view, range(2, 5), offset, seconds=3.0)
    project(view, sqlite_uri(home), home)
    expected = [(i, float(i) + (offset if i > 1 else 0)) for i in range(1, 5)]
    assert history(client, view, "reward") == expected
    assert [step for step, _ in history(client, view, "time/seconds")] == [1, 2, 3, 4]
    assert history(client, view, "reward_by_gflops") == [(int(2.5 * i), value) for i, value in expected]


def test_a_step_waits_for_its_timings(home, client, view):
    log(view, range(1, 3))
    with (view.folder / "metrics.jsonl").open("a") as metrics:
        metrics.write(json.dumps({"step": 3, "reward": 3.0}) + "\n")
    project(view, sqlite_uri(home), home)
    assert history(client, view, "reward") == [(1, 1.0), (2, 2.0)]
    with (view.folder / "timings.jsonl").open("a") as timings:
        timings.write(json.dumps({"step": 3, "seconds": 7.0}) + "\n")
    project(view, sqlite_uri(home), home)
    assert history(client, view, "reward") == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert history(client, view, "time/seconds") == [(1, 2.0), (2, 2.0), (3, 7.0)]


@pytest.mark.parametrize("offset", [0.0, 0.5], ids=["same", "other"])
def test_a_resumed_run_has_no_step_twice(home, client, view, offset):
    log(view, range(1, 6))
    project(view, sqlite_uri(home), home)
    for name in ("metrics.jsonl", "timings.jsonl"):
        path = view.folder / name
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:3]))
    log(view, range(4, 5), offset)
    project(view, sqlite_uri(home), home)  # still behind what was shown
    log(view, range(5, 7), offset)
    project(view, sqlite_uri(home), home)
    expected = [(i, float(i) + (offset if i > 3 else 0)) for i in range(1, 7)]
    assert history(client, view, "reward") == expected


def manifest_of(view: View) -> Manifest:
    return Manifest(
        kind=view.kind,
        fingerprint=view.fingerprint,
        digest="cd" * 32,
        recipe=dict(view.recipe),
        placement=Placement(),
        parents={},
        files=(),
        outcome=Outcome(
            rows=RowCounts(rows_in=10, kept=8, dropped={"too-short": 2}),
            flops=3e12,
            summary={"accuracy": 0.5, "note": "text is not a metric"},
        ),
        code="ab" * 32,
        environment={},
        created=STARTED,
        attempts=(Attempt(started=STARTED, seconds=12.5, outcome="done"),),
    )


class Folder:
    """A store that holds one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fetch(self, files, folder: Path) -> Path:
        return self.folder


def test_a_finished_artifact_is_shown_and_shown_again_without_change(home, client, view, monkeypatch):
    monkeypatch.setenv("RPT_HOME", str(home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    log(view, range(1, 4))
    for _ in range(3):
        assert (
            track(Folder(view.folder), manifest_of(view), Told("train", {"prefect.flow_run_id": "f-1"})) == ""
        )
    run = the_run(client, view)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["result/accuracy"] == 0.5
    assert run.data.metrics["spent/gflops"] == 3000
    assert run.data.metrics["spent/rows_kept"] == 8
    assert run.data.tags["prefect.flow_run_id"] == "f-1"
    assert re.fullmatch(r"[0-9a-f]{40}|unknown", run.data.tags["git_sha"])
    assert len(client.get_metric_history(run.info.run_id, "reward")) == 3


def test_what_an_evaluation_logs_as_its_whole_is_not_shown_twice(home, client, view, monkeypatch):
    monkeypatch.setenv("RPT_HOME", str(home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    whole = {"step": 0, "accuracy": 0.5, "other": 0.25}
    (view.folder / "metrics.jsonl").write_text(json.dumps(whole) + "\n")
    manifest = manifest_of(view)
    outcome = manifest.outcome.model_copy(update={"summary": {"accuracy": 0.5, "other": 0.75, "new": 1.0}})
    track(Folder(view.folder), manifest.model_copy(update={"outcome": outcome}), Told("train"))
    metrics = the_run(client, view).data.metrics
    assert (metrics["accuracy"], metrics["other"]) == (0.5, 0.25)
    assert {name for name in metrics if name.startswith("result/")} == {"result/other", "result/new"}


@pytest.mark.parametrize("milestones", [{}, {2: 0.5, 4: 0.6, 8: 0.7, 16: 0.74, 32: 0.77, 48: 0.78}])
def test_a_fit_is_shown_with_its_ends_and_its_verdict(home, client, view, monkeypatch, tmp_path, milestones):
    """Written by the stage itself; a fit that is undecided says so in a tag, and claims no number."""
    monkeypatch.setenv("RPT_HOME", str(home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    view = replace(view, fingerprint=f"{len(milestones)}" * 64)
    recipe = ScalingRecipe(evaluation=Ref(ref="x@1"), resamples=40)
    folder = write_evaluation(tmp_path / "evaluation", AFTER, milestones=milestones, planted=Planted(40, 3))
    build = LocalBuild({"evaluation": folder}, tmp_path / "out", tmp_path / "scratch")
    outcome = fit_scaling(recipe, build)
    manifest = manifest_of(view).model_copy(update={"kind": "scaling", "outcome": outcome})
    track(Folder(build.out), manifest, Told("train"))
    run = the_run(client, view)
    assert run.data.tags["law_verdict"] == outcome.summary["law_verdict"]
    names = [f"easy_{name}{end}" for name in ("alpha", "a", "p_star") for end in ("", "_low", "_high")]
    told = {name: outcome.summary[name] for name in names if outcome.summary[name] is not None}
    shown = {name: run.data.metrics.get(f"result/{name}") for name in told}
    assert shown == told
    assert len([name for name in told if name.startswith("easy_alpha")]) == (3 if milestones else 0)
    assert not any(name.startswith("result/easy_alpha") for name in run.data.metrics if not milestones)
    if not milestones:
        assert run.data.tags["law_verdict"] == "undecided"


def test_pictures_go_along(home, client, view):
    (view.folder / "curve.png").write_bytes(b"\x89PNG")
    view = replace(view, digest="ef" * 32, pictures=(view.folder / "curve.png",))
    project(view, sqlite_uri(home), home)
    run = the_run(client, view)
    assert [item.path for item in client.list_artifacts(run.info.run_id)] == ["curve.png"]
    assert run.info.artifact_uri.startswith((home / "mlflow-files").as_uri())


def test_a_live_view_waits_its_period(home, client, view, monkeypatch):
    monkeypatch.setenv("RPT_HOME", str(home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    log(view, range(1, 3))
    live = LiveView(view, every_seconds=0.2)
    live.poll()
    experiment = client.get_experiment_by_name(EXPERIMENT)
    query = f"tags.`rpt.fingerprint` = '{view.fingerprint}'"
    assert not client.search_runs([experiment.experiment_id], query)
    time.sleep(0.25)
    live.poll()
    assert history(client, view, "reward") == [(1, 1.0), (2, 2.0)]


@pytest.fixture
def fresh_outage(monkeypatch):
    monkeypatch.setattr(tracking, "_down_until", 0.0)
    yield
    tracking._down_until = 0.0


def test_an_outage_is_one_warning_and_no_failure(view, monkeypatch, caplog, fresh_outage):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    log(view, range(1, 3))
    with caplog.at_level(logging.WARNING, "rpt.tracking"):
        begin = time.monotonic()
        for _ in range(3):
            assert track(Folder(view.folder), manifest_of(view), Told("train")) == ""
        assert time.monotonic() - begin < 20
        tracking._down_until = 1e-9  # the pause is over, MLflow still away
        assert track(Folder(view.folder), manifest_of(view), Told("train")) == ""
    told = [record.getMessage() for record in caplog.records if record.name == "rpt.tracking"]
    assert len(told) == 1
    assert "rpt track" in told[0]


def test_a_recipe_becomes_flat_text():
    nested = {"a": [{"b": 1}, {"b": 2}], "c": None, "d": (0.9, 0.95)}
    assert flat(nested) == {"a.0.b": "1", "a.1.b": "2", "c": "None", "d": "0.9, 0.95"}
