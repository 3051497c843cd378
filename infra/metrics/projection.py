"""One build's record, projected into one MLflow run that is found again by its fingerprint."""

import fcntl
import hashlib
import json
import logging
import os
import re
import sqlite3
import subprocess
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from infra.metrics.lineage import show_lineage
from rpt_core.artifacts.build import FLOPS, METRICS_FILE, SECONDS, TIMINGS_FILE
from rpt_core.artifacts.recipe import Artifact

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

RESULT = "result/"
"""Before the names of a finished artifact's single numbers."""
FINGERPRINT_TAG = "rpt.fingerprint"
_LINES_TAG, _PREFIX_TAG, _DIGEST_TAG = "rpt.lines", "rpt.prefix", "rpt.digest"
_KIND_TAG, _KIND = "mlflow.experimentKind", "custom_model_development"
"""Opens an experiment on its table of runs; without it MLflow 3 shows an empty page about traces."""
_RUNNING = "RUNNING"
NOTES = {
    "rpt/data": "Corpora: rows in, kept and dropped. `rpt show REF` reads what was dropped, and why.",
    "rpt/train": "Trainings, over steps and, as `<metric>_by_gflops`, over computing. The tags `rpt.recipe`, "
    "`rpt.role`, `rpt.seed` and `rpt.ref` say what a run is: group by `rpt.seed` to compare over seeds.",
    "rpt/eval": "Evaluations: every number under `result/`; where it has an interval, `_low` and `_high`.",
    "rpt/scaling": "Fits of accuracy over computing: `alpha`, `a`, `p_star` with `_low` and `_high`, rivals, "
    "and the tag `law_verdict`.",
}
"""What stands above an experiment's table."""
_METRICS_PER_BATCH, _PARAMS_PER_BATCH, _PARAM_CHARACTERS = 1000, 100, 500


@dataclass(frozen=True)
class View:
    """What of one build is shown in MLflow."""

    experiment: str
    """``rpt/train``, ``rpt/eval``, ``rpt/scaling`` or ``rpt/data``."""
    kind: str
    fingerprint: str
    recipe: Mapping[str, Any]
    """The resolved recipe, JSON form; flattened into params."""
    folder: Path
    """Where ``metrics.jsonl`` is, whole or still growing."""
    started: str
    """UTC, ISO 8601."""
    tags: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, float] = field(default_factory=dict)
    """Single numbers of a finished artifact."""
    digest: str = ""
    """Digest of a finished artifact; empty while the build runs."""

    @property
    def name(self) -> str:
        """Of the run: what people call it, else its kind and the beginning of its fingerprint."""
        recipe, role, seed = (self.tags.get(f"rpt.{part}", "") for part in ("recipe", "role", "seed"))
        if not recipe:
            return f"{self.kind}-{self.fingerprint[:8]}"
        return f"{recipe}-{role}" + (f" seed {seed}" if seed else "")


@dataclass(frozen=True, slots=True)
class _Line:
    """One step of the record, with where it lies in time and computing."""

    step: int
    milliseconds: int
    gflops: int | None
    """Whole units of 1e9 operations, since MLflow's step is an integer."""
    values: dict[str, float]


def project(view: View, uri: str, home: Path, pictures: Sequence[Path] = ()) -> str:
    """Bring the run of one build up to date with its files.

    A prefix of the record that is already shown is not written again. If what is shown is no longer a
    prefix of it (an attempt was resumed elsewhere and went another way), the run is replaced.

    Args:
        view: What to show.
        uri: MLflow tracking URI.
        home: State folder of this machine, for a database and files of its own.
        pictures: Files to add to the run.

    Returns:
        Address of the run in a browser; empty for a database without a server.
    """
    with _client(uri, home) as client:
        record = _whole_lines(view.folder / METRICS_FILE)
        run = _open_run(client, _experiment(client, uri, view.experiment, home), view, record)
        if not view.digest or run.data.tags.get(_DIGEST_TAG) != view.digest:
            _bring_up_to_date(client, run, view, record, pictures)
        experiment, run_id = run.info.experiment_id, run.info.run_id
    return f"{uri}/#/experiments/{experiment}/runs/{run_id}" if uri.startswith("http") else ""


def end(view: View, uri: str, home: Path, status: str) -> None:
    """Say in MLflow how a build ended that made nothing: ``KILLED`` when it was stopped, else ``FAILED``.

    A later attempt that resumes makes it ``RUNNING`` again.
    """
    with _client(uri, home) as client:
        experiment = client.get_experiment_by_name(view.experiment)
        for run in _runs_of(client, experiment.experiment_id, view) if experiment else ():
            if run.info.status == _RUNNING:
                client.set_terminated(run.info.run_id, status)


