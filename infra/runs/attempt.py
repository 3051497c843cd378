"""One attempt at building an artifact: its folders, its window to the store, and the publish at the end."""

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from infra.runs.readings import Readings
from infra.storage.store import Store
from rpt_core.artifacts.build import (
    METRICS_FILE,
    MILESTONES_FILE,
    STATE_FOLDER,
    TIMINGS_FILE,
    VOLATILE_FILES,
    LocalBuild,
    Saved,
    cut_metrics,
)
from rpt_core.artifacts.digest import artifact_digest
from rpt_core.artifacts.manifest import Attempt, Manifest, Outcome
from rpt_core.artifacts.placement import Numerics, Placement
from rpt_core.artifacts.recipe import Artifact, Frozen, canonical_json
from rpt_core.errors import IntegrityError

PROGRESS_FILE = "progress.json"
RESULT_FILE = "result.json"
CHECKPOINT_KIND = "checkpoint"


class Job(Frozen):
    """Everything an attempt needs, as one JSON file: what crosses into the child process."""

    function: str
    """``module:function`` of the stage."""
    recipe_class: str
    """``module:class`` of its recipe."""
    recipe: dict[str, Any]
    kind: str
    fingerprint: str
    parents: dict[str, Artifact]
    inputs: dict[str, Path]
    folder: Path
    """The attempt's own folder; ``out`` and ``scratch`` lie in it."""
    placement: Placement
    numerics: Numerics | None
    """None for exact stages."""
    store: str
    cache: Path
    code: str
    environment: dict[str, str]
    started: str

    @property
    def out(self) -> Path:
        """What will be published."""
        return self.folder / "out"

    @property
    def world_size(self) -> int:
        """Processes the stage runs in: as many as its manifest will say."""
        return self.numerics.world_size if self.numerics else 1

    @property
    def key(self) -> str:
        """Where this attempt's progress is kept: by numerics, since other numerics cannot resume from it.

        The number of ranks is left out: no part of a checkpoint depends on it.
        """
        return self.numerics.model_copy(update={"world_size": 1}).key() if self.numerics else "exact"


