"""The command of a training on several machines, and what an environment must say for it."""

import pytest

from infra.runs.launch import rank_command
from infra.runs.nodes import Nodes, nodes_of, torchrun
from rpt_core.errors import CapacityError

TWO = {"RPT_NODES": "2", "RPT_RENDEZVOUS": "head:29500", "RPT_NODES_START": "srun --ntasks-per-node=1"}


def test_an_environment_without_a_word_means_this_machine():
    assert nodes_of({}) == Nodes()
    assert "--standalone" in torchrun("m", ["job.json"], 4, Nodes())


def test_every_machine_gets_the_same_command_and_as_many_ranks():
    command = torchrun("tasks.train_main", ["/shared/job.json"], 16, nodes_of(TWO))
    assert command[:2] == ["srun", "--ntasks-per-node=1"]
    for part in ("--nnodes=2", "--nproc-per-node=8", "--rdzv-endpoint=head:29500", "--max-restarts=0"):
        assert part in command
    assert "--standalone" not in command
    assert command[-3:] == ["-m", "tasks.train_main", "/shared/job.json"]
    meeting = next(part for part in command if part.startswith("--rdzv-id="))
    assert meeting in torchrun("tasks.train_main", ["/shared/job.json"], 16, nodes_of(TWO))
    assert meeting not in torchrun("tasks.train_main", ["/shared/other.json"], 16, nodes_of(TWO))


def test_the_launcher_reads_the_environment(monkeypatch):
    for name, value in TWO.items():
        monkeypatch.setenv(name, value)
    assert rank_command("tasks.train_main", ["job.json"], 4)[0] == "srun"
    assert "srun" not in rank_command("tasks.train_main", ["job.json"])  # one process needs no other machine


@pytest.mark.parametrize(
    "change", [{"RPT_NODES": "0"}, {"RPT_NODES": "two"}, {"RPT_RENDEZVOUS": ""}, {"RPT_RENDEZVOUS": "head"}]
)
def test_machines_that_cannot_meet_are_refused(change):
    with pytest.raises(CapacityError, match="name no machines that can find each other"):
        nodes_of({**TWO, **change})


def test_ranks_that_do_not_divide_are_refused():
    with pytest.raises(CapacityError, match="3 ranks do not divide by 2 machines"):
        torchrun("m", [], 3, nodes_of(TWO))
