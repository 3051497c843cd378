"""A real training on two ranks: one is killed, it goes on; it is stopped, and one rank goes on from there."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from infra.runs.launch import launch, rank_command, training_env
from rpt_core.errors import EngineError, Stopped
from tests.faults.test_launch import left

pytestmark = [pytest.mark.faults, pytest.mark.long]


def steps(folder: Path) -> list[int]:
    """Of finished checkpoints."""
    return sorted(int(done.parent.name) for done in (folder / "saves").glob("*/done"))


def train(folder: Path, world_size: int = 2, **options):
    env = {**training_env(), "RPT_TEST_MARK": str(folder), "RPT_COLLECTIVE_SECONDS": "60"}
    command = rank_command("tests.contracts.two_ranks", [str(folder), "long_training"], world_size)
    return launch(command, workdir=folder, env=env, stop_grace_seconds=60, deadline_seconds=200, **options)


def test_a_killed_rank_ends_the_training_which_goes_on_from_its_last_checkpoint(tmp_path):
    killed = []

    def kill() -> None:
        if not killed and len(steps(tmp_path)) >= 3:
            killed.append(time.monotonic())
            os.kill(int((tmp_path / "ranks" / "1").read_text()), signal.SIGKILL)

    with pytest.raises(EngineError, match="rank 1 of the training ended"):
        train(tmp_path, on_poll=kill).check()
    assert time.monotonic() - killed[0] < 30
    assert not left(tmp_path)
    kept = steps(tmp_path)[-1]

    outcome = train(tmp_path, stop_requested=lambda: len(steps(tmp_path)) >= 6)
    assert (
        (tmp_path / "rank-0" / "began").read_text()
        == str(kept)
        == (tmp_path / "rank-1" / "began").read_text()
    )
    with pytest.raises(Stopped) as stopped:
        outcome.check()
    last = int(re.search(r"stopped after step (\d+)", str(stopped.value))[1])
    assert steps(tmp_path)[-1] == last >= 6
    assert not left(tmp_path)

    alone = train(tmp_path, world_size=1, stop_requested=lambda: steps(tmp_path)[-1] >= last + 2)
    assert alone.status == "stopped"
    assert (tmp_path / "rank-0" / "began").read_text() == str(last)