class StoreBuild(LocalBuild):
    """A :class:`rpt_core.artifacts.build.Build` whose checkpoints and milestones go to the store."""

    def __init__(self, job: Job, store: Store, stopping: Callable[[], bool]) -> None:
        """Open the attempt's folders."""
        super().__init__(job.inputs, job.out, job.folder / "scratch", job.placement)
        if job.numerics is not None:
            self.numerics = job.numerics
        self.job = job
        self.store = store
        self._stopping = stopping
        self._begin = time.monotonic()
        self._readings = Readings()
        self.first_step = 0
        self.last_step = 0
        self.earlier: tuple[Attempt, ...] = ()

    def attempt(self, outcome: Any) -> Attempt:
        """This attempt so far, for the record."""
        return Attempt(
            started=self.job.started,
            seconds=round(time.monotonic() - self._begin, 3),
            steps=(self.first_step, self.last_step),
            outcome=outcome,
            host={"name": os.uname().nodename, "cpus": os.cpu_count() or 0, "ranks": self.job.world_size},
        )

    def log(self, step: int, values: Mapping[str, float], timings: Mapping[str, float] | None = None) -> None:
        """Also remember how far this attempt came, and what it took of the machine."""
        self.last_step = step
        super().log(step, values, {**(timings or {}), **self._readings.read()})

    def progress(self, done: float, total: float, note: str = "") -> None:
        """Write the progress file that the launcher shows; replaced atomically, so never read half."""
        temporary = self.job.folder / f"{PROGRESS_FILE}.tmp"
        resumed = self.first_step if self.earlier else None
        temporary.write_text(json.dumps({"done": done, "total": total, "note": note, "resumed_at": resumed}))
        temporary.replace(self.job.folder / PROGRESS_FILE)

    def save(self, step: int, folder: Path) -> None:
        """Keep a checkpoint, the metrics up to it, and the milestones published so far."""
        bundle = self.scratch / "bundle"
        shutil.rmtree(bundle, ignore_errors=True)
        shutil.copytree(folder, bundle / "state")
        for name in (METRICS_FILE, TIMINGS_FILE, MILESTONES_FILE):
            if (self.out / name).exists():
                shutil.copyfile(self.out / name, bundle / name)
        note = {"attempts": [*map(_plain, self.earlier), _plain(self.attempt("stopped"))]}
        self.store.save_progress(self.job.fingerprint, self.job.key, step, bundle, note)
        self.store.forget_progress(self.job.fingerprint, self.job.key, self.placement.keep_checkpoints)
        shutil.rmtree(bundle)

    def resume(self) -> Saved | None:
        """The highest checkpoint that verifies; corrupt ones are skipped and logged.

        They are listed again after each: another process may have replaced the one that was read.
        """
        seen: set[int] = set()
        while steps := set(self.store.progress_steps(self.job.fingerprint, self.job.key)) - seen:
            step = max(steps)
            seen.add(step)
            folder = self.scratch / "resume" / f"{step:09d}"
            try:
                note = self.store.load_progress(self.job.fingerprint, self.job.key, step, folder)
            except IntegrityError as error:
                print(f"checkpoint {step} is passed over: {error}", flush=True)  # noqa: T201  (the attempt's log)
                continue
            for name in (METRICS_FILE, TIMINGS_FILE, MILESTONES_FILE):
                if (folder / name).exists():
                    shutil.copyfile(folder / name, self.out / name)
            cut_metrics(self.out, step)
            self.earlier = tuple(Attempt.model_validate(row) for row in note["attempts"])
            self.first_step = self.last_step = step
            return Saved(step, folder / "state")
        return None

    def milestone(
        self, step: int, folder: Path, summary: Mapping[str, float], state: Path | None = None
    ) -> None:
        """Publish a model folder as a ``checkpoint`` artifact: identity = this training and the step."""
        identity = {"stage": CHECKPOINT_KIND, "of": self.job.fingerprint, "step": step}
        staging = self.scratch / "milestone"
        shutil.rmtree(staging, ignore_errors=True)
        shutil.copytree(folder, staging / "model")
        if state is not None:
            shutil.copytree(state, staging / STATE_FOLDER)
        (staging / "milestone.json").write_text(json.dumps({"step": step, **summary}))
        checkpoint = publish(
            self.store,
            self.job.model_copy(
                update={
                    "kind": CHECKPOINT_KIND,
                    "fingerprint": sha256(canonical_json(identity)).hexdigest(),
                    "recipe": identity,
                }
            ),
            staging,
            Outcome(summary={"step": step, **summary}),
            (self.attempt("done"),),
        )
        path = self.out / MILESTONES_FILE
        known = json.loads(path.read_text()) if path.exists() else {}
        known[str(step)] = checkpoint.artifact.model_dump()
        path.write_text(json.dumps(known))

    def stopping(self) -> bool:
        """Whether the process was asked to stop."""
        return self._stopping()


def publish(
    store: Store, job: Job, folder: Path, outcome: Outcome, attempts: tuple[Attempt, ...]
) -> Manifest:
    """Upload a finished folder and create its manifest: the one write that makes the artifact exist."""
    files = store.objects.put_folder(folder, VOLATILE_FILES)
    return store.publish(
        Manifest(
            kind=job.kind,
            fingerprint=job.fingerprint,
            digest=artifact_digest(files),
            recipe=job.recipe,
            placement=job.placement,
            numerics=job.numerics,
            parents=job.parents,
            files=files,
            outcome=outcome,
            code=job.code,
            environment=job.environment,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            attempts=attempts,
        ),
        folder,
    )


def _plain(attempt: Attempt) -> dict[str, Any]:
    return attempt.model_dump(mode="json")