def _bring_up_to_date(
    client: "MlflowClient", run: "Run", view: View, record: Sequence[bytes], pictures: Sequence[Path]
) -> None:
    shown = int(run.data.tags.get(_LINES_TAG, "0"))
    if shown > len(record):
        return  # a resumed attempt has yet to catch up with what an earlier one showed
    lines = _timed(view, record, run.info.start_time)
    _log_metrics(client, run, [metric for line in lines[shown:] for metric in _both_axes(line)])
    if view.digest:
        _finish(client, run, view, lines, pictures)
    tags = {_LINES_TAG: str(len(record)), _PREFIX_TAG: _sha256(record)}
    _tag(client, run, {**tags, _DIGEST_TAG: view.digest} if view.digest else tags)


@contextmanager
def _client(uri: str, home: Path) -> Iterator["MlflowClient"]:
    """MLflow, imported here because it takes two seconds, patient with a database and not with a server."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside MLflow's own imports and queries
        import mlflow

        for name in ("mlflow", "alembic"):  # migrations are no news
            logging.getLogger(name).setLevel(logging.WARNING)

        if uri.startswith("sqlite:"):
            with _one_creator(home):
                client = mlflow.MlflowClient(uri)
                client.search_experiments(max_results=1)  # creates the tables, 2 s, once per database
        else:
            client = mlflow.MlflowClient(uri)
        yield client


@contextmanager
def _one_creator(home: Path) -> Iterator[None]:
    """One process at a time creates the tables; write-ahead logging lets readers and a writer be at once."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "mlflow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        database = sqlite3.connect(home / "mlflow.db", timeout=30)
        database.execute("PRAGMA journal_mode=WAL")
        database.close()
        yield


def _open_run(client: "MlflowClient", experiment: str, view: View, record: Sequence[bytes]) -> "Run":
    """The build's run, as long as what it shows is a prefix of the record; otherwise a new one."""
    for run in _runs_of(client, experiment, view):
        shown = int(run.data.tags.get(_LINES_TAG, "0"))
        behind = shown > len(record) and not view.digest
        if behind or _sha256(record[:shown]) == run.data.tags.get(_PREFIX_TAG, _sha256([])):
            if run.info.status != _RUNNING and not run.data.tags.get(_DIGEST_TAG):
                client.update_run(run.info.run_id, status=_RUNNING)
            return run
        client.delete_run(run.info.run_id)
    return _new_run(client, experiment, view)


def _runs_of(client: "MlflowClient", experiment: str, view: View) -> Sequence["Run"]:
    found = client.search_runs(
        [experiment], f"tags.`{FINGERPRINT_TAG}` = '{view.fingerprint}'", max_results=10
    )
    return list(found)


def _new_run(client: "MlflowClient", experiment: str, view: View) -> "Run":
    from mlflow.entities import Param

    run = client.create_run(
        experiment,
        start_time=_milliseconds(view.started),
        run_name=view.name,
        tags={
            FINGERPRINT_TAG: view.fingerprint,
            "rpt.kind": view.kind,
            "rpt.ref": f"{view.kind}/{view.fingerprint[:12]}",
            "git_sha": _git_sha(),
            **_as_tags(view.tags),
        },
    )
    params = [Param(_name(key), value[:_PARAM_CHARACTERS]) for key, value in flat(view.recipe).items()]
    for i in range(0, len(params), _PARAMS_PER_BATCH):
        client.log_batch(run.info.run_id, params=params[i : i + _PARAMS_PER_BATCH])
    return run


def _experiment(client: "MlflowClient", uri: str, name: str, home: Path) -> str:
    """The experiment's id. Its files lie in the state folder unless a server elsewhere keeps them."""
    import mlflow

    found = client.get_experiment_by_name(name)
    if found is not None:
        if found.tags.get(_KIND_TAG) != _KIND:  # of an earlier version
            client.set_experiment_tag(found.experiment_id, _KIND_TAG, _KIND)
        return str(found.experiment_id)
    here = uri.startswith("sqlite:") or urlsplit(uri).hostname in ("127.0.0.1", "localhost")
    location = (home / "mlflow-files").as_uri() if here else None
    try:
        tags = {_KIND_TAG: _KIND, "mlflow.note.content": NOTES.get(name, "")}
        return str(client.create_experiment(name, artifact_location=location, tags=tags))
    except mlflow.MlflowException:  # somebody created it in between
        again = client.get_experiment_by_name(name)
        if again is None:
            raise
        return str(again.experiment_id)


