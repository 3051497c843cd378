"""What people see of a running stage: one live line on a terminal, plain lines elsewhere."""

import json
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from infra.runs.attempt import PROGRESS_FILE
from tasks.shown.run_log import say
from tasks.shown.views import ProgressView

QUIET_SECONDS = 2.0
"""Stages shorter than this show no bar; longer ones always do."""
_PLAIN_EVERY_SECONDS = 15.0

console = Console(stderr=True, highlight=False)


class _Board:
    """The terminal's one live display: a line for each stage that runs now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._progress: Progress | None = None

    def add(self, title: str) -> TaskID:
        """A line for one more stage."""
        with self._lock:
            if self._progress is None:
                self._progress = _new_progress()
                self._progress.start()
            return self._progress.add_task(title, total=None, note="")

    def update(self, line: TaskID, done: float, total: float, note: str) -> None:
        """What a stage's line says now."""
        with self._lock:
            if self._progress is not None:
                self._progress.update(line, completed=done, total=total or None, note=note)

    def remove(self, line: TaskID) -> None:
        """Take a stage's line away, and with the last one the display."""
        with self._lock:
            if self._progress is not None:
                self._progress.remove_task(line)
                if not self._progress.tasks:
                    self._progress.stop()
                    self._progress = None


_board = _Board()


def tell(sentence: str) -> None:
    """Say something of a stage to whoever looks: on standard error, and in the log of a Prefect run."""
    console.print(f"  {sentence}", soft_wrap=True)
    say("%s", sentence)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a stage says of itself at one moment."""

    at: float
    """Seconds, of a clock that only goes forward."""
    done: float = 0.0
    total: float = 0.0
    note: str = "starting"
    resumed_at: int | None = None
    """Step of the checkpoint it resumed from."""

    def since(self, begun: float, first: "Seen") -> str:
        """One line: done of total, what it notes, how long it takes, at which rate, and what is left.

        Args:
            begun: When the stage was started.
            first: The first moment at which it said anything; imports before it say nothing of its rate.
        """
        share = f"{self.done:,.0f}/{self.total:,.0f} " if self.total else ""
        times = [f"{self.at - begun:.0f} s"]
        if self.done > first.done and self.at > first.at:
            rate = (self.done - first.done) / (self.at - first.at)
            times.append(f"{rate:.3g} a second")
            if self.total > self.done:
                times.append(f"about {(self.total - self.done) / rate:,.0f} s left")
        return f"{share}{self.note} ({', '.join(times)})"


class StageWatch:
    """Shows the progress a stage leaves in its attempt's folder; used as a context around the launch.

    On a terminal as a bar, elsewhere as a line now and then; the same lines go to the log of a Prefect run.
    """

    def __init__(self, title: str, folder: Path) -> None:
        """Watch ``folder`` for the stage called ``title``."""
        self.title = title
        self.file = folder / PROGRESS_FILE
        self.begin = time.monotonic()
        self.told = self.begin
        self.line: TaskID | None = None
        self.view = ProgressView(title)
        self.first: Seen | None = None
        self.last = Seen(self.begin)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.line is not None:
            _board.remove(self.line)
        if error is None:
            self.view.finish()
            if self.first is not None:
                self._look()
                say("%s: %s", self.title, self.last.since(self.begin, self.first))

    def poll(self) -> None:
        """Look once; cheap enough to be called several times a second."""
        now = time.monotonic()
        if now - self.begin < QUIET_SECONDS:
            return
        self._look()
        self.view.tell(self.last.done, self.last.total)
        if sys.stderr.isatty():
            self._draw()
        if now - self.told >= _PLAIN_EVERY_SECONDS:
            self.told = now
            line = self.last.since(self.begin, self.first or self.last)
            if not sys.stderr.isatty():
                console.print(f"  {self.title}: {line}", soft_wrap=True)
            say("%s: %s", self.title, line)

    def _draw(self) -> None:
        if self.line is None:
            self.line = _board.add(self.title)
        _board.update(self.line, self.last.done, self.last.total, self.last.note)

    def _look(self) -> None:
        """Read what the stage says now; the file is replaced whole, so never read half."""
        if not self.file.exists():
            self.last = Seen(time.monotonic())
            return
        state = json.loads(self.file.read_text())
        self.last = Seen(
            time.monotonic(), float(state["done"]), float(state["total"]), state["note"], state["resumed_at"]
        )
        if self.first is None:
            self.first = self.last
            if self.last.resumed_at is not None:
                say("%s: resumed at step %d", self.title, self.last.resumed_at)


def _new_progress() -> Progress:
    return Progress(
        TextColumn("  {task.description:<16}"),
        BarColumn(bar_width=32),
        TaskProgressColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
