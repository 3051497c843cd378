"""A signal to any command: a sentence at once, exit code 75, and a second one ends it now."""

import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from flows.cli.app import app
from flows.cli.guard import guarded
from infra.runs import stops

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
COMMANDS = {
    "flows.cli.commands.run.run_recipe": ["run", "tiny_rpt"],
    "flows.cli.commands.run.run_demo": ["demo"],
    "flows.cli.commands.run.run_study": ["study"],
    "flows.cli.commands.holdout.show_holdout": ["study", "--check-holdout", "x"],
    "flows.cli.commands.holdout.show_problem_holdout": [
        "study",
        "--check-holdout",
        "x",
        "--about",
        "real-text",
    ],
    "flows.cli.commands.studies.write_claims": ["study", "--claims", "x"],
    "flows.cli.commands.run.show_plan": ["plan", "tiny_rpt"],
    "flows.cli.commands.studies.show_study_plan": ["plan", "tiny_rpt", "--about", "imperfect-teacher"],
    "flows.cli.commands.run.show_peek": ["plan", "tiny_rpt", "--peek"],
    "flows.cli.commands.run.show_doctor": ["doctor"],
    "flows.cli.commands.show.list_store": ["ls"],
    "flows.cli.commands.show.list_recipes": ["ls", "--recipes"],
    "flows.cli.commands.show.show_artifact": ["show", "x"],
    "flows.cli.commands.show.show_dropped": ["show", "x", "--dropped", "y"],
    "flows.cli.commands.show.show_lineage": ["lineage", "x"],
    "flows.cli.commands.show.show_why": ["why", "x"],
    "flows.cli.commands.show.show_cost": ["cost", "x"],
    "flows.cli.commands.sites.show_site": ["site"],
    "flows.cli.commands.watching.watch_stage": ["watch"],
    "flows.cli.commands.exports.export_model": ["export", "x", "folder"],
    "flows.cli.commands.show.show_report": ["report", "x"],
    "flows.cli.commands.show.track_again": ["track", "x"],
    "flows.cli.commands.show.verify_artifact": ["verify", "x"],
    "flows.cli.commands.show.collect_garbage": ["gc"],
    "flows.cli.commands.copies.copy_to": ["copy", "x", "elsewhere"],
    "flows.cli.commands.compare.compare_artifacts": ["compare", "x", "y"],
    "flows.cli.commands.eval.checked": ["eval", "x", "--on", "gsm8k"],
    "flows.cli.commands.leaderboard.show_leaderboard": ["leaderboard"],
    "flows.cli.commands.trial.try_text": ["try", "x", "y"],
    "flows.cli.commands.replays.replay_step": ["replay", "x", "--step", "1"],
    "infra.local.stack.run_stack": ["up"],
}
GOES_ON = {"run", "demo", "study", "eval", "leaderboard", "copy", "gc", "track"}