def _finish(
    client: "MlflowClient", run: "Run", view: View, lines: Sequence[_Line], pictures: Sequence[Path]
) -> None:
    from mlflow.entities import Metric

    last = lines[-1] if lines else _Line(0, run.info.start_time, None, {})
    whole = {
        f"{RESULT}{name}": value for line in lines if line.step == 0 for name, value in line.values.items()
    }
    results = [
        Metric(_name(name), value, last.milliseconds, last.step)
        for name, value in view.results.items()
        if whole.get(name) != value  # an evaluation logs its results as step 0: once is enough
    ]
    _log_metrics(client, run, results)
    _tag(client, run, _as_tags(view.tags))
    for picture in pictures:
        client.log_artifact(run.info.run_id, str(picture))
    show_lineage(client, run, view.recipe, view.folder)
    client.set_terminated(run.info.run_id, "FINISHED", end_time=last.milliseconds)


def _log_metrics(client: "MlflowClient", run: "Run", metrics: Sequence["Metric"]) -> None:
    for i in range(0, len(metrics), _METRICS_PER_BATCH):
        client.log_batch(run.info.run_id, metrics=metrics[i : i + _METRICS_PER_BATCH])


def _tag(client: "MlflowClient", run: "Run", tags: Mapping[str, str]) -> None:
    from mlflow.entities import RunTag

    client.log_batch(run.info.run_id, tags=[RunTag(name, value) for name, value in tags.items()])


def _both_axes(line: _Line) -> Iterator["Metric"]:
    """A line's metrics over its step, and over the gigaflops spent so far."""
    from mlflow.entities import Metric

    for name, value in line.values.items():
        yield Metric(_name(name), value, line.milliseconds, line.step)
        if line.gflops is not None and name != FLOPS:
            yield Metric(_name(f"{name}_by_gflops"), value, line.milliseconds, line.gflops)


def _whole_lines(path: Path) -> list[bytes]:
    """Lines of a file that may be growing; a last one without its end is left for later."""
    if not path.is_file():
        return []
    return [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def _timed(view: View, record: Sequence[bytes], start: int) -> list[_Line]:
    """Place each line in time: the start plus the known seconds of every step up to it."""
    seconds: dict[int, float] = {}
    for row in map(json.loads, _whole_lines(view.folder / TIMINGS_FILE)):
        seconds[row["step"]] = seconds.get(row["step"], 0.0) + row.get(SECONDS, 0.0)
    lines, elapsed, previous = [], 0.0, None
    for row in map(json.loads, record):
        step = int(row.pop("step"))
        if step != previous:
            elapsed += seconds.get(step, 0.0) or 0.001
            previous = step
        gflops = row.get(FLOPS)
        lines.append(_Line(step, start + int(elapsed * 1000), None if gflops is None else int(gflops), row))
    return lines


def flat(value: Any, prefix: str = "") -> dict[str, str]:
    """A recipe as flat text: nested fields by dots, an input as the artifact it is.

    Example:
        >>> flat({"steps": 3, "optimiser": {"name": "muon"}, "modes": ["plain", "forced"],
        ...       "corpus": {"kind": "corpus", "fingerprint": "ab" * 32, "digest": "cd" * 32}})
        {'steps': '3', 'optimiser.name': 'muon', 'modes': 'plain, forced', 'corpus': 'corpus/abababababab'}
    """
    if isinstance(value, Mapping):
        if set(value) == {"kind", "fingerprint", "digest"}:
            return {prefix: Artifact.model_validate(value).short}
        joined = {}
        for name, item in value.items():
            joined.update(flat(item, f"{prefix}.{name}" if prefix else str(name)))
        return joined
    if isinstance(value, list | tuple):
        if any(isinstance(item, Mapping | list | tuple) for item in value):
            return flat({str(i): item for i, item in enumerate(value)}, prefix)
        return {prefix: ", ".join(map(str, value))}
    return {prefix: str(value)}


def _as_tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {_name(name): str(value)[:_PARAM_CHARACTERS] for name, value in tags.items()}


def _name(name: str) -> str:
    """A name as MLflow allows it."""
    return re.sub(r"[^\w\-. :/]", "_", name)[:240]


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
