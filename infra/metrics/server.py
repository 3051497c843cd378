"""The MLflow that is written to, a server or a database of ours, and its one experiment with its views."""

import fcntl
import json
import logging
import os
import shutil
import sqlite3
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from infra.local.links import TRAINING_PAGES
from infra.local.state import DATABASE, sqlite_uri
from infra.metrics.views import ROLE_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "rpt"
"""Everything is in one experiment: MLflow nests, compares and groups runs within one."""
_KIND_TAG, _KIND = "mlflow.experimentKind", "custom_model_development"
"""Says that the experiment is about trainings."""
_NOTE_TAG, _VIEW_TAG = "mlflow.note.content", "mlflow.sharedViewState."
_CREATED = 1_767_225_600_000
"""When the views were made, as MLflow wants to know; one moment, so that a view is written once."""
NOTE = """\
A run is a **journey** or a **study**; below it, as children, everything that was made for it. The views, in \
the menu *Saved views*:

{views}

Every metric of a step stands there twice: over steps, and as `<metric>_by_gflops` over computing (the \
chart's steps are then units of 1e9 operations). Single numbers of a result are under `result/`, with \
`_low` and `_high` where there is an interval; what was spent is under `spent/`, seconds and rates of each \
step under `time/`, the machine's load and memory under `system/`. Group runs by the parameters `seed` and \
`arm` for means with bands. `rpt.ref` is what `rpt show REF` takes.
"""


def _metric(name: str) -> str:
    return f"metrics.`{name}`"


def _of(kind: str, *names: str) -> list[str]:
    return [f"{kind}.`{name}`" for name in names]


VIEWS: dict[str, tuple[str, str, list[str]]] = {
    "journeys": (
        "journeys and studies, each opened to what was made for it",
        "",
        [*_of("params", "seed", "arm"), *_of("metrics", "spent/gflops", "spent/seconds"),
         *_of("tags", "rpt.role", "rpt.ref")],
    ),
    "trainings": (
        "trainings: reward, loss, what they spent",
        "tags.`rpt.group` = 'train'",
        [*_of("params", "seed", "arm", "steps"),
         *_of("metrics", "reward_mean", "loss", "entropy", "thought_tokens", "gflops_total"),
         *_of("tags", "rpt.role", "rpt.ref")],
    ),
    "evaluations": (
        "evaluations: accuracy with its interval",
        "tags.`rpt.group` = 'eval'",
        [*_of("params", "seed", "arm"),
         *_of("metrics", "reasoning_hard", "result/reasoning_hard_low", "result/reasoning_hard_high",
              "plain_hard", "problems_all", "judged_accuracy"),
         *_of("tags", "rpt.role", "rpt.ref")],
    ),
    "laws": (
        "fits of accuracy over computing: parameters, rivals, verdict",
        "tags.`rpt.group` = 'scaling'",
        [*_of("params", "seed"), *_of("tags", "law_verdict"),
         *_of("metrics", *(f"result/easy_{name}{end}" for name in ("alpha", "p_star", "logistic_exponent")
                           for end in ("", "_low", "_high")))],
    ),
}  # fmt: skip
"""By name: what it shows, its filter, its columns."""


@contextmanager
def connected(uri: str, home: Path) -> Iterator["MlflowClient"]:
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
            make_database(home)
        client = mlflow.MlflowClient(uri)
        yield client


def make_database(home: Path) -> None:
    """Make MLflow's database in the state folder, unless it is there; in one write.

    MLflow creates its tables one by one (2 s) and refuses for ever a file in which a kill left some of them.
    """
    import mlflow

    path, new = home / DATABASE, home / "mlflow.new"
    if path.exists():
        return
    with alone(home):
        if path.exists():  # made meanwhile
            return
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        mlflow.MlflowClient(sqlite_uri(new)).search_experiments(max_results=1)
        database = sqlite3.connect(new / DATABASE, timeout=30)
        database.execute("PRAGMA journal_mode=WAL")  # readers and a writer at once
        database.close()  # the last one to close it folds the log into the file
        (new / DATABASE).replace(path)
        shutil.rmtree(new)


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """One process of this machine at a time creates tables, experiments and runs: MLflow has no such lock."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "mlflow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def experiment_id(client: "MlflowClient", uri: str, home: Path) -> str:
    """The experiment's id. Its files lie in the state folder unless a server elsewhere keeps them."""
    import mlflow

    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        if found.tags.get(_NOTE_TAG) != note(number := str(found.experiment_id)):  # of an earlier version
            _describe(client, number)
        return str(found.experiment_id)
    here = uri.startswith("sqlite:") or urlsplit(uri).hostname in ("127.0.0.1", "localhost")
    location = (home / "mlflow-files").as_uri() if here else None
    try:
        made = client.create_experiment(EXPERIMENT, artifact_location=location, tags={_KIND_TAG: _KIND})
    except mlflow.MlflowException:  # another machine created it in between
        again = client.get_experiment_by_name(EXPERIMENT)
        if again is None:
            raise
        return str(again.experiment_id)
    _describe(client, made)
    return str(made)


def _describe(client: "MlflowClient", number: str) -> None:
    client.set_experiment_tag(number, _KIND_TAG, _KIND)
    for name, (_, search, columns) in VIEWS.items():
        client.set_experiment_tag(number, f"{_VIEW_TAG}{name}", _saved_view(name, search, columns))
    client.set_experiment_tag(number, _NOTE_TAG, note(number))


def note(number: str) -> str:
    """What stands above the experiment's table, with a link to each view."""
    links = "\n".join(f"* [{name}]({view_path(number, name)}): {what}" for name, (what, *_) in VIEWS.items())
    return NOTE.format(views=links)


def view_path(number: str, view: str) -> str:
    """Where MLflow's page shows a view of the experiment, below the server's address."""
    return f"#/experiments/{number}/runs?{TRAINING_PAGES}&viewStateShareKey={view}"


def _saved_view(name: str, search: str, columns: Sequence[str]) -> str:
    """A view as MLflow's page saves one: the state of the page, as JSON in JSON."""
    state: dict[str, Any] = {"searchFilter": search, "selectedColumns": list(columns)}
    if search:  # of one kind: flat, by what they are in their journeys, with the mean of each
        keys = [{"mode": "tag", "groupByData": ROLE_TAG}]
        state["groupBy"] = {"aggregateFunction": "average", "groupByKeys": keys}
    return json.dumps(
        {"name": name, "createdAt": _CREATED, "updatedAt": _CREATED, "state": json.dumps(state)}
    )
