"""One build's record, projected into one MLflow run that is found again by its fingerprint and journey."""

import hashlib
import subprocess
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from itertools import filterfalse
from pathlib import Path
from typing import TYPE_CHECKING

from infra.local.links import TRAINING_PAGES
from infra.metrics.lineage import show_lineage
from infra.metrics.record import Line, Point, placed, read_record
from infra.metrics.registry import show_registered
from infra.metrics.server import alone, connected, experiment_id
from infra.metrics.views import ROLE_TAG, Journey, View, plain_name, plain_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

RESULT = "result/"
"""Before the names of a finished artifact's single numbers."""
FINGERPRINT_TAG, GROUP_TAG, JOURNEY_TAG, ROOT_TAG = "rpt.fingerprint", "rpt.group", "rpt.journey", "rpt.root"
_LINES_TAG, _PREFIX_TAG, _DIGEST_TAG = "rpt.lines", "rpt.prefix", "rpt.digest"
_BEGUN_TAG = "rpt.begun"
"""Lines that a writer set out to write; more than :data:`_LINES_TAG` when it did not come to the end."""
_STARTED_TAG = "rpt.started"
"""Milliseconds from which the build's steps are placed in time: its first attempt's, whoever shows it."""
_PARENT_TAG = "mlflow.parentRunId"
_RUNNING, _MOST_RUNS = "RUNNING", 1000
_METRICS_PER_BATCH, _PARAMS_PER_BATCH = 1000, 100


def project(view: View, uri: str, home: Path) -> str:
    """Bring the run of one build up to date with its files, and its journey's with it.

    A prefix of the record that is already shown is not written again. If what is shown is no longer a
    prefix of it (an attempt was resumed elsewhere and went another way), the run is replaced.

    Args:
        view: What to show.
        uri: MLflow tracking URI.
        home: State folder of this machine, for a database and files of its own.

    Returns:
        Address of the run in a browser; empty for a database without a server.
    """
    with connected(uri, home) as client:
        record = read_record(view.folder, growing=not view.digest)
        with alone(home):
            run = _open_run(client, experiment_id(client, uri, home), view, record)
        if not view.digest or run.data.tags.get(_DIGEST_TAG) != view.digest:
            _bring_up_to_date(client, run, view, record)
            if view.digest:
                with alone(home):
                    show_registered(client, run, view)
                _tag(client, run, {_DIGEST_TAG: view.digest})
        experiment, run_id = run.info.experiment_id, run.info.run_id
    page = f"{uri}/#/experiments/{experiment}/runs/{run_id}?{TRAINING_PAGES}"
    return page if uri.startswith("http") else ""


def end(view: View, uri: str, home: Path, status: str) -> None:
    """Say in MLflow how a build ended that made nothing: ``KILLED`` when it was stopped, else ``FAILED``.

    A later attempt that resumes makes it ``RUNNING`` again.
    """
    with connected(uri, home) as client:
        for run in _runs_of(client, experiment_id(client, uri, home), view):
            _terminate(client, run, status)


def end_journey(journey: Journey, uri: str, home: Path, status: str) -> None:
    """The same of a journey's own run, where nothing was made in the end."""
    with connected(uri, home) as client:
        for run in _journeys_own(client, experiment_id(client, uri, home), journey):
            _terminate(client, run, status)


def shown(journey: Journey, uri: str, home: Path) -> frozenset[str]:
    """Fingerprints of what stands whole in a journey's runs."""
    with connected(uri, home) as client:
        runs = _search(client, experiment_id(client, uri, home), {JOURNEY_TAG: journey.key})
        return frozenset(run.data.tags[FINGERPRINT_TAG] for run in runs if run.data.tags.get(_DIGEST_TAG))


def journeys_with(fingerprint: str, uri: str, home: Path) -> list[tuple[Journey, bool]]:
    """The journeys that show an artifact, each with whether the artifact is its root."""
    with connected(uri, home) as client:
        found = _search(client, experiment_id(client, uri, home), {FINGERPRINT_TAG: fingerprint})
        return [
            (Journey(tags[JOURNEY_TAG], run.info.run_name), ROOT_TAG in tags)
            for run in found
            if JOURNEY_TAG in (tags := run.data.tags)
        ]


def _terminate(client: "MlflowClient", run: "Run", status: str) -> None:
    if run.info.status == _RUNNING:
        client.set_terminated(run.info.run_id, status)