@pytest.fixture(autouse=True)
def heard():
    """Signals as a terminal's child has them (`nohup make test` does not), and none remembered."""
    usual = {signal.SIGINT: signal.default_int_handler}
    usual |= {signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    stops._state.asked = False


def interrupted(number: signal.Signals):
    def command(*_: object, **__: object) -> None:
        os.kill(os.getpid(), number)
        time.sleep(10)
        raise AssertionError("the signal was lost")

    return command


@pytest.mark.parametrize("place", COMMANDS)
def test_every_command_ends_in_a_sentence_and_75(place, monkeypatch, capsys, tmp_path):
    words = COMMANDS[place]
    monkeypatch.setenv("RPT_HOME", str(tmp_path))
    monkeypatch.setattr("infra.local.own_server.prefect_at_hand", lambda _: nullcontext(lambda: None))
    monkeypatch.setattr(sys, "argv", ["rpt", *words])
    monkeypatch.setattr(place, interrupted(SIGNALS[len(place) % 3]))
    assert guarded(lambda: app(words, standalone_mode=False)) == 75
    said = capsys.readouterr().err
    assert said.startswith("rpt: stopped. ")
    assert said.count("\n") == 1
    assert ("rerun" in said.lower() or "same command" in said) == (words[0] in GOES_ON | {"up"}), said
    assert ("Nothing was changed" in said) == (words[0] not in GOES_ON | {"up"}), said


def test_no_command_was_forgotten():
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert known == {words[0] for words in COMMANDS.values()}


@pytest.mark.parametrize("number", SIGNALS)
def test_handlers_are_put_back(number):
    before = signal.getsignal(number)
    with stops.listening():
        assert signal.getsignal(number) is not before
        with stops.listening():  # `main` and `guarded` both ask for it
            pass
        assert signal.getsignal(number) is not before
    assert signal.getsignal(number) == before


def test_nohup_is_respected():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stops.listening():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_without_a_command_nothing_is_taken():
    before = signal.getsignal(signal.SIGTERM)
    with stops.noted(1.0):
        assert signal.getsignal(signal.SIGTERM) == before
    assert not stops.asked()


WAITING = """
import subprocess, sys, time
from infra.runs import lifeline
from infra.runs import stops
with stops.listening(), lifeline.owned() as marks, stops.noted(7.0):
    import os
    child = subprocess.Popen(["sleep", "300"], env={**os.environ, **marks}, start_new_session=True)
    print(child.pid, flush=True)
    while not stops.asked() or "deaf" in sys.argv:
        time.sleep(0.05)
print("went on to its own end", flush=True)
"""


@pytest.fixture
def waiting(tmp_path: Path):
    """A launcher that waits for its child; SIGINT is not ignored in it, whatever started this suite."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str) -> tuple[subprocess.Popen[str], int]:
        process = subprocess.Popen(
            [sys.executable, "-c", WAITING, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        started.append(process)
        assert process.stdout is not None
        return process, int(process.stdout.readline())

    yield start
    for process in started:
        process.kill()
        process.communicate()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_noted_while_a_stage_runs_and_said_at_once(waiting, number):
    process, _ = waiting()
    process.send_signal(number)
    out, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out == "went on to its own end\n"
    assert said == "stopping after this step (up to 7 s); press Ctrl-C again to stop at once\n"


def test_the_second_signal_ends_command_and_child_now(waiting, tmp_path):
    process, child = waiting("deaf")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("stopping after this step")
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert time.monotonic() - begin < 5
    assert process.returncode == 75
    assert said == "rpt: stopped at once. Rerun to resume from the last checkpoint.\n"
    assert not is_alive(child)
    assert not list(tmp_path.glob("rpt-line-*"))


def test_a_signal_before_the_command_line_is_imported_is_a_stop_too(tmp_path):
    script = (
        "import builtins, os, sys\n"
        "real = builtins.__import__\n"
        "def slow(name, *rest):\n"
        "    if name == 'typer':\n"
        "        os.kill(os.getpid(), 15)\n"
        "    return real(name, *rest)\n"
        "builtins.__import__ = slow\n"
        "from flows.__main__ import main\n"
        "sys.argv = ['rpt', 'ls']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "RPT_HOME": str(tmp_path)},
    )
    assert done.returncode == 75, done.stderr
    assert done.stderr == "rpt: stopped. Nothing was begun.\n"


SIGNALLED = """
import os, signal, sys
from infra.runs import stops
from flows.cli import __main__ as entry
def end():
    return 3
def signal_and(call):
    def called(*rest):
        done = call(*rest)
        for number in map(int, sys.argv[2:]):
            os.kill(os.getpid(), number)
        return done
    return called
entry._run = end
where = {"command": (entry, "_run"), "flush": (stops, "flush"), "exit": (sys, "exit")}[sys.argv[1]]
if sys.argv[1] == "exit":
    leave = sys.exit
    sys.exit = lambda code: (signal_and(lambda: None)(), leave(code))
else:
    setattr(*where, signal_and(getattr(*where)))
entry.main()
"""


@pytest.mark.parametrize("numbers", [[2], [15], [2, 2], [2, 15], [1, 2]])
@pytest.mark.parametrize(("moment", "codes"), [("command", {75}), ("flush", {3}), ("exit", {3})])
def test_a_signal_after_the_command_has_ended_leaves_no_traceback(moment, codes, numbers):
    """Before its handlers are put away it is a stop; from then on the exit code stands."""
    words = [sys.executable, "-c", SIGNALLED, moment, *map(str, numbers)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode in codes, done.stderr
    assert "Traceback" not in done.stderr
    assert moment != "command" or done.stderr.startswith("rpt: stopped")
