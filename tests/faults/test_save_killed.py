"""A training is killed with SIGKILL at any step of replacing a checkpoint, in a folder."""

import itertools
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.storage import garbage
from infra.storage.store import Store
from tests.unit.infra.storage.test_progress import BUILD, NUM_BYTES, held, holds_step, save, state

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a fork of itself"),
]
STEPS = frozenset(
    {"open", "os.mkdir", "os.rename", "os.link", "os.chmod", "os.utime", "os.remove", "os.rmdir"}
)
"""What changes a folder, and each opening of a file; a kill comes right before one of them."""


def killed_at(number: int, root: Path, work: Callable[[], None]) -> bool:
    """Do some work in a fork that is killed before its so manieth step on a folder; False if it was done."""
    child = os.fork()
    if not child:
        steps = itertools.count(1)

        def watch(event: str, given: tuple[object, ...]) -> None:
            if event in STEPS and str(given[0]).startswith(str(root)) and next(steps) == number:
                os.kill(os.getpid(), signal.SIGKILL)

        code = 1
        try:
            sys.addaudithook(watch)
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def store_with(step: int, root: Path) -> Store:
    shutil.rmtree(root, ignore_errors=True)
    store = Store(str(root / "store"), root / "cache")
    save(store, root, step)
    return store


@pytest.mark.parametrize("then", ["the same step", "another step", "garbage collection"])
def test_a_save_killed_at_any_step_goes_on_and_leaves_nothing(tmp_path: Path, then: str):
    ended_at = []
    for number in itertools.count(1):
        root = tmp_path / str(number)
        store = store_with(1, root)
        state(root / "state2", 2)
        if not killed_at(number, root / "store", lambda store=store, root=root: save(store, root, 2)):
            break
        assert held(store) <= 2 * NUM_BYTES
        ended_at.append(holds_step(store, root / "resumed"))
        if then == "garbage collection":
            garbage.sweep(store, root / "home", -3600)
            garbage.remove(store, garbage.survey(store, -3600))
            num_steps = len(store.progress_steps(*BUILD))
            assert NUM_BYTES <= held(store) <= NUM_BYTES * num_steps, "a replaced one may be there in part"
            assert holds_step(store, root / "collected") == ended_at[-1]
            continue
        if then == "another step":  # a save without a record waits for ten minutes
            for path in (root / "store").rglob("*"):
                os.utime(path, (1, 1))
        save(store, root, 2 if then == "the same step" and ended_at[-1] == 1 else 3)
        assert held(store) == NUM_BYTES, f"killed at step {number}"
        assert holds_step(store, root / "went on") > 1
        shutil.rmtree(root)
    assert ended_at == sorted(ended_at), "the new one stands from its record on"
    assert set(ended_at) == {1, 2}
    assert len(ended_at) > 20


def test_dropping_killed_at_any_step_leaves_nothing_when_dropped_again(tmp_path: Path):
    for number in itertools.count(1):
        store = store_with(1, tmp_path / str(number))
        if not killed_at(number, Path(store.objects.root), lambda store=store: store.drop_progress(BUILD[0])):
            break
        store.drop_progress(BUILD[0])
        assert held(store) == 0
        assert not list(Path(store.objects.root).rglob("*.json"))
    assert number > 5
