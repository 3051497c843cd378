"""Warm child processes that compute what reading alone cannot decide.

Two at most, started when first needed and kept. A child that overruns its time, its memory or breaks is
killed and replaced; its job is ``timed-out``. Children never outlive the parent: their standard input ends
with it, and their own timer ends a job in progress. After a fork the new process starts children of its own.
"""

import atexit
import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rpt_core.errors import EngineError
from rpt_core.objectives.problems.answers import tree as t
from rpt_core.objectives.problems.answers.compare import Leaf

Computed = Literal["correct", "wrong", "unparsed", "timed-out"]

CHILDREN = min(2, os.cpu_count() or 1)
JOB_S = 4.2
"""Wall seconds a job may take in a child that is ready; the child itself allows 1.2 of processor time."""
STARTS_MAX = 3
"""Starts in a row that may fail before the pool gives up."""
START_S = 60.0
"""Wall seconds a child may take to start; past them its jobs are ``timed-out``."""
_SCRIPT = Path(__file__).with_name("computing.py")


@dataclass
class _Child:
    process: subprocess.Popen[bytes]
    held: bytes = b""
    deadline: float = 0.0
    job: int | None = None
    ready: bool = False

    @classmethod
    def start(cls) -> "_Child":
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        process = subprocess.Popen(  # noqa: S603  (our own interpreter and script)
            [sys.executable, "-P", str(_SCRIPT)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=environment, cwd="/",
        )  # fmt: skip
        return cls(process, deadline=time.monotonic() + START_S)

    def give(self, number: int, line: bytes) -> None:
        assert self.process.stdin is not None
        self.job, self.deadline = number, time.monotonic() + JOB_S
        with contextlib.suppress(BrokenPipeError):  # its end is seen when it is read
            self.process.stdin.write(line)
            self.process.stdin.flush()

    def line(self) -> bytes | None:
        """A whole line that has arrived; empty when the child has ended; None when it is not whole yet."""
        assert self.process.stdout is not None
        got = os.read(self.process.stdout.fileno(), 1 << 16)
        if not got:
            return b""
        self.held += got
        if not self.held.endswith(b"\n"):
            return None
        line, self.held = self.held, b""
        return line

    def end(self) -> None:
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()
        self.process.wait()


@dataclass
class Pool:
    """The children, one user at a time."""

    children: list[_Child] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    failed_starts: int = 0

    def compute(self, jobs: Sequence[Sequence[Leaf]]) -> list[list[Computed]]:
        """Verdicts of all leaves of all jobs; a job is one pair of answers and has one budget of time."""
        with self.lock:
            return self._compute([_line(job) for job in jobs], [len(job) for job in jobs])

    def _compute(self, lines: list[bytes], sizes: list[int]) -> list[list[Computed]]:
        answers: dict[int, list[Computed]] = {}
        waiting = list(range(len(lines)))[::-1]
        while len(answers) < len(lines):
            self._fill(waiting, lines)
            self._collect(answers, sizes)
        return [answers[number] for number in range(len(lines))]

    def _fill(self, waiting: list[int], lines: list[bytes]) -> None:
        busy = sum(child.job is not None for child in self.children)
        while len(self.children) < min(CHILDREN, busy + len(waiting)):
            self.children.append(_Child.start())
        for child in self.children:
            if waiting and child.ready and child.job is None:
                number = waiting.pop()
                child.give(number, lines[number])

    def _collect(self, answers: dict[int, list[Computed]], sizes: list[int]) -> None:
        """Wait for the next line or deadline; replace what broke."""
        active = [child for child in self.children if child.job is not None or not child.ready]
        wait = max(0.0, min(child.deadline for child in active) - time.monotonic())
        pipes = [child.process.stdout for child in active if child.process.stdout is not None]
        readable, _, _ = select.select(pipes, [], [], wait)
        for child in active:
            line = child.line() if child.process.stdout in readable else None
            if line is None and time.monotonic() < child.deadline:
                continue
            if line and not child.ready:
                child.ready, self.failed_starts = True, 0
            elif line and child.job is not None:
                answers[child.job], child.job = json.loads(line), None
            else:
                self._lost(child, answers, sizes)

    def _lost(self, child: _Child, answers: dict[int, list[Computed]], sizes: list[int]) -> None:
        self.children.remove(child)
        child.end()
        if child.job is not None:
            answers[child.job] = ["timed-out"] * sizes[child.job]
        elif not child.ready:
            self.failed_starts += 1
        if self.failed_starts >= STARTS_MAX:
            self.failed_starts = 0
            raise EngineError(
                f"the process that computes answers ended {STARTS_MAX} times before it was ready (exit "
                f"{child.process.returncode}), so answers such as 2\\sqrt{{3}} cannot be graded; run "
                f"`{sys.executable} -P {_SCRIPT}` to see why (mpmath and math-verify have to be installed)."
            )
        self.children.append(_Child.start())  # it starts while others work

    def close(self) -> None:
        """End all children."""
        for child in self.children:
            child.end()
        self.children.clear()


def _line(job: Sequence[Leaf]) -> bytes:
    leaves = [[one if isinstance(one, str) else t.as_json(one) for one in leaf] for leaf in job]
    return json.dumps(leaves).encode() + b"\n"


POOL = Pool()


def _forked() -> None:
    """The parent's children are not ours: forget them, with the lock a thread may have held."""
    for child in POOL.children:
        child.process.returncode = 0  # so that no destructor waits for another's child
    POOL.children, POOL.lock = [], threading.Lock()


os.register_at_fork(after_in_child=_forked)
atexit.register(POOL.close)
