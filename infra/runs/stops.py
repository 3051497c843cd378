"""What SIGINT, SIGTERM and SIGHUP mean to a command: stop, say so at once, and lose nothing finished.

The first signal interrupts whatever the command does, as Ctrl-C always did; while a stage runs
(:func:`noted`) it is only noted instead, because the stage's process can still write a checkpoint. A
second one ends the command and every process it owns at once, as a SIGKILL would, but with a sentence.

Prefect puts a handler of its own on SIGTERM for as long as a flow runs, and calls this one afterwards.
"""

import contextlib
import contextvars
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

from infra.runs import lifeline
from rpt_core.errors import EXIT_TRY_AGAIN

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NOW = "stopped at once. Rerun to resume from the last checkpoint."


@dataclass
class _State:
    """One per process: handlers are the process's, not an object's."""

    listening: bool = False
    asked: bool = False
    grace_seconds: float | None = None
    """Set while somebody looks at :func:`asked`; the first signal then interrupts nothing."""


_state = _State()
_called_off: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar(
    "called_off", default=None
)


def asked() -> bool:
    """Whether this process was asked to stop, or what runs in this context was called off."""
    event = _called_off.get()
    return _state.asked or (event is not None and event.is_set())


@contextlib.contextmanager
def together() -> Iterator[Callable[[], None]]:
    """Yield what makes :func:`asked` true here and in every thread that runs in a copy of this context."""
    event = threading.Event()
    token = _called_off.set(event)
    try:
        yield event.set
    finally:
        _called_off.reset(token)


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Take the signals for a command. Ones inside change nothing, nor does it outside the main thread.

    A SIGHUP that is ignored stays so: whoever wrote ``nohup`` meant it. SIGINT is taken even where a shell
    that has no job control started us in the background with SIGINT ignored.
    """
    if _state.listening or threading.current_thread() is not threading.main_thread():
        yield
        return
    _state.listening, _state.asked = True, False
    with _handlers():
        try:
            yield
        finally:
            _state.listening = False


@contextlib.contextmanager
def noted(grace_seconds: float) -> Iterator[None]:
    """Inside, the first signal only makes :func:`asked` true: the caller looks at it several times a second.

    Outside of :func:`listening` (a notebook, a Prefect worker) it changes nothing.

    Args:
        grace_seconds: How long the caller waits for its process to stop; told to the person who asked.
    """
    if not _state.listening or threading.current_thread() is not threading.main_thread():
        yield
        return
    with _handlers():
        _state.grace_seconds = grace_seconds
        try:
            yield
        finally:
            _state.grace_seconds = None


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Inside, the signals wait; so they do in a process started there, until it calls :func:`let_through`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def close() -> None:
    """Hear no signal any more: this process is on its way out, and a signal would change its exit code."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def let_through() -> None:
    """Take the signals now, those first that came while they were held back."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


@contextlib.contextmanager
def _handlers() -> Iterator[None]:
    before = {
        number: signal.signal(number, _heard)
        for number in SIGNALS
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _heard(number: int, frame: FrameType | None) -> None:
    if _state.asked:
        end_now()
    _state.asked = True
    if _state.grace_seconds is not None:
        within = f"up to {_state.grace_seconds:.0f} s"
        _say(f"stopping after this step ({within}); press Ctrl-C again to stop at once")
        return
    if lifeline.owns():
        _say("stopping; press Ctrl-C again to stop at once")
    raise KeyboardInterrupt


def end_now() -> None:
    """End every process this one owns, and this one, without any further word of other code."""
    _say(f"rpt: {_NOW}")
    lifeline.end_owned()
    os._exit(EXIT_TRY_AGAIN)


def _say(line: str) -> None:
    """Straight to the terminal: a signal may have come while Python's own stream was being written."""
    clean, shown = ("\r\x1b[2K", "\x1b[?25h") if os.isatty(2) else ("", "")
    with contextlib.suppress(OSError):
        os.write(2, f"{clean}{shown}{line}\n".encode())


def flush() -> None:
    """Both streams, as far as their readers are still there."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
