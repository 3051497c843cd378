"""docs/planning.md: every command runs and prints the lines that stand below it, every block is true."""

import doctest
import re

import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from infra.prices import read_prices
from tasks.planning import estimate as estimates
from tests.conftest import ROOT
from tests.golden.test_plans import LAPTOP, _refuse

PAGE = (ROOT / "docs" / "planning.md").read_text()
BLOCKS = re.findall(r"^    \$ rpt (.*)\n((?:    .*\n)+)", PAGE, re.MULTILINE)


@pytest.fixture(autouse=True)
def laptop(tmp_path, monkeypatch):
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(estimates, "this_machine", lambda: LAPTOP)
    monkeypatch.setattr("tasks.planning.capacity.check_capacity", _refuse)


@pytest.mark.parametrize(("command", "below"), BLOCKS, ids=[command for command, _ in BLOCKS])
def test_a_command_prints_what_the_page_says(command, below):
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == 0 or type(result.exception).__name__ == "CapacityError"
    lines = [line[4:] for line in below.splitlines() if line.strip() != "..."]
    assert [line for line in lines if line not in result.output.splitlines()] == []


def test_there_are_commands_and_python_on_the_page():
    assert len(BLOCKS) == 4
    found = doctest.DocTestParser().get_doctest(PAGE, {}, "planning.md", None, 0)
    assert len(found.examples) >= 8
    assert doctest.DocTestRunner().run(found).failed == 0


def test_the_row_of_a_price_is_one(tmp_path):
    row = re.search(r"^    \[\[price\]\]\n(?:    .*\n)+", PAGE, re.MULTILINE)
    assert row
    (tmp_path / "mine.toml").write_text(re.sub(r"^    ", "", row[0], flags=re.MULTILINE))
    assert read_prices(tmp_path / "mine.toml")["H100-80GB"].per_gpu_hour == 2.5
