"""What a stage function may ask of the world while it runs.

Every stage is one function ``stage(recipe, build) -> Outcome`` of ``rpt_core``. It reads the folders
in ``build.inputs``, writes files into ``build.out`` and reports through the methods below. It never
sees the store, Prefect or MLflow: whoever runs it supplies a :class:`Build`; a notebook or a test
uses :class:`LocalBuild`.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from rpt_core.artifacts.placement import Numerics, Placement

T = TypeVar("T")
R = TypeVar("R")

METRICS_FILE = "metrics.jsonl"
"""One line a step: ``{"step": 3, "name": value, ...}``; logical."""
FLOPS = "gflops_total"
"""Name of the metric that counts a training's floating-point operations up to and including a step, in units
of 1e9: the compute axis of every view. Writers and readers of the record take the name from here. A line
without it has no place on that axis."""
GIGA = 1e9
TIMINGS_FILE = "timings.jsonl"
"""Seconds and rates of the same steps; volatile."""
SECONDS = "seconds"
"""Name of the timing that holds a step's own duration."""
SYSTEM = "system/"
"""Begins the names of timings that were read from the machine: load and memory."""
PAGE_FILE = "page.md"
"""What Prefect's UI shows of an artifact, where it has one."""
VIEW_FILES = frozenset({"card.html", "card.json", PAGE_FILE})
"""Told from an artifact's other files and its outcome: a nicer page makes no other artifact."""
MILESTONES_FILE = "milestones.json"
"""In a trained artifact: step -> address of the checkpoint published at that step."""
REPORT_PAGE = "report.html"
"""What a report says, with the hours it took; its text and numbers also stand in files that have none."""
TIMINGS_PAGE = "timings.html"
"""Beside a report: the seconds, attempts and dates of what it stands on."""
VOLATILE_FILES = VIEW_FILES | {TIMINGS_FILE, REPORT_PAGE, TIMINGS_PAGE, "environment.json", "log.txt"}
"""Outside the artifact's digest."""


Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""What applies a function to items and gives the results in their order, as Python's ``map`` does."""

STATE_FOLDER = "state"
"""In a milestone: what a training resumes from, beside the model."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint of an unfinished build: the step it was taken after, and its read-only folder."""

    step: int
    folder: Path


class Build(Protocol):
    """The stage's window to the outside."""

    inputs: Mapping[str, Path]
    """Read-only folders, by the recipe's input names (``corpus``, ``start``, ``evaluations.0`` ...)."""
    out: Path
    """Scratch of this attempt; all of it is published, whole, when the stage returns."""
    scratch: Path
    """Scratch that is thrown away; it does not outlive the attempt."""
    placement: Placement
    numerics: Numerics

    def log(self, step: int, values: Mapping[str, float], timings: Mapping[str, float] | None = None) -> None:
        """Append one line of metrics (logical) and one of timings (volatile) for ``step``."""

    def progress(self, done: float, total: float, note: str = "") -> None:
        """Tell a watcher how far the stage is; may be called often."""

    def save(self, step: int, folder: Path) -> None:
        """Keep ``folder`` as the checkpoint after ``step``. It is stored with the metrics so far."""

    def resume(self) -> Saved | None:
        """The highest checkpoint that verifies; metrics after its step are forgotten."""

    def milestone(
        self, step: int, folder: Path, summary: Mapping[str, float], state: Path | None = None
    ) -> None:
        """Publish ``folder`` (a Hugging Face model folder) as a ``checkpoint`` artifact of this build.

        ``state`` is a folder with what a training resumes from; it becomes :data:`STATE_FOLDER`.
        """

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """The function of every item, in order; in this process or in others, as the placement says.

        Function, items and results must pickle, and the function must be pure: it may be called again with
        an item whose process died. Items are taken as they are needed, a few ahead.
        """

    def stopping(self) -> bool:
        """True once somebody asked the stage to stop: save, then raise :class:`rpt_core.errors.Stopped`."""


@dataclass
class LocalBuild:
    """A :class:`Build` on plain folders, for notebooks and tests."""

    inputs: Mapping[str, Path]
    out: Path
    scratch: Path
    placement: Placement = field(default_factory=Placement)
    numerics: Numerics = field(
        default_factory=lambda: Numerics(
            backend="torch",
            engine="torch",
            layout="two-pass",
            dtype="float32",
            world_size=1,
            tokens_per_micro_batch=16_384,
            torch="local",
            device="local",
            threads=1,
        )
    )
    saves: dict[int, Path] = field(default_factory=dict)
    milestones: dict[int, Path] = field(default_factory=dict)
    stop: bool = False
    mapper: Mapper = map

    def __post_init__(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        self.scratch.mkdir(parents=True, exist_ok=True)

    def log(self, step: int, values: Mapping[str, float], timings: Mapping[str, float] | None = None) -> None:
        """Append to ``metrics.jsonl`` and ``timings.jsonl`` in ``out``."""
        _append(self.out / METRICS_FILE, {"step": step, **values})
        if timings:
            _append(self.out / TIMINGS_FILE, {"step": step, **timings})

    def progress(self, done: float, total: float, note: str = "") -> None:
        """No-op."""

    def save(self, step: int, folder: Path) -> None:
        """Copy the folder aside, so that it cannot change under a later resume."""
        import shutil

        kept = self.scratch / "saves" / f"{step:06d}"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(folder, kept)
        self.saves[step] = kept

    def resume(self) -> Saved | None:
        """The highest save, and metrics cut back to it."""
        if not self.saves:
            cut_metrics(self.out, -1)
            return None
        step = max(self.saves)
        cut_metrics(self.out, step)
        return Saved(step, self.saves[step])

    def milestone(
        self, step: int, folder: Path, summary: Mapping[str, float], state: Path | None = None
    ) -> None:
        """Copy the model folder aside, and the state beside it."""
        import shutil

        kept = self.scratch / "milestones" / f"{step:06d}"
        shutil.copytree(folder, kept / "model", dirs_exist_ok=True)
        if state is not None:
            shutil.copytree(state, kept / STATE_FOLDER, dirs_exist_ok=True)
        self.milestones[step] = kept

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """By the mapper that was given."""
        return self.mapper(function, items)

    def stopping(self) -> bool:
        """What the test says."""
        return self.stop


def _append(path: Path, row: Mapping[str, float]) -> None:
    with path.open("a") as stream:
        stream.write(json.dumps(row, allow_nan=False) + "\n")


def cut_metrics(out: Path, last_step: int) -> None:
    """Forget metrics and timings after ``last_step``, so that a resumed run has no duplicate steps."""
    for name in (METRICS_FILE, TIMINGS_FILE):
        path = out / name
        if path.exists():
            lines = path.read_text().splitlines(keepends=True)
            kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= last_step]
            path.write_text("".join(kept))
