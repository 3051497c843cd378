"""What a stage that runs on this machine has done so far, and what a finished one did, in one form."""

import fcntl
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from infra.local.state import made_state_folder
from infra.runs.attempt import PROGRESS_FILE, Job
from infra.storage.store import Store
from rpt_core.artifacts.build import METRICS_FILE
from rpt_core.artifacts.manifest import Manifest
from rpt_core.errors import RecipeError
from rpt_core.overview.live import Watched, read_metrics

ROLLOUTS = "rollouts.parquet"
NUM_ROLLOUTS = 5
"""The latest answers that are shown."""
LOCK_DIGITS = 32
"""Of a fingerprint, in the name of the lock that :mod:`tasks.build` holds."""


@dataclass(frozen=True, slots=True)
class Attempted:
    """The latest attempt at a stage that has not ended in an artifact."""

    folder: Path
    job: Job

    @property
    def name(self) -> str:
        """As the command line takes it."""
        return f"{self.job.kind}/{self.job.fingerprint[:12]}"

    @property
    def runs(self) -> bool:
        """Whether a process holds its lock."""
        lock = self.folder.parents[2] / "locks" / self.job.fingerprint[:LOCK_DIGITS]
        try:
            with lock.open() as stream:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def watched(self, store: Store) -> Watched:
        """What it has done so far; its answers are those of the latest checkpoint."""
        path = self.folder / PROGRESS_FILE
        state: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        begun = datetime.fromisoformat(self.job.started)
        return Watched(
            title=f"{self.job.recipe['stage']}, {self.name}",
            state="runs" if self.runs else "stopped; the same command resumes it",
            done=float(state.get("done", 0)),
            total=float(state.get("total", 0)),
            note=str(state.get("note", "")),
            seconds=max((datetime.now(UTC) - begun).total_seconds(), 0.0),
            metrics=read_metrics(self.job.out / METRICS_FILE),
            rollouts=_latest(store.progress_file(self.job.fingerprint, self.job.key, f"state/{ROLLOUTS}")),
        )


def attempts() -> list[Attempted]:
    """Every attempt this machine has a folder of, the latest first."""
    found = []
    for path in (made_state_folder() / "scratch").glob("*/*/job.json"):
        job = Job.model_validate_json(path.read_text())
        if job.fingerprint.startswith(path.parents[1].name):  # else a replay, which makes no artifact
            found.append(Attempted(path.parent, job))
    return sorted(found, key=lambda one: one.job.started, reverse=True)


def watch(ref: str, store: Store) -> Iterator[Watched]:
    """What a stage has done, again at every step of the iterator, until it has ended.

    Args:
        ref: Of a finished artifact; or kind, fingerprint's beginning or ``kind/1a2b3c`` of one that is being
            made; empty for what runs now, trainings first.
        store: Where finished ones are.

    Raises:
        RecipeError: nothing of that name runs, and nothing of it is in the store.
    """
    attempt = _running(ref)
    if attempt is None:
        if not ref:
            raise RecipeError("nothing runs on this machine. Name what has ended: `rpt ls` lists it.")
        yield finished(store.find(ref), store)
        return
    while attempt.folder.exists():
        seen = attempt.watched(store)
        manifest = store.manifest(attempt.job.kind, attempt.job.fingerprint)
        if manifest is not None:
            break
        yield seen
        if seen.state != "runs":
            return
    manifest = store.manifest(attempt.job.kind, attempt.job.fingerprint)
    if manifest is not None:
        yield finished(manifest, store)


def finished(manifest: Manifest, store: Store) -> Watched:
    """The same of a finished artifact."""
    folder = store.materialise(manifest.artifact)
    metrics = read_metrics(folder / METRICS_FILE)
    last = metrics[-1]["step"] if metrics else 0
    return Watched(
        title=f"{manifest.recipe.get('stage', manifest.kind)}, {manifest.artifact.short}",
        state="done",
        done=last,
        total=last,
        note="finished",
        seconds=sum(attempt.seconds for attempt in manifest.attempts),
        metrics=metrics,
        rollouts=_latest((folder / ROLLOUTS).read_bytes() if (folder / ROLLOUTS).exists() else None),
    )


def _running(ref: str) -> Attempted | None:
    """The latest attempt that a name fits; of those without a name, a training before another stage."""
    kind, _, digits = ref.rpartition("/")
    found = [one for one in attempts() if one.runs or ref]
    named = [
        one
        for one in found
        if not ref
        or (one.job.kind == kind and one.job.fingerprint.startswith(digits))
        or (not kind and (one.job.kind == ref or (len(ref) > 3 and one.job.fingerprint.startswith(ref))))
    ]
    trainings = [one for one in named if (one.job.out / METRICS_FILE).exists()]
    return next(iter([*trainings, *named]), None)


def _latest(table: bytes | None) -> list[dict[str, Any]]:
    """The first answer to each of the last questions of a table of rollouts."""
    if table is None:
        return []
    rows: list[dict[str, Any]] = pq.read_table(pa.BufferReader(table)).to_pylist()
    by_question = {(row["step"], row["doc_id"], row["position"]): row for row in reversed(rows)}
    return sorted(by_question.values(), key=lambda row: -row["step"])[:NUM_ROLLOUTS]
