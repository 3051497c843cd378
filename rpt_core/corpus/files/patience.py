"""A watchdog for readers: CPU time without a row ends the stage.

What a reader may do is bounded by counts, so that equal input gives equal rows on any machine. This clock
decides no row: it ends the stage with the name of the file whose reader is at fault.
"""

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TypeVar

from rpt_core.errors import SourceError

CPU_SECONDS_MAX = 60.0
_TICKS = 12
"""Looks at the clock in that time: rows cost nothing but a counter that is put back."""
T = TypeVar("T")


@dataclass(slots=True)
class _Watch:
    name: str
    seconds: float
    ticks: int = 0
    reading: bool = False

    def tick(self, _number: int, _frame: FrameType | None) -> None:
        """Called by the system; raises in the main thread, even within a pattern."""
        self.ticks += self.reading
        if self.ticks > _TICKS:
            raise SourceError(
                f"{self.name} gave no row in {self.seconds:g} seconds of processor time: its reader hangs, "
                "it seems. Take the file out of the data folder, and report what it is."
            )


def patient(rows: Iterable[T], name: str, seconds: float = CPU_SECONDS_MAX) -> Iterator[T]:
    """The rows, unless one takes longer than any can; the time of whoever takes them is not counted.

    In other threads than a process's main one there is no such clock, and all rows come.

    Raises:
        SourceError: no row came in so much processor time.
    """
    source = iter(rows)
    with _ticking(name, seconds) as watch:
        while True:
            watch.ticks, watch.reading = 0, True
            try:
                row = next(source)
            except StopIteration:
                return
            finally:
                watch.reading = False
            yield row


@contextmanager
def _ticking(name: str, seconds: float) -> Iterator[_Watch]:
    watch = _Watch(name, seconds)
    if threading.current_thread() is not threading.main_thread():
        yield watch
        return
    handler = signal.signal(signal.SIGPROF, watch.tick)
    timer = signal.setitimer(signal.ITIMER_PROF, seconds / _TICKS, seconds / _TICKS)
    try:
        yield watch
    finally:
        signal.setitimer(signal.ITIMER_PROF, *timer)
        signal.signal(signal.SIGPROF, handler)
