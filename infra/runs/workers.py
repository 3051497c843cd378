"""Other processes for a data stage: a pool on this machine, or Ray's workers wherever they are.

    with workers(placement) as mapper:      # mapper(function, items) -> results, in the order of the items
        ...

A stage hands over a pure function and items, each of which is a shard of its work; at most ``AHEAD`` items
per process are on their way, so neither items nor results pile up. A shard whose process dies is given to
another one, and the results of the others stay; one that kills every process it meets ends the stage with
a name. What a function raises is raised here.
"""

import functools
import os
import pickle
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import chdir, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rpt_core.artifacts.build import Mapper
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import EngineError

AHEAD = 2
"""Items on their way, per process: one at work, one waiting."""
TICK_SECONDS = 0.5
TRIES = 3
"""Processes that may die on one shard before the stage gives up."""


@contextmanager
def workers(placement: Placement, folder: Path | None = None) -> Iterator[Mapper]:
    """What maps a function over shards as the placement says; its processes end with the context.

    Args:
        placement: How many, and where.
        folder: For what processes of this machine share, cleared by whoever owns it when all are killed; the
            system's for temporary files without it.

    Raises:
        EngineError: Ray is asked for and not installed.
    """
    if placement.workers_on == "ray":
        with _ray(placement.workers) as mapper:
            yield mapper
    elif placement.workers == 1:
        yield map
    else:
        pool = _Pool(placement.workers, folder)
        try:
            yield pool.map
        finally:
            pool.close()


@functools.lru_cache(2)
def _function(pickled: bytes) -> Callable[[Any], Any]:
    """A stage's function, unpickled once per process and not once per shard."""
    function: Callable[[Any], Any] = pickle.loads(pickled)  # noqa: S301  (bytes of our own parent)
    return function


def _call(pickled: bytes, item: Any) -> Any:
    return _function(pickled)(item)


@functools.lru_cache(2)
def _saved(path: str) -> bytes:
    """A pickled function out of a file: with what it knows it may be larger than the shards."""
    return Path(path).read_bytes()


def _call_saved(path: str, item: Any) -> Any:
    return _call(_saved(path), item)


def _end_with(parent: int) -> None:
    """End this process soon after the stage it works for.

    A worker waits for work on a pipe whose other end it holds itself, so the stage's death alone would not
    wake it; and of the run's two watchers one may kill the other before it comes to this process.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(TICK_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Pool:
    """A pool of processes that outlives the death of any of them."""

    def __init__(self, num: int, folder: Path | None) -> None:
        self._num = num
        self._folder = tempfile.TemporaryDirectory(prefix="rpt-workers-", dir=folder)
        self._num_functions = 0
        self._executor = self._started()

    def _started(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._num, mp_context=get_context("spawn"), initializer=_end_with, initargs=(os.getpid(),)
        )

    def close(self) -> None:
        """End the processes; what waits is not begun."""
        self._executor.shutdown(cancel_futures=True)
        self._folder.cleanup()

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Results in the order of the items."""
        path = self._save(function)
        underway: deque[tuple[Any, Future[Any]]] = deque()
        for item in items:
            underway.append((item, self._executor.submit(_call_saved, path, item)))
            if len(underway) >= AHEAD * self._num:
                yield self._next(path, underway)
        while underway:
            yield self._next(path, underway)

    def _save(self, function: Callable[[Any], Any]) -> str:
        """Put a function where every process reads it once, and not beside every shard."""
        self._num_functions += 1
        path = Path(self._folder.name) / f"{self._num_functions}.pickle"
        path.write_bytes(pickle.dumps(function))
        return str(path)

    def _next(self, path: str, underway: deque[tuple[Any, Future[Any]]]) -> Any:
        """The first result; when a process died, all that is not done goes to a new pool."""
        for _ in range(TRIES):
            try:
                result = underway[0][1].result()
            except BrokenProcessPool:
                self._executor.shutdown(cancel_futures=True)
                self._executor = self._started()
                for place, (item, future) in enumerate(underway):
                    if not _is_done(future):
                        underway[place] = (item, self._executor.submit(_call_saved, path, item))
            else:
                underway.popleft()
                return result
        raise EngineError(
            f"{TRIES} processes died on one shard, the last without a word (memory, most likely). "
            "Give the stage fewer workers or the machine more memory; the shards before it were good."
        )


def _is_done(future: Future[Any]) -> bool:
    """Whether a future ended by its function, well or badly, and not by the death of its process."""
    return future.done() and not isinstance(future.exception(), BrokenProcessPool)


@contextmanager
def _nowhere() -> Iterator[None]:
    """An empty working folder for a moment: Ray gives the driver's to its workers as a place of modules."""
    with tempfile.TemporaryDirectory(prefix="rpt-workers-") as empty, chdir(empty):
        yield


@contextmanager
def _ray(num: int) -> Iterator[Mapper]:
    """Ray's workers: of the cluster that ``RAY_ADDRESS`` names, else of one started here and ended here."""
    try:
        import ray
    except ImportError:
        raise EngineError(
            "placement.workers_on=ray needs Ray, which is not installed: pip install -e '.[ray]', "
            "or leave workers_on at processes."
        ) from None
    address = os.environ.get("RAY_ADDRESS")
    local = {} if address else {"num_cpus": num, "include_dashboard": False}
    remote = ray.remote(max_retries=TRIES - 1, num_cpus=1)(_call)

    def mapped(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        if not ray.is_initialized():  # most stages map nothing, and a cluster takes its time to start
            with _nowhere():
                ray.init(address=address or "local", log_to_driver=False, logging_level="warning", **local)
        pickled = ray.put(pickle.dumps(function))
        underway: deque[Any] = deque()
        for item in items:
            underway.append(remote.remote(pickled, item))
            if len(underway) >= AHEAD * num:
                yield ray.get(underway.popleft())
        while underway:
            yield ray.get(underway.popleft())

    try:
        yield mapped
    finally:
        ray.shutdown()
