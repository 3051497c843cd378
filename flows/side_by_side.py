"""Stages of a journey side by side: each begins when its inputs are made and the machine has room for it.

Whatever ends one early ends all: a stage that fails, a signal, a cancel by Prefect. The others write their
checkpoints first, so a rerun resumes from there.
"""

import contextvars
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Generic, TypeVar

from infra.runs import stops
from rpt_core.errors import Stopped

T = TypeVar("T")
_NOT_BEGUN = "stopped before the next stage began; what is finished is kept, and a rerun resumes."


@dataclass(frozen=True, slots=True)
class JourneyStage:
    """One stage to be made."""

    key: str
    needs: frozenset[str]
    """Keys of the jobs it stands on."""
    cores: int
    num_bytes: int
    """Memory of its processes, as a plan estimates it."""


@dataclass(frozen=True, slots=True)
class Room:
    """What jobs that run at once may take together; a single one always has room."""

    jobs: int
    cores: int
    num_bytes: int

    def holds(self, jobs: Sequence[JourneyStage]) -> bool:
        """Whether these may run at once."""
        return len(jobs) <= 1 or (
            len(jobs) <= self.jobs
            and sum(job.cores for job in jobs) <= self.cores
            and sum(job.num_bytes for job in jobs) <= self.num_bytes
        )


@dataclass
class _Runs(Generic[T]):
    """Jobs under way, each in a thread of its own."""

    jobs: dict[str, JourneyStage] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)
    _ended: SimpleQueue[tuple[str, T | None, BaseException | None]] = field(default_factory=SimpleQueue)

    def start(self, job: JourneyStage, work: Callable[[], T]) -> None:
        """Begin one, in the present context: a flow's tasks belong to it in whatever thread they run."""

        def run() -> None:
            try:
                self._ended.put((job.key, work(), None))
            except BaseException as error:  # noqa: BLE001  (raised again by whoever waits)
                self._ended.put((job.key, None, error))

        self.jobs[job.key] = job
        # a daemon: where a stop does not come through, the second signal still ends the command
        threading.Thread(
            target=contextvars.copy_context().run, args=(run,), name=job.key[:16], daemon=True
        ).start()

    def next(self) -> tuple[JourneyStage, T | None]:
        """The next one to end, and what it made; nothing where it failed."""
        key, result, error = self._ended.get()
        if error is not None:
            self.errors.append(error)
        return self.jobs.pop(key), result

    def first_error(self) -> BaseException:
        """What ended the others: the first that did not merely stop."""
        return next((error for error in self.errors if not isinstance(error, Stopped)), self.errors[0])


def side_by_side(
    jobs: Sequence[JourneyStage],
    room: Room,
    begin: Callable[[str], Callable[[], T]],
    made: Callable[[str, T], None],
    grace_seconds: float,
) -> None:
    """Make all jobs, as many at once as there is room for, earlier ones first.

    Args:
        jobs: In an order in which each comes after what it needs.
        room: What may run at once.
        begin: Called here when a job's inputs are made; what it gives is called in the job's thread.
        made: Called here with what a job made, in the order in which jobs end.
        grace_seconds: How long a stage may take to stop; told to a person who asks for it.

    Raises:
        Stopped: somebody asked to stop.
        BaseException: what the first job to fail raised, after the others have stopped.
    """
    waiting, done, runs = list(jobs), set[str](), _Runs[T]()
    with stops.noted(grace_seconds), _all_or_none(runs) as call_off:
        while waiting or runs.jobs:
            if not (stops.asked() or runs.errors):
                for job in [job for job in waiting if job.needs <= done]:
                    if room.holds([*runs.jobs.values(), job]):
                        waiting.remove(job)
                        runs.start(job, begin(job.key))
            if not runs.jobs:
                break
            job, result = runs.next()
            if runs.errors:
                call_off()
            if result is not None:
                made(job.key, result)
                done.add(job.key)
    if runs.errors:
        raise runs.first_error()
    if waiting:
        raise Stopped(_NOT_BEGUN)


@contextmanager
def _all_or_none(runs: _Runs[T]) -> Iterator[Callable[[], None]]:
    """Before an interruption is raised, stop what is under way and wait for it; how that went is its note."""
    with stops.together() as call_off:
        try:
            yield call_off
        except BaseException as interruption:
            call_off()
            while runs.jobs:
                runs.next()
            for error in runs.errors:
                interruption.add_note(str(error))
            raise
