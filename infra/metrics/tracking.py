"""MLflow as a view of what an artifact's own files say.

The truth is ``metrics.jsonl`` in the artifact. Here it is *projected*: in batches, by one writer, into
one MLflow run per artifact (found again by its fingerprint), so that it can be done while a stage runs,
afterwards, or again, and always shows each step once. Every metric appears twice: over steps, and as
``<name>_by_gflops`` over the computing spent, because MLflow's step is an integer and 10^21 operations
are not one it can hold.

An outcome's numbers become metrics under ``result/``, its words (such as the scaling law's verdict,
``law_verdict``) become tags.

MLflow being away is one warning. It never fails a stage.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from infra.local.links import MLFLOW, checked_address, live_tracking_uri
from infra.local.state import sqlite_uri, state_folder
from infra.metrics.projection import RESULT, View, end, project
from rpt_core.addresses import without_password
from rpt_core.artifacts.manifest import FileEntry, Manifest
from rpt_core.artifacts.recipe import Artifact
from rpt_core.errors import RptError, ServiceError, SourceError, Stopped, first_line

_AGAIN_AFTER_SECONDS = 60.0
"""After an outage MLflow is left alone for this long."""
_PICTURES = frozenset({".png", ".svg", ".html"})
_NUMBERS = frozenset({"fit.json"})
"""The points and laws behind a figure, to load beside another fit's."""
_log = logging.getLogger("rpt.tracking")


class Artifacts(Protocol):
    """What tracking needs of the store (:class:`infra.storage.store.Store`)."""

    def materialise(self, artifact: Artifact) -> Path:
        """A read-only local folder of the artifact's files."""


def track(
    store: Artifacts,
    manifest: Manifest,
    experiment: str,
    tags: Mapping[str, str] | None = None,
    *,
    strict: bool = False,
) -> str:
    """Show a finished artifact in MLflow, or bring what is shown up to date.

    Args:
        store: Where the artifact's files are.
        manifest: The artifact.
        experiment: Name of the MLflow experiment.
        tags: Further tags, such as ``prefect.flow_run_id``.
        strict: Raise when it cannot be shown, for a person who asked for just this.

    Returns:
        The run's address in a browser when an MLflow server was written to; otherwise an empty string,
        also when MLflow could not be reached.

    Raises:
        ServiceError: ``strict``, and the MLflow server does not take it.
        SourceError: ``strict``, and the local database cannot be read.
    """
    if strict:
        return _told(lambda: _track(store, manifest, experiment, tags or {}))
    return _guarded(lambda: _track(store, manifest, experiment, tags or {}))


def _track(store: Artifacts, manifest: Manifest, experiment: str, tags: Mapping[str, str]) -> str:
    outcome = manifest.outcome
    numbers = {
        name: float(value) for name, value in outcome.summary.items() if isinstance(value, int | float)
    }
    words = {name: value for name, value in outcome.summary.items() if isinstance(value, str)}
    spent = {
        "rows_in": float(outcome.rows.rows_in),
        "rows_kept": float(outcome.rows.kept),
        "tokens": float(outcome.tokens),
        "gflops": outcome.flops / 1e9,
        "seconds": sum(attempt.seconds for attempt in manifest.attempts),
    }
    view = View(
        experiment=experiment,
        kind=manifest.kind,
        fingerprint=manifest.fingerprint,
        recipe=manifest.recipe,
        folder=store.materialise(manifest.artifact),
        started=manifest.attempts[0].started if manifest.attempts else manifest.created,
        tags={"rpt.code": manifest.code[:16], **words, **tags},
        results={**{f"{RESULT}{name}": value for name, value in numbers.items()},
                 **{f"spent/{name}": value for name, value in spent.items()}},
        digest=manifest.digest,
    )  # fmt: skip
    return project(view, tracking_uri(), state_folder(), _pictures(view.folder, manifest.files))


class LiveView:
    """Shows a running stage every so often; call :meth:`poll` as often as you like.

    Used as a context: what ends without an artifact is shown as stopped or failed, not as running for ever.
    """

    def __init__(self, view: View, every_seconds: float = 20.0) -> None:
        """Nothing is imported or written before the first period has passed."""
        self.view = view
        self.every_seconds = every_seconds
        self._next = time.monotonic() + every_seconds
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._shown:
            status = "FAILED" if isinstance(error, Exception) and not isinstance(error, Stopped) else "KILLED"
            _guarded(lambda: end(self.view, tracking_uri(), state_folder(), status))

    def poll(self) -> None:
        """Project what has been logged since the last time, at most once a period."""
        if time.monotonic() >= self._next:
            _guarded(lambda: project(self.view, tracking_uri(), state_folder()))
            self._shown = True
            self._next = time.monotonic() + self.every_seconds


def _told(work: Callable[[], str]) -> str:
    """Run ``work``; turn whatever MLflow and its libraries raise into one sentence."""
    where = tracking_uri()
    if where.startswith("http"):
        checked_address(MLFLOW)
    try:
        return work()
    except RptError:
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {_why(error)}"
        if where.startswith("sqlite"):
            raise SourceError(
                f"the MLflow database {where} cannot be used ({why}). It is a view: move it away, and the "
                "same command fills a new one from the artifacts."
            ) from error
        raise ServiceError(
            f"MLflow at {where} did not take it ({why}). Nothing is lost: the same command shows it once it "
            "answers."
        ) from error


def _why(error: Exception) -> str:
    return without_password(first_line(error)[:300]) or "no reason given"


_down_until = 0.0
_one_writer = threading.Lock()
"""Stages may run side by side, and MLflow's file of a database takes one writer at a time."""


def _guarded(work: Callable[[], str | None]) -> str:
    """Run ``work``; on failure warn once, then skip MLflow for :data:`_AGAIN_AFTER_SECONDS`."""
    global _down_until  # noqa: PLW0603  (one MLflow per process)
    if time.monotonic() < _down_until:
        return ""
    try:
        with _one_writer:
            return work() or ""
    except Exception as error:  # noqa: BLE001  (best effort is the contract; the cause is told)
        first = _down_until == 0.0
        _down_until = time.monotonic() + _AGAIN_AFTER_SECONDS
        _log.log(
            logging.WARNING if first else logging.DEBUG,
            "MLflow could not be written (%s: %s). Nothing is lost: metrics are in the artifact, "
            "and `rpt track <ref>` shows them later.",
            type(error).__name__,
            _why(error),
        )
        return ""


def tracking_uri() -> str:
    """The server that runs (``MLFLOW_TRACKING_URI`` or the local stack's), else the local database."""
    return live_tracking_uri() or sqlite_uri(state_folder())


def _pictures(folder: Path, files: Sequence[FileEntry]) -> list[Path]:
    return [
        folder / entry.path
        for entry in files
        if Path(entry.path).suffix in _PICTURES or entry.path in _NUMBERS
    ]
