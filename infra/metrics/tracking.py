"""MLflow as a view of what an artifact's own files say.

The truth is ``metrics.jsonl`` in the artifact. Here it is *projected*: in batches, by one writer, into
one MLflow run per artifact and journey (found again by its fingerprint), so that it can be done while a stage
runs, afterwards, or again, and always shows each step once. Every metric appears twice: over steps, and as
``<name>_by_gflops`` over the computing spent.

An outcome's numbers become metrics under ``result/``, its words (such as the scaling law's verdict,
``law_verdict``) become tags.

MLflow being away is one warning. It never fails a stage.
"""

import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar

from infra.local.links import MLFLOW, checked_address, live_tracking_uri
from infra.local.state import sqlite_uri, state_folder
from infra.metrics.lineage import ROLLOUTS_FILE
from infra.metrics.projection import RESULT, end, end_journey, journeys_with, project, shown
from infra.metrics.server import connected
from infra.metrics.views import Journey, View
from rpt_core.addresses import without_password
from rpt_core.artifacts.build import METRICS_FILE, MILESTONES_FILE, TIMINGS_FILE
from rpt_core.artifacts.manifest import FileEntry, Manifest
from rpt_core.errors import RptError, ServiceError, SourceError, Stopped, first_line

_AGAIN_AFTER_SECONDS = 60.0
"""After an outage MLflow is left alone for this long."""
_PICTURES = frozenset({".png", ".svg", ".html"})
SCORES_FILE = "scores.json"
"""An evaluation's numbers with their intervals."""
_READ = frozenset({METRICS_FILE, TIMINGS_FILE, MILESTONES_FILE, ROLLOUTS_FILE, SCORES_FILE})
_NUMBERS = frozenset({"fit.json"})
"""The points and laws behind a figure, to load beside another fit's."""
LEARNING_CURVE = "learning_curve.png"
Drawing = Callable[[Path], bytes | None]
"""Draws the learning curve of the metrics in a folder, as PNG; None where there is none to draw."""
Reading = Callable[[Path], Mapping[str, float]]
"""Reads further single numbers from the files in a folder."""
Shown = TypeVar("Shown")
_log = logging.getLogger("rpt.tracking")


class Artifacts(Protocol):
    """What tracking needs of the store (:class:`infra.storage.store.Store`)."""

    def fetch(self, files: Sequence[FileEntry], folder: Path) -> Path:
        """Copies of some files of an artifact, in a folder that is not there yet."""


@dataclass(frozen=True, slots=True)
class Told:
    """What MLflow is told of an artifact beside what its manifest says."""

    group: str
    """``train``, ``eval``, ``scaling``, ``report`` or ``data``."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Further tags, such as ``prefect.flow_run_id``."""
    journey: Journey | None = None
    root: bool = False
    """Whether the journey was made for it."""
    draw: Drawing | None = None
    """Of its learning curve."""
    read: Reading | None = None


def prepare() -> None:
    """Import MLflow and open it, so that the first :func:`track` finds it there; says so where it cannot."""

    def work() -> str:
        with connected(tracking_uri(), state_folder()):
            return ""

    _guarded(work)


def track(store: Artifacts, manifest: Manifest, told: Told) -> str:
    """Show a finished artifact in MLflow, or bring what is shown up to date.

    Args:
        store: Where the artifact's files are.
        manifest: The artifact.
        told: What else is said of it.

    Returns:
        The run's address in a browser when an MLflow server was written to; otherwise an empty string,
        also when MLflow could not be reached.
    """
    return _guarded(lambda: _track(store, manifest, told))


