"""Every way a training process can end, and that nothing of it is left behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from infra.runs import lifeline, stops, warm
from infra.runs.launch import launch, rank_command, training_env
from rpt_core.errors import EngineError, SourceError, StarvedError, Stopped

pytestmark = pytest.mark.faults
LAUNCHER = """
import sys
from pathlib import Path
from infra.runs.launch import launch, rank_command, training_env
launch(rank_command("tests.faults.toy_train", sys.argv[1:3], int(sys.argv[3])), workdir=Path(sys.argv[1]),
       env=training_env(), stop_grace_seconds=5, preload=sys.argv[4:])
"""
FORKED = ("infra.runs.attempt",)
"""What a stage is forked with."""


@pytest.fixture(params=[(), FORKED], ids=["program", "fork"])
def preload(request) -> tuple[str, ...]:
    """How the child begins: as a program, or as a fork of a server."""
    return request.param


def left(folder: Path) -> list[str]:
    """Processes that work on ``folder`` or were started by one that does."""
    found = []
    for process in psutil.process_iter():
        try:
            mine = f"RPT_TEST_MARK={folder}" in "\n".join(f"{k}={v}" for k, v in process.environ().items())
            mine = mine and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE
            if mine and not _is_server(process):
                found.append(f"{process.pid} {process.cmdline()}")
        except (psutil.Error, OSError):
            continue
    return found


def _is_server(process: psutil.Process) -> bool:
    """Whether it is what this very process forks stages from, which stays."""
    forked = lifeline.RUN_TOKEN in process.environ()
    return process.ppid() == os.getpid() and warm.__name__ in process.cmdline() and not forked


def run(folder: Path, mode: str, world_size: int = 1, **options):
    env = {**training_env(), "RPT_TEST_MARK": str(folder)}
    command = rank_command("tests.faults.toy_train", [str(folder), mode], world_size)
    return launch(command, workdir=folder, env=env, **options)


def wait_for(condition, seconds: float = 30.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def steps(folder: Path, rank: int = 0) -> int:
    path = folder / f"step.{rank}"
    return int(path.read_text() or 0) if path.exists() else -1


@pytest.fixture
def launcher(tmp_path):
    """A launcher in its own process, to be killed; yields a starter."""
    started = []

    def start(mode: str, world_size: int = 1, preload: tuple[str, ...] = ()) -> subprocess.Popen:
        env = {**os.environ, "RPT_TEST_MARK": str(tmp_path)}
        command = [sys.executable, "-c", LAUNCHER, str(tmp_path), mode, str(world_size), *preload]
        started.append(subprocess.Popen(command, env=env, start_new_session=True))
        wait_for(lambda: all(steps(tmp_path, rank) >= 0 for rank in range(world_size)), 60)
        return started[0]

    yield start
    for process in started:
        process.kill()
        process.wait()


def gone(folder: Path, seconds: float = 10.0) -> None:
    wait_for(lambda: not left(folder), seconds)


def test_done_tells_lines_and_polls(tmp_path, preload):
    lines, polls = [], []
    outcome = run(tmp_path, "done", on_line=lines.append, on_poll=lambda: polls.append(1), preload=preload)
    assert outcome.status == "done"
    outcome.check()
    assert lines == ["step 0", "step 1", "step 2", "step 3"]
    assert polls
    assert not left(tmp_path)


def test_an_error_of_ours_crosses_with_its_class_and_words(tmp_path, preload):
    with pytest.raises(StarvedError, match="five empty steps: 40 wrong"):
        run(tmp_path, "starved", preload=preload).check()


def test_a_retryable_error_stays_retryable(tmp_path, preload):
    with pytest.raises(SourceError) as raised:
        run(tmp_path, "away", preload=preload).check()
    assert raised.value.retryable
    assert raised.value.exit_code == 75


def test_a_bug_is_an_engine_error_and_its_traceback_is_in_the_log(tmp_path, preload):
    with pytest.raises(EngineError, match="ZeroDivisionError: a bug of ours"):
        run(tmp_path, "bug", preload=preload).check()
    assert "toy_train.py" in (tmp_path / "log.txt").read_text()


def test_killed_without_a_word_shows_the_last_lines(tmp_path, preload):
    with pytest.raises(EngineError, match=r"SIGKILL(?s:.*)step 0"):
        run(tmp_path, "oom", preload=preload).check()
    assert not left(tmp_path)


def test_a_program_that_cannot_start_is_an_engine_error(tmp_path, preload):
    with pytest.raises(EngineError, match="No module named"):
        launch(rank_command("tests.faults.no_such_module", []), workdir=tmp_path, preload=preload).check()


def test_an_old_outcome_is_not_taken_for_the_new_one(tmp_path, preload):
    (tmp_path / "outcome.json").write_text(json.dumps({"status": "done"}))
    with pytest.raises(EngineError):
        run(tmp_path, "oom", preload=preload).check()


def test_a_stop_is_heard_and_saves(tmp_path, preload):
    outcome = run(
        tmp_path, "long", stop_requested=lambda: steps(tmp_path) >= 2, stop_grace_seconds=20, preload=preload
    )
    with pytest.raises(Stopped, match="stopped after step"):
        outcome.check()
    assert (tmp_path / "saved").exists()
    assert not left(tmp_path)


@pytest.mark.parametrize("number", stops.SIGNALS)
def test_a_signal_to_a_child_whose_interpreter_is_starting_waits_for_it(tmp_path, monkeypatch, number):
    started = subprocess.Popen

    def start_and_signal(command, **options):
        process = started(command, **options)
        if "tests.faults.toy_train" in command:
            process.send_signal(number)
        return process

    monkeypatch.setattr(subprocess, "Popen", start_and_signal)
    with pytest.raises(Stopped, match="stopped after step"):
        run(tmp_path, "long").check()
    assert (tmp_path / "saved").exists()
    assert "Traceback" not in (tmp_path / "log.txt").read_text()


def test_a_deadline_stops_the_same_way(tmp_path, preload):
    assert (
        run(tmp_path, "long", deadline_seconds=2, stop_grace_seconds=20, preload=preload).status == "stopped"
    )
    assert (tmp_path / "saved").exists()


def test_a_deaf_child_is_killed_after_its_grace(tmp_path, preload):
    outcome = run(
        tmp_path, "deaf", stop_requested=lambda: steps(tmp_path) >= 0, stop_grace_seconds=1, preload=preload
    )
    with pytest.raises(Stopped, match="rerun to resume from the last one"):
        outcome.check()
    assert not left(tmp_path)


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_an_interrupted_wait_stops_the_child_and_goes_on_raising(tmp_path, raised, preload):
    def interrupt() -> None:
        if steps(tmp_path) >= 2:
            raise raised

    with pytest.raises(raised):
        run(tmp_path, "long", on_poll=interrupt, stop_grace_seconds=20, preload=preload)
    assert (tmp_path / "saved").exists()
    assert not left(tmp_path)


@pytest.mark.parametrize("mode", ["family", "daemon"])
def test_grandchildren_in_other_sessions_go_too(tmp_path, mode, preload):
    run(tmp_path, mode, stop_requested=lambda: steps(tmp_path) >= 1, stop_grace_seconds=20, preload=preload)
    assert not left(tmp_path)


@pytest.mark.parametrize("mode", ["long", "family", "deaf"])
def test_kill_9_of_the_launcher_takes_the_run_with_it(tmp_path, launcher, mode, preload):
    process = launcher(mode, preload=preload)
    assert len(left(tmp_path)) >= 3
    process.kill()
    process.wait()
    gone(tmp_path)


def test_kill_9_of_launcher_and_watcher_leaves_it_to_the_child_itself(tmp_path, launcher, preload):
    process = launcher("long", preload=preload)
    watcher = next(p for p in psutil.Process(process.pid).children() if lifeline.__file__ in p.cmdline())
    watcher.kill()
    process.kill()
    process.wait()
    gone(tmp_path)


def test_ctrl_c_stops_the_child_through_the_launcher(tmp_path, preload):
    """The child has its own session: only the launcher hears the terminal."""
    # A suite started in the background inherits an ignored SIGINT, and would wait for ever.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(3.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, "long", stop_grace_seconds=20, preload=preload)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "saved").exists()
    assert not left(tmp_path)


@pytest.mark.slow
def test_two_ranks_finish(tmp_path):
    outcome = run(tmp_path, "gloo-done", world_size=2)
    outcome.check()
    assert steps(tmp_path, 1) == 3
    assert not left(tmp_path)


@pytest.mark.slow
def test_two_ranks_stop_by_their_own_signals(tmp_path):
    ready = lambda: min(steps(tmp_path, 0), steps(tmp_path, 1)) >= 2  # noqa: E731
    outcome = run(tmp_path, "gloo-long", world_size=2, stop_requested=ready, stop_grace_seconds=20)
    with pytest.raises(Stopped, match="stopped after step"):
        outcome.check()
    assert not left(tmp_path)


@pytest.mark.slow
def test_the_rank_that_failed_first_is_the_one_that_is_named(tmp_path):
    with pytest.raises(StarvedError, match=r"rank 1 found nothing \(rank 1\)"):
        run(tmp_path, "gloo-fail", world_size=2).check()
    assert not left(tmp_path)


@pytest.mark.slow
def test_a_rank_that_is_killed_is_named_and_the_others_end_with_it(tmp_path):
    killed = []

    def kill() -> None:
        if not killed and min(steps(tmp_path, 0), steps(tmp_path, 1)) >= 2:
            killed.append(time.monotonic())
            os.kill(int((tmp_path / "ranks" / "1").read_text()), signal.SIGKILL)

    with pytest.raises(EngineError, match=r"rank 1 of the training ended \(killed"):
        run(tmp_path, "gloo-long", world_size=2, on_poll=kill).check()
    assert time.monotonic() - killed[0] < 20
    assert not left(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["gloo-done", "gloo-fail"])
def test_ranks_of_several_machines_meet_where_the_environment_says(tmp_path, monkeypatch, mode):
    """Two agents on this machine stand for those that srun starts on two."""
    (tmp_path / "srun").write_text('for node in 1 2; do "$@" & done; wait\n')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("RPT_NODES", "2")
    monkeypatch.setenv("RPT_RENDEZVOUS", f"127.0.0.1:{port}")
    monkeypatch.setenv("RPT_NODES_START", f"bash {tmp_path / 'srun'}")
    outcome = run(tmp_path, mode, world_size=2)
    if mode == "gloo-fail":
        with pytest.raises(StarvedError, match=r"rank 1 found nothing \(rank 1\)"):
            outcome.check()
    else:
        outcome.check()
        assert steps(tmp_path, 0) == steps(tmp_path, 1) == 3
    assert not left(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "victim",
    ["agent", *(pytest.param(name, marks=pytest.mark.long) for name in ("launcher", "rank 0", "rank 1"))],
)
def test_two_ranks_and_one_kill_9_leave_nothing(tmp_path, launcher, victim):
    process = launcher("gloo-long", 2)
    agent = next(p for p in psutil.Process(process.pid).children() if "torch.distributed.run" in p.cmdline())
    pids = {"launcher": process.pid, "agent": agent.pid}
    for rank in (0, 1):
        pids[f"rank {rank}"] = int((tmp_path / "ranks" / str(rank)).read_text())
    os.kill(pids[victim], signal.SIGKILL)
    process_gone = threading.Thread(target=process.wait)  # reaps the launcher, which is a child of ours
    process_gone.start()
    gone(tmp_path)
    process_gone.join()
