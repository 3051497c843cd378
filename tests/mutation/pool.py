"""Several processes, each with a copy of the tree of its own."""

import atexit
import multiprocessing
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tests.mutation.draw import Drawn
from tests.mutation.known import Known
from tests.mutation.trial import Tried, assert_clean, copy_of, load_libraries, try_one

_tree = Path()


def try_all(
    root: Path, drawn: Sequence[Drawn], known: Known, processes: int, most_seconds: float
) -> list[Tried]:
    """Try every mutant, and say on stderr how each ended."""
    context = multiprocessing.get_context("spawn")
    sample = [known.tests(one.mutant.path, one.mutant.start[0], 1.0)[:1] for one in drawn[::8]]
    with ProcessPoolExecutor(processes, context, initializer=_set_up, initargs=(root, sample)) as pool:
        waiting = {}
        for i, one in enumerate(drawn):
            tests = known.tests(one.mutant.path, one.mutant.start[0], most_seconds)
            expected = sum(known.seconds.get(name, 0.0) for name in tests)
            waiting[pool.submit(_try, one, tests, expected)] = i
        tried: dict[int, Tried] = {}
        for ended in as_completed(waiting):
            one = tried[waiting[ended]] = ended.result()
            mutant = one.drawn.mutant
            print(
                f"{len(tried)}/{len(drawn)} {mutant.path}:{mutant.start[0]} {one.result} "
                f"({one.num_tests} tests, {one.seconds:.1f} s)", file=sys.stderr, flush=True,
            )  # fmt: skip
    return [tried[i] for i in range(len(drawn))]


def _set_up(root: Path, sample: Sequence[Sequence[str]]) -> None:
    global _tree  # noqa: PLW0603  (one copy for every process of the pool)
    folder = tempfile.TemporaryDirectory(prefix="mutants-")
    atexit.register(folder.cleanup)
    _tree = copy_of(root, Path(folder.name))
    load_libraries()
    assert_clean(_tree, sorted({name for names in sample for name in names}))


def _try(drawn: Drawn, tests: Sequence[str], expected_seconds: float) -> Tried:
    return try_one(_tree, drawn, tests, expected_seconds)
