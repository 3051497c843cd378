"""What people see of a running stage: one live line on a terminal, plain lines elsewhere."""

import json
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from infra.runs.attempt import PROGRESS_FILE
from tasks.views import ProgressView

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


class StageWatch:
    """Shows the progress a stage leaves in its attempt's folder; used as a context around the launch."""

    def __init__(self, title: str, folder: Path) -> None:
        """Watch ``folder`` for the stage called ``title``."""
        self.title = title
        self.file = folder / PROGRESS_FILE
        self.begin = time.monotonic()
        self.told = self.begin
        self.line: TaskID | None = None
        self.view = ProgressView(title)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.line is not None:
            _board.remove(self.line)

    def poll(self) -> None:
        """Look once; cheap enough to be called several times a second."""
        now = time.monotonic()
        if now - self.begin < QUIET_SECONDS:
            return
        done, total, note = self._read()
        self.view.tell(done, total)
        if sys.stderr.isatty():
            self._draw(done, total, note)
        elif now - self.told >= _PLAIN_EVERY_SECONDS:
            self.told = now
            share = f"{done:,.0f}/{total:,.0f} " if total else ""
            console.print(f"  {self.title}: {share}{note} ({now - self.begin:.0f} s)")

    def _draw(self, done: float, total: float, note: str) -> None:
        if self.line is None:
            self.line = _board.add(self.title)
        _board.update(self.line, done, total, note)

    def _read(self) -> tuple[float, float, str]:
        if not self.file.exists():
            return 0.0, 0.0, "starting"
        state = json.loads(self.file.read_text())
        return float(state["done"]), float(state["total"]), str(state["note"])


def _new_progress() -> Progress:
    return Progress(
        TextColumn("  {task.description:<16}"),
        BarColumn(bar_width=32),
        TaskProgressColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