def _bring_up_to_date(client: "MlflowClient", run: "Run", view: View, record: Sequence[bytes]) -> None:
    tags = run.data.tags
    known, begun = int(tags.get(_LINES_TAG, "0")), int(tags.get(_BEGUN_TAG, "0"))
    if known > len(record):
        return  # a resumed attempt has yet to catch up with what an earlier one showed
    lines = placed(view.folder, record, int(tags.get(_STARTED_TAG, run.info.start_time)))
    new = [point for line in lines[known:] for point in (*line.points(), *line.readings())]
    if begun > known:
        new = list(filterfalse(_is_there(run), new))
    if new:
        _tag(client, run, {_BEGUN_TAG: str(max(begun, len(record)))})
    _log_metrics(client, run, new)
    if view.digest:
        _finish(client, run, view, lines)
    _tag(client, run, {_LINES_TAG: str(len(record)), _PREFIX_TAG: _sha256(record)})


def _is_there(run: "Run") -> Callable[[Point], bool]:
    """Whether a writer that died wrote a point: they go in the order of steps, in batches that are whole."""
    latest = {metric.key: metric.step for metric in run.data.to_proto().metrics}
    return lambda point: point.step <= latest.get(point.name, -1)


def _went_another_way(run: "Run", view: View, record: Sequence[bytes]) -> bool:
    """Whether a writer that died left values which the record does not have at their step."""
    known, begun = (int(run.data.tags.get(tag, "0")) for tag in (_LINES_TAG, _BEGUN_TAG))
    if not known < begun or known >= len(record):
        return False
    lines = placed(view.folder, record, 0)
    expected: dict[str, dict[int, set[float]]] = {}
    for point in (point for line in lines for point in line.points()):
        expected.setdefault(point.name, {}).setdefault(point.step, set()).add(point.value)
    latest = [one for one in run.data.to_proto().metrics if one.key in expected]
    # what lies beyond the record is judged when the record has come so far
    return any(
        one.step <= max(steps) and one.value not in steps.get(one.step, ())
        for one in latest
        for steps in (expected[one.key],)
    )


def _open_run(client: "MlflowClient", experiment: str, view: View, record: Sequence[bytes]) -> "Run":
    """The build's run, as long as what it shows is a prefix of the record; otherwise a new one."""
    parent = None if view.root or view.journey is None else _journeys_run(client, experiment, view)
    for run in _runs_of(client, experiment, view):
        known = int(run.data.tags.get(_LINES_TAG, "0"))
        behind = known > len(record) and not view.digest
        same = behind or _sha256(record[:known]) == run.data.tags.get(_PREFIX_TAG, _sha256([]))
        if same and not _went_another_way(run, view, record):
            if FINGERPRINT_TAG not in run.data.tags:  # a journey's, begun before what it is made for
                return _described(client, run, view)
            return _going_on(client, run)
        client.delete_run(run.info.run_id)
    tags = {_PARENT_TAG: parent.info.run_id} if parent else {}
    run = client.create_run(experiment, start_time=_milliseconds(view.started), run_name=view.name, tags=tags)
    run = _described(client, run, view)
    if view.root and view.journey is not None:  # in the place of one that went another way
        for child in _search(client, experiment, {JOURNEY_TAG: view.journey.key}):
            if ROOT_TAG not in child.data.tags:
                client.set_tag(child.info.run_id, _PARENT_TAG, run.info.run_id)
    return run


def _going_on(client: "MlflowClient", run: "Run") -> "Run":
    if run.info.status != _RUNNING and not run.data.tags.get(_DIGEST_TAG):
        client.update_run(run.info.run_id, status=_RUNNING)
    return run


def _journeys_run(client: "MlflowClient", experiment: str, view: View) -> "Run":
    """The run of the journey that a build is part of; it begins with its first part."""
    journey = view.journey
    assert journey is not None, "asked for a part of a journey"
    found = _journeys_own(client, experiment, journey)
    if found:
        return _going_on(client, found[0])
    return client.create_run(
        experiment,
        start_time=_milliseconds(view.started),
        run_name=journey.name,
        tags={JOURNEY_TAG: journey.key, ROOT_TAG: "yes", ROLE_TAG: "journey", **plain_tags(journey.tags)},
    )


def _journeys_own(client: "MlflowClient", experiment: str, journey: Journey) -> list["Run"]:
    return _search(client, experiment, {JOURNEY_TAG: journey.key, ROOT_TAG: "yes"})


