"""The page for operators says what the code does: every error with its exit code, every setting it names."""

import re
from pathlib import Path

import pytest

from flows.cli.app import COMMANDS
from infra.local.automations import ZOMBIES
from rpt_core import errors
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import RptError

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operating.md").read_text()
ROWS = {name: int(code) for name, code in re.findall(r"^\| `(\w+)` \| (\d+)", PAGE, re.MULTILINE)}
RAISED = {
    name: one
    for name, one in vars(errors).items()
    if isinstance(one, type) and issubclass(one, RptError) and one is not RptError
}


def test_every_error_stands_in_the_index_with_its_exit_code():
    assert {name: one.exit_code for name, one in RAISED.items()} == ROWS


@pytest.mark.parametrize("name", sorted(RAISED))
def test_its_meaning_is_the_one_the_class_gives(name):
    (meaning,) = re.findall(rf"^\| `{name}` \|[^|]*\| (.*) \|$", PAGE, re.MULTILINE)
    said = re.split(r"[:;(,.]", (RAISED[name].__doc__ or "").strip())[0].strip()
    assert meaning.startswith(said)


def test_commands_and_settings_are_those_there_are():
    known = {name for name, _ in COMMANDS}
    assert set(re.findall(r"`rpt ([a-z]+)", PAGE)) <= known
    assert f"({Placement().stop_grace_seconds:.0f})" in PAGE
    assert f"{ZOMBIES['trigger']['within']} seconds" in PAGE