def track_all(
    store: Artifacts,
    journey: Journey,
    manifests: Callable[[], Iterable[Manifest]],
    told: Callable[[Manifest], Told],
    *,
    strict: bool = False,
) -> int:
    """Show what a journey's runs lack of all that belongs to it.

    Args:
        store: Where the artifacts' files are.
        journey: Whose.
        manifests: Gives all of it, the root last.
        told: What else is said of each.
        strict: Raise when it cannot be shown, for a person who asked for just this.

    Returns:
        How many were shown now.

    Raises:
        ServiceError: ``strict``, and the MLflow server does not take it.
        SourceError: ``strict``, and the local database cannot be read.
    """

    def work() -> str:
        there = shown(journey, tracking_uri(), state_folder())
        lacking = [manifest for manifest in manifests() if manifest.fingerprint not in there]
        for manifest in lacking:
            _track(store, manifest, told(manifest))
        return str(len(lacking))

    return int((_told if strict else _guarded)(work) or 0)


def journeys_of(fingerprint: str) -> list[tuple[Journey, bool]]:
    """The journeys that MLflow shows an artifact in, each with whether it was made for the artifact.

    Raises:
        ServiceError: the MLflow server does not answer.
        SourceError: the local database cannot be read.
    """
    return _told(lambda: journeys_with(fingerprint, tracking_uri(), state_folder()))


def _track(store: Artifacts, manifest: Manifest, told: Told) -> str:
    if told.journey is not None:
        _begun.add(told.journey.key)
    with _files(store, manifest) as folder:
        view = _view(manifest, told, folder)
        return project(view, tracking_uri(), state_folder())


@contextmanager
def _files(store: Artifacts, manifest: Manifest) -> Iterator[Path]:
    """The few files of an artifact that are shown, without its weights and tables."""
    wanted = [entry for entry in manifest.files if entry.path in _READ or _is_added(entry)]
    with tempfile.TemporaryDirectory(prefix="rpt-shown-") as scratch:
        yield store.fetch(wanted, Path(scratch) / "files")


def _is_added(entry: FileEntry) -> bool:
    return Path(entry.path).suffix in _PICTURES or entry.path in _NUMBERS


def _view(manifest: Manifest, told: Told, folder: Path) -> View:
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
    numbers |= told.read(folder) if told.read is not None else {}
    added = [folder / entry.path for entry in manifest.files if _is_added(entry)]
    return View(
        group=told.group,
        kind=manifest.kind,
        fingerprint=manifest.fingerprint,
        recipe=manifest.recipe,
        folder=folder,
        started=manifest.attempts[0].started if manifest.attempts else manifest.created,
        tags={"rpt.code": manifest.code[:16], **words, **told.tags},
        results={**{f"{RESULT}{name}": value for name, value in numbers.items()},
                 **{f"spent/{name}": value for name, value in spent.items()}},
        digest=manifest.digest,
        journey=told.journey,
        root=told.root,
        pictures=(*added, *_drawn(folder, told.draw)),
    )  # fmt: skip


def _drawn(folder: Path, draw: Drawing | None) -> list[Path]:
    picture = draw(folder) if draw is not None else None
    if picture is None:
        return []
    path = folder / LEARNING_CURVE
    path.write_bytes(picture)
    return [path]


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
            status = stopped(error)
            _guarded(lambda: end(self.view, tracking_uri(), state_folder(), status))

    def poll(self) -> None:
        """Project what has been logged since the last time, at most once a period."""
        if time.monotonic() >= self._next:
            if self.view.journey is not None:
                _begun.add(self.view.journey.key)
            _guarded(lambda: project(self.view, tracking_uri(), state_folder()))
            self._shown = True
            self._next = time.monotonic() + self.every_seconds


def stopped(error: BaseException) -> str:
    """How MLflow calls the end of what raised an error."""
    return "FAILED" if isinstance(error, Exception) and not isinstance(error, Stopped) else "KILLED"


@contextmanager
def ending(journey: Journey | None) -> Iterator[None]:
    """A journey whose run, where one was begun, does not say for ever that it runs when this raises."""
    try:
        yield
    except BaseException as error:
        status = stopped(error)
        if journey is not None and journey.key in _begun:
            _guarded(lambda: end_journey(journey, tracking_uri(), state_folder(), status))
        raise


_begun: set[str] = set()
"""Keys of the journeys that this process began to show."""


def _told(work: Callable[[], Shown]) -> Shown:
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