def _runs_of(client: "MlflowClient", experiment: str, view: View) -> list["Run"]:
    """The runs that show a build in its journey; of a journey's root also one that shows nothing yet."""
    if view.journey is None:
        found = _search(client, experiment, {FINGERPRINT_TAG: view.fingerprint})
        return [run for run in found if JOURNEY_TAG not in run.data.tags]
    if not view.root:
        return _search(client, experiment, {JOURNEY_TAG: view.journey.key, FINGERPRINT_TAG: view.fingerprint})
    own = _journeys_own(client, experiment, view.journey)
    return [run for run in own if run.data.tags.get(FINGERPRINT_TAG, view.fingerprint) == view.fingerprint]


def _search(client: "MlflowClient", experiment: str, tags: dict[str, str]) -> list["Run"]:
    """Runs with these tags, the first begun first."""
    wanted = " AND ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    runs, token = [], None
    while token != "":
        page = client.search_runs(
            [experiment], wanted, max_results=_MOST_RUNS, order_by=["attributes.start_time"], page_token=token
        )
        runs += list(page)
        token = page.token or ""
    return runs


def _described(client: "MlflowClient", run: "Run", view: View) -> "Run":
    """The run with the build's tags and params."""
    from mlflow.entities import Param

    ref = f"{view.kind}/{view.fingerprint[:12]}"
    own = {JOURNEY_TAG: view.journey.key} if view.journey else {}
    root = {ROOT_TAG: "yes", **plain_tags(view.journey.tags)} if view.root and view.journey else {}
    tags = {
        FINGERPRINT_TAG: view.fingerprint, GROUP_TAG: view.group, "rpt.kind": view.kind, "rpt.ref": ref,
        _STARTED_TAG: str(_milliseconds(view.started)), "git_sha": _git_sha(),
        "mlflow.note.content": f"`rpt show {ref}`, `rpt lineage {ref}`, `rpt cost {ref}`",
        **own, **root, **plain_tags(view.tags),
    }  # fmt: skip
    _tag(client, run, tags)
    params = [Param(name, value) for name, value in view.params.items()]
    for i in range(0, len(params), _PARAMS_PER_BATCH):
        client.log_batch(run.info.run_id, params=params[i : i + _PARAMS_PER_BATCH])
    return client.get_run(run.info.run_id)


def _finish(client: "MlflowClient", run: "Run", view: View, lines: Sequence[Line]) -> None:
    last = lines[-1] if lines else Line(0, run.info.start_time, None, {}, {})
    # an evaluation logs its results as step 0, a training ends with some of its own: once is enough
    ends = [line for line in lines if line.step == 0 or line is last]
    told = {(f"{RESULT}{name}", value) for line in ends for name, value in line.values.items()}
    told.add((f"{RESULT}gflops", view.results.get("spent/gflops", -1.0)))
    results = [
        Point(plain_name(name), value, last.milliseconds, last.step)
        for name, value in view.results.items()
        if (name, value) not in told and run.data.metrics.get(plain_name(name)) != value
    ]
    _log_metrics(client, run, results)
    _tag(client, run, plain_tags(view.tags))
    for picture in view.pictures:
        client.log_artifact(run.info.run_id, str(picture))
    show_lineage(client, run, view.recipe, view.folder)
    started = int(run.data.tags.get(_STARTED_TAG, run.info.start_time))
    took = int(view.results.get("spent/seconds", 0.0) * 1000)
    client.set_terminated(run.info.run_id, "FINISHED", end_time=max(started + took, last.milliseconds))


def _log_metrics(client: "MlflowClient", run: "Run", points: Sequence[Point]) -> None:
    from mlflow.entities import Metric

    metrics = [Metric(point.name, point.value, point.milliseconds, point.step) for point in points]
    for i in range(0, len(metrics), _METRICS_PER_BATCH):
        client.log_batch(run.info.run_id, metrics=metrics[i : i + _METRICS_PER_BATCH])


def _tag(client: "MlflowClient", run: "Run", tags: dict[str, str]) -> None:
    from mlflow.entities import RunTag

    client.log_batch(run.info.run_id, tags=[RunTag(name, value) for name, value in tags.items()])


def _milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)


def _sha256(record: Sequence[bytes]) -> str:
    return hashlib.sha256(b"".join(record)).hexdigest()


@cache
def _git_sha() -> str:
    """The commit of this source tree; ``unknown`` outside a clone."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"
