"""A stage's process before its stage: what it does with a stop that came while it was starting."""

import json
import sys

import pytest

from infra.runs import child
from rpt_core.errors import EXIT_TRY_AGAIN
from tasks import train_main


def test_a_stop_that_waited_ends_a_stage_before_its_job_is_even_read(tmp_path, monkeypatch):
    monkeypatch.setattr(child, "join_run", lambda folder: lambda: True)
    monkeypatch.setattr(sys, "argv", ["train_main", str(tmp_path / "job.json")])
    with pytest.raises(SystemExit) as ended:
        train_main.main()
    assert ended.value.code == EXIT_TRY_AGAIN
    told = json.loads((tmp_path / "outcome.json").read_text())
    assert (told["status"], told["error"]) == ("stopped", "Stopped")
    assert "rerun to resume" in told["message"]


def test_without_a_stop_the_job_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(child, "join_run", lambda folder: lambda: False)
    monkeypatch.setattr(sys, "argv", ["train_main", str(tmp_path / "job.json")])
    with pytest.raises(SystemExit) as ended:
        train_main.main()
    assert ended.value.code == 1
    assert "FileNotFoundError" in json.loads((tmp_path / "outcome.json").read_text())["message"]
