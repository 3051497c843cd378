"""What runs are called, and flows that are run as files."""

import sys

import pytest

from flows import stages
from flows.cli import __main__ as command_line
from flows.names import named
from flows.recipes import Overrides


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"recipe": "tiny_rpt", "overrides": Overrides(), "placement": None}, "tiny_rpt"),
        ({"recipe": "tiny_rpt", "overrides": Overrides(seed=0)}, "tiny_rpt, seed 0"),
        ({"recipe": "tiny_rpt", "kind": "base", "overrides": {}}, "tiny_rpt, base"),
        ({"recipe": "tiny_real", "overrides": {"data": "/a/b"}}, "tiny_real, data=/a/b"),
        ({"refs": (), "title": "Leaderboard"}, "Leaderboard"),
        ({"recipe": "tiny_rpt", "overrides": {"fields": {"policy.steps": 2, "rlvr.steps": 3}}},
         "tiny_rpt, policy.steps=2, rlvr.steps=3"),
        ({"recipe": "tiny_rpt", "overrides": {"seed": 1, "fields": {"a": 1, "b": 2, "c": 3}}},
         "tiny_rpt, seed 1, a=1, b=2, c=3"),
        ({"recipe": "tiny_rpt", "overrides": {"fields": {"a": 1, "b": {"c": 2}, "d": 3, "e": 4}}},
         "tiny_rpt, a=1, b={'c': 2}, 2 more fields"),
    ],
)  # fmt: skip
def test_a_run_is_called_by_what_it_changes(parameters, name):
    assert named(parameters) == name


@pytest.mark.parametrize(
    ("words", "run"),
    [
        (["train-rpt"], ["rpt", "run", "rpt_14b", "--to", "train-rpt"]),
        (["train-rpt", "tiny_rpt", "-p", "seed=1"],
         ["rpt", "run", "tiny_rpt", "-p", "seed=1", "--to", "train-rpt"]),
        (["train-rlpt", "-p", "seed=1"], ["rpt", "run", "rlpt_4b", "-p", "seed=1", "--to", "train-rlpt"]),
    ],
)  # fmt: skip
def test_a_stage_runs_by_itself(words, run, monkeypatch):
    monkeypatch.setattr(command_line, "main", lambda: None)
    monkeypatch.setattr(sys, "argv", ["x"])
    stages.main(words)
    assert sys.argv == run


@pytest.mark.parametrize("words", [[], ["train-rtp"], ["-p"]])
def test_an_unknown_stage_is_refused_with_the_known_ones(words, capsys):
    with pytest.raises(SystemExit) as ended:
        stages.main(words)
    assert ended.value.code == 2
    assert "train-rpt" in capsys.readouterr().err
