"""Estimates of three papers' recipes, line for line: no figure of a plan moves unseen.

``RPT_UPDATE_GOLDEN=1 pytest tests/golden/test_plans.py`` writes the files anew; read the difference first.
"""

import os
from pathlib import Path

import pytest

from flows.cli.commands.estimates import lines
from flows.recipes import NAMED
from flows.recipes.trees import walk
from infra.machine import Machine
from rpt_core.planning.cards import parse_machine
from tasks.planning import capacity
from tasks.planning import estimate as estimates
from tasks.planning.estimate import PlanQuery, estimate

FOLDER = Path(__file__).with_name("plans")
_check = capacity.check_capacity
LAPTOP = Machine(cores=2, memory_bytes=25 * 10**9, cpu="a chip", torch="2.13.0+cpu")


@pytest.mark.parametrize(
    ("name", "machine"), [("rpt_14b", ""), ("rlpt_8b", ""), ("rmt_14b", ""), ("rmt_14b", "8xH200-141GB")]
)
def test_what_a_plan_says(name, machine, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # no data of that name lies here
    monkeypatch.setattr(estimates, "this_machine", lambda: LAPTOP)
    monkeypatch.setattr("tasks.planning.capacity.check_capacity", _refuse)
    gpus, card = parse_machine(machine) if machine else (0, None)
    asked = PlanQuery(gpus=gpus, card=card)
    found = estimate(walk(NAMED[name]()), asked)
    text = "\n".join(lines(found, asked, {})) + "\n"
    golden = FOLDER / f"{'-on-'.join(filter(None, (name, machine.lower())))}.txt"
    if os.environ.get("RPT_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


def _refuse(*args: object, **more: object) -> None:
    """As a laptop does with models of these sizes."""
    _check(*args, **{**more, "machine": LAPTOP})
