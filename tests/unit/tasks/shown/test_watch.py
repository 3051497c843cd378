"""What people read of a stage that runs: on standard error, and in the log of a Prefect run."""

import json
import logging

import pytest
from prefect import flow

from infra.runs.attempt import PROGRESS_FILE
from rpt_core.errors import EngineError, RecipeError
from tasks import build as build_module
from tasks.shown import run_log, watch
from tasks.shown.run_log import OurErrorsInOneSentence, leave_out_tracebacks_of_ours, say
from tasks.shown.watch import Seen, StageWatch


@pytest.fixture
def said(monkeypatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(watch, "say", lambda sentence, *values: lines.append(sentence % values))
    return lines


@pytest.fixture
def clock(monkeypatch):
    """Seconds as a test sets them."""

    class Clock:
        now = 100.0

    monkeypatch.setattr(watch.time, "monotonic", lambda: Clock.now)
    return Clock


def write(folder, done, total, note="", resumed_at=None):
    (folder / PROGRESS_FILE).write_text(
        json.dumps({"done": done, "total": total, "note": note, "resumed_at": resumed_at})
    )


def test_a_line_says_done_total_rate_and_time_left():
    first, now = Seen(110.0, 11, 48), Seen(130.0, 21, 48, "reward 0.5")
    assert now.since(100.0, first) == "21/48 reward 0.5 (30 s, 0.5 a second, about 54 s left)"
    assert Seen(130.0, 48, 48, "reward 0.9").since(100.0, first) == "48/48 reward 0.9 (30 s, 1.85 a second)"
    assert Seen(103.0).since(100.0, Seen(103.0)) == "starting (3 s)"
    assert Seen(140.0, 11, 48, "x").since(100.0, first) == "11/48 x (40 s)"  # nothing done since: no rate


def test_the_log_hears_of_progress_of_resuming_and_of_the_end(tmp_path, said, clock, capsys):
    with StageWatch("train-rpt", tmp_path) as seen:
        clock.now += 3
        seen.poll()
        write(tmp_path, 12, 48, "reward 0.4", resumed_at=11)
        clock.now += 1
        seen.poll()
        seen.poll()
        write(tmp_path, 30, 48, "reward 0.6", resumed_at=11)
        clock.now += 12
        seen.poll()
        write(tmp_path, 48, 48, "reward 0.8", resumed_at=11)
        clock.now += 4
    assert said == [
        "train-rpt: resumed at step 11",
        "train-rpt: 30/48 reward 0.6 (16 s, 1.5 a second, about 12 s left)",
        "train-rpt: 48/48 reward 0.8 (20 s, 2.25 a second)",
    ]
    assert "train-rpt: 30/48 reward 0.6" in capsys.readouterr().err


def test_a_stage_that_fails_is_not_shown_as_done(tmp_path, said, clock, monkeypatch):
    told = []
    monkeypatch.setattr(watch.ProgressView, "finish", lambda self: told.append("100"))
    write(tmp_path, 3, 48)

    def attempt() -> None:
        with StageWatch("train-rpt", tmp_path) as seen:
            clock.now += 5
            seen.poll()
            raise EngineError("gone")

    with pytest.raises(EngineError):
        attempt()
    assert told == said == []


def test_a_build_that_waits_for_another_says_for_which_and_since_when(tmp_path, monkeypatch):
    monkeypatch.setenv("RPT_HOME", str(tmp_path))
    told, looks = [], []
    monkeypatch.setattr(build_module, "tell", told.append)
    with build_module._alone("f" * 64, "train-rpt"):

        def sleep(seconds):
            looks.append(seconds)
            monkeypatch.setattr(build_module.stops, "asked", lambda: len(looks) > 2)

        monkeypatch.setattr(build_module.time, "sleep", sleep)
        with (
            pytest.raises(build_module.Stopped, match="another build"),
            build_module._alone("f" * 64, "train-rpt"),
        ):
            pytest.fail("two build the same at once")
    assert len(told) == 1
    assert told[0].startswith("train-rpt waits for another build of it: process ")
    assert "since 20" in told[0]
    with build_module._alone("f" * 64, "train-rpt"):
        assert len(told) == 1


def test_outside_of_a_run_nothing_is_said(caplog):
    say("nobody hears %s", "this")
    assert not caplog.records


@pytest.mark.parametrize(
    ("error", "traced"), [(RecipeError("steps is 0."), False), (ZeroDivisionError("x"), True)]
)
def test_errors_of_ours_are_logged_as_one_sentence(error, traced):
    leave_out_tracebacks_of_ours()
    leave_out_tracebacks_of_ours()
    for name in run_log._LOGGERS:
        assert sum(isinstance(one, OurErrorsInOneSentence) for one in logging.getLogger(name).filters) == 1
    try:
        raise error
    except Exception as raised:
        record = logging.LogRecord(
            "prefect.flow_runs", logging.ERROR, "x", 1, "Encountered %r", (raised,),
            (type(raised), raised, raised.__traceback__),
        )  # fmt: skip
    assert OurErrorsInOneSentence().filter(record)
    text = logging.Formatter().format(record)
    assert ("Traceback" in text) is traced
    if not traced:
        assert text == "RecipeError: steps is 0."


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_the_log_of_a_real_run_has_no_traceback_of_ours(caplog):
    import flows.make  # noqa: F401  (it puts the filter in place)

    @flow(name="refuses")
    def refuses():
        say("%s begins", "it")
        raise RecipeError("no recipe is called 'x'.")

    logging.getLogger("prefect").propagate = True
    with caplog.at_level(logging.INFO, "prefect"), pytest.raises(RecipeError):
        refuses()
    text = caplog.text
    assert "it begins" in text
    assert "RecipeError: no recipe is called 'x'." in text
    assert "Traceback" not in text
