"""A worker process seen from ours: started, told, heard, ended. One JSON object a line (``rpt_serve``).

Nothing here waits for ever, and whatever a worker may do wrong (end, fall silent, say what is no message) is
a :class:`WorkerLost`, after which it is ended and another one is started in its place.
"""

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpt_core.errors import RptError

Message = dict[str, Any]
READ_BYTES = 1 << 20
LAST_LINES = 12
EXIT_SECONDS = 5.0


class WorkerLost(RptError):  # noqa: N818  (what happened to it, not what is wrong)
    """A worker is of no use any more; its questions go to another one."""


class WorkerFailed(WorkerLost):
    """It said itself what went wrong."""


@dataclass(frozen=True, slots=True)
class PipeDeadlines:
    """Seconds after which a worker that says nothing counts as hung."""

    start: float = 900.0
    """Until the model is loaded: imports, weights, on a GPU compiling."""
    silence: float = 300.0
    """Between two lines while it works; it says something at least after each pass through the model."""


class Worker:
    """One process, from its start to its end."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        """Start it; stderr goes to ``log``."""
        self.log = log
        self._said = bytearray()
        with log.open("ab") as errors:
            self.process = subprocess.Popen(  # noqa: S603  (the command is ours)
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=dict(env),
                start_new_session=True,  # so that its own children can be ended with it
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._to, self._from = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self._to, False)

    def tell(self, message: Message, seconds: float) -> None:
        """Send one message, whole.

        Raises:
            WorkerLost: it has ended, or has not taken the message in time.
        """
        rest, until = memoryview(json.dumps(message).encode() + b"\n"), time.monotonic() + seconds
        while rest:
            self._wait(self._to, selectors.EVENT_WRITE, until)
            try:
                rest = rest[os.write(self._to, rest) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise self._ended() from None

    def hear(self, seconds: float) -> tuple[str, Any]:
        """The next message: its kind and its content.

        Raises:
            WorkerFailed: it says that something failed.
            WorkerLost: it has ended, is silent for too long, or says what is no message.
        """
        until = time.monotonic() + seconds
        while b"\n" not in self._said:
            self._wait(self._from, selectors.EVENT_READ, until)
            fresh = os.read(self._from, READ_BYTES)
            if not fresh:
                raise self._ended()
            self._said += fresh
        line, _, rest = self._said.partition(b"\n")
        self._said = rest
        try:
            ((kind, content),) = json.loads(line).items()
        except (ValueError, AttributeError):
            raise WorkerLost(f"said {bytes(line[:80])!r}, which is no message") from None
        if kind == "failed":
            raise WorkerFailed(str(content))
        return kind, content

    def expect(self, kind: str, content: Any, seconds: float) -> None:
        """Hear exactly this.

        Raises:
            WorkerLost: it says something else.
        """
        if (heard := self.hear(seconds)) != (kind, content):
            raise WorkerLost(f"was to say {kind} {content!r} and said {heard[0]} {str(heard[1])[:80]}")

    def tail(self) -> str:
        """The end of its log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-LAST_LINES:])

    def end(self) -> None:
        """End it and its children; it may be dead already."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()  # a worker that can still read ends by itself
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(EXIT_SECONDS)
        self._kill_group()  # which may outlive its first process
        self.process.wait()
        self.process.stdout.close()

    def kill(self) -> None:
        """End it at once: it is lost, and nothing is to be waited for."""
        self._kill_group()
        self.end()

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # nobody is left; macOS says so of zombies
            os.killpg(self.process.pid, signal.SIGKILL)

    def _wait(self, descriptor: int, event: int, until: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, event)
            if not selector.select(max(0.0, until - time.monotonic())):
                raise WorkerLost("has said nothing for too long")

    def _ended(self) -> WorkerLost:
        try:
            code: int | None = self.process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        how = "closed its pipe" if code is None else f"ended with code {code}"
        return WorkerLost(how)
