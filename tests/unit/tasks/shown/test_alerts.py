"""Alerts of a stage: once each, to the log and to the user's command, which may fail."""

import json
import logging
import shlex
import sys
from pathlib import Path

import pytest

from rpt_core.artifacts.build import METRICS_FILE
from rpt_core.errors import EngineError, RecipeError
from tasks.shown import alerts as module
from tasks.shown.alerts import AlertWatch

SECRET = "hunter2"


@pytest.fixture
def heard(tmp_path, monkeypatch) -> Path:
    """Where the user's command writes what it is given, a line each."""
    path = tmp_path / "heard.jsonl"
    code = f"import sys; open({str(path)!r}, 'a').write(sys.stdin.read() + chr(10))"
    monkeypatch.setenv("RPT_ALERT", shlex.join([sys.executable, "-S", "-c", code]))
    monkeypatch.setattr(module, "tell", logging.getLogger("told").info)
    return path


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def watch(folder: Path, limit: float | None = 0.5) -> AlertWatch:
    return AlertWatch("train-rpt", "f" * 64, folder, limit)


def write(folder: Path, rewards: list[float], first: int = 1) -> None:
    with (folder / METRICS_FILE).open("a") as stream:
        for step, reward in enumerate(rewards, start=first):
            stream.write(json.dumps({"step": step, "reward_mean": reward, "mismatch_nats": 0.0}) + "\n")


def test_a_collapse_is_told_once_with_who_and_what(tmp_path, heard, caplog):
    with caplog.at_level(logging.INFO, "told"), watch(tmp_path) as alerts:
        alerts.poll()
        write(tmp_path, [0.8] * 20)
        alerts.poll()
        assert not lines(heard)
        for step in range(21, 41):
            write(tmp_path, [0.0], step)
            alerts.poll()
    (one,) = lines(heard)
    assert (one["kind"], one["stage"], one["fingerprint"]) == ("reward-collapse", "train-rpt", "f" * 64)
    assert 20 < one["step"] <= 30
    assert one["value"] <= one["bound"]
    assert caplog.messages == [f"train-rpt: alert at step {one['step']}: {one['text']}"]


def test_half_a_line_waits_for_its_other_half_and_a_cut_file_is_read_anew(tmp_path, heard):
    alerts = watch(tmp_path)
    write(tmp_path, [0.8] * 20)
    with (tmp_path / METRICS_FILE).open("a") as stream:
        stream.write('{"step": 21, "rew')
    alerts.poll()
    assert [row["step"] for row in alerts.rows] == list(range(1, 21))
    (tmp_path / METRICS_FILE).unlink()
    write(tmp_path, [0.8] * 7)
    alerts.poll()
    assert [row["step"] for row in alerts.rows] == list(range(1, 8))


def test_a_rule_of_the_user_is_told_for_each_metric(tmp_path, heard, monkeypatch):
    monkeypatch.setenv("RPT_ALERT_WHEN", "reward_mean>0.7 reward_mean>0.75 mismatch_nats<1")
    with watch(tmp_path):
        write(tmp_path, [0.8] * 12)
    assert [(one["kind"], one["metric"]) for one in lines(heard)] == [
        ("threshold", "reward_mean"), ("threshold", "mismatch_nats"),
    ]  # fmt: skip


def test_how_a_stage_stops_is_told_without_a_password(tmp_path, heard):
    with pytest.raises(EngineError), watch(tmp_path, None):
        raise EngineError(f"the engine at http://user:{SECRET}@host/v1 is gone. Start it.")
    with pytest.raises(OSError, match="gone"), watch(tmp_path, None):
        raise OSError(f"https://host/v1?api_key={SECRET} is gone")
    first, second = lines(heard)
    assert (first["kind"], first["error"], second["error"]) == ("run-stopped", "EngineError", "OSError")
    assert "is gone" in first["text"]
    assert SECRET not in heard.read_text()


@pytest.mark.parametrize("command", ["/no/such/program", f"{sys.executable} -S -c 'raise SystemExit(3)'"])
def test_a_command_that_fails_is_one_warning(tmp_path, monkeypatch, caplog, command):
    monkeypatch.setenv("RPT_ALERT", command)
    with pytest.raises(EngineError), watch(tmp_path):
        raise EngineError("gone")
    (record,) = (each for each in caplog.records if each.name == "rpt.alerts")
    assert record.levelname == "WARNING"
    assert "RPT_ALERT" in record.message


def test_a_command_that_hangs_is_ended(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(module, "_COMMAND_SECONDS", 0.3)
    monkeypatch.setenv("RPT_ALERT", "sleep 60")
    with pytest.raises(EngineError), watch(tmp_path):
        raise EngineError("gone")
    assert "was not carried out for run-stopped: TimeoutExpired" in caplog.text


def test_what_cannot_be_read_is_refused_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("RPT_ALERT", "notify 'open")
    with pytest.raises(RecipeError, match="RPT_ALERT cannot be read as a command"):
        watch(tmp_path)
    monkeypatch.setenv("RPT_ALERT", "notify")
    monkeypatch.setenv("RPT_ALERT_WHEN", "reward")
    with pytest.raises(RecipeError, match="RPT_ALERT_WHEN"):
        watch(tmp_path)


def test_without_settings_nothing_is_called(tmp_path, monkeypatch):
    monkeypatch.delenv("RPT_ALERT", raising=False)
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: pytest.fail("called"))
    with pytest.raises(EngineError), watch(tmp_path):
        raise EngineError("gone")
