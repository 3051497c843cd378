"""The harness's process seen from outside: answers, errors by class, an end without words, a stop."""

import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from rpt_core.errors import EngineError, RecipeError, Stopped
from rpt_core.evaluation.harness.jobs import run_job
from rpt_core.evaluation.harness.stage import kept_answers
from rpt_core.evaluation.harness.worker import Describe


@pytest.fixture
def python(tmp_path, monkeypatch):
    """An interpreter that does what a test says in shell words; ``$OUT`` is the job's folder."""

    def does(words: str) -> Describe:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\nOUT={tmp_path}/out\nmkdir -p $OUT\n{words}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("RPT_HARNESS_PYTHON", str(path))
        return Describe(names=("gsm8k",), out=tmp_path / "out")

    return does


def test_an_answer_is_read_and_nothing_of_this_environment_reaches_the_process(python, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONSTARTUP", "/nowhere")
    job = python('env >$OUT/env; echo \'{"version": "9"}\' >$OUT/answer.json')
    assert run_job(job, tmp_path / "job") == {"version": "9"}
    env = dict(line.split("=", 1) for line in (tmp_path / "out/env").read_text().splitlines() if "=" in line)
    assert "PYTHONSTARTUP" not in env
    assert env["HF_HUB_OFFLINE"] == "1"
    assert (Path(env["PYTHONPATH"]) / "rpt_core" / "evaluation" / "harness" / "worker.py").is_file()


def test_an_error_crosses_by_class_and_message(python, tmp_path):
    words = 'echo \'{"kind": "RecipeError", "message": "no task x."}\' >$OUT/error.json; exit 2'
    with pytest.raises(RecipeError, match=r"^no task x\.$"):
        run_job(python(words), tmp_path / "job")


@pytest.mark.parametrize(
    "words", ["echo last words >&2; exit 3", "echo last words; kill -9 $$", "echo last words"]
)
def test_an_end_without_an_answer_is_told_with_the_last_words(python, tmp_path, words):
    with pytest.raises(EngineError, match="last words"):
        run_job(python(words), tmp_path / "job")


def test_a_stop_ends_the_process(python, tmp_path):
    job = python("echo $$ >$OUT/pid; exec sleep 60")
    began = time.monotonic()

    def stop() -> None:
        if (tmp_path / "out" / "pid").is_file() and (tmp_path / "out" / "pid").read_text().strip():
            raise Stopped("stopped")
        assert time.monotonic() - began < 50

    with pytest.raises(Stopped):
        run_job(job, tmp_path / "job", stop)
    assert not psutil.pid_exists(int((tmp_path / "out" / "pid").read_text()))


def test_answers_are_kept_whole_while_another_is_being_written(tmp_path):
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "work.json").write_text("{}")
    with closing(sqlite3.connect(tmp_path / "answers" / "answers_rank0.db")) as live:
        live.execute("create table unnamed (key text, value text)")
        live.execute("insert into unnamed values ('first', 'whole')")
        live.commit()
        live.execute("insert into unnamed values ('second', 'half')")  # not committed
        for _ in range(2):
            kept = kept_answers(tmp_path / "answers", tmp_path / "kept")
    with closing(sqlite3.connect(kept / "answers_rank0.db")) as copy:
        assert copy.execute("select * from unnamed").fetchall() == [("first", "whole")]
    assert sorted(path.name for path in kept.iterdir()) == ["answers_rank0.db", "work.json"]
