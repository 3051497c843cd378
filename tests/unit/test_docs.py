"""The pages name files and rules that exist, and code refers to nothing that is not in the repository."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
METHODS = (ROOT / "docs" / "methods.md").read_text("utf-8")
RULES = re.findall(r"^\| (\d\.\d) \| .* \| .* \| (.*) \|$", METHODS, re.MULTILINE)
SOURCES = sorted(
    path for top in ("rpt_core", "flows", "tasks", "infra") for path in (ROOT / top).rglob("*.py")
)


@pytest.mark.parametrize(("number", "places"), RULES)
def test_every_rule_names_files_that_exist(number, places):
    folder = ROOT
    for name in re.findall(r"`([^`]+)`", places):
        beside = folder / name
        path = ROOT / name if (ROOT / name).is_file() else beside
        assert path.is_file(), f"rule {number} names {name}"
        folder = path.parent if "/" not in name or path == ROOT / name else folder
    assert places == "the same" or "`" in places


def test_rules_are_numbered_once_and_those_of_the_code_exist():
    numbers = [number for number, _ in RULES]
    assert len(set(numbers)) == len(numbers) > 20
    text = "\n".join(path.read_text("utf-8") for path in SOURCES)
    assert set(re.findall(r"methods\.md, rule (\d\.\d)", text)) <= set(numbers)


def test_code_refers_to_no_document_that_is_not_here():
    stray = re.compile(r"\((?:\w+; )?(?:methods|design|anchors?) [A-Z]?\d[\d.]*|\b\w+\.md\b")
    for path in SOURCES:
        for found in stray.findall(path.read_text("utf-8")):
            name = found.strip("(")
            known = (ROOT / "docs" / name).is_file() or (ROOT / name).is_file()
            assert known or name in WRITTEN, f"{path.relative_to(ROOT)} refers to {found}"


WRITTEN = frozenset({"page.md", "report.md", "card.md", "README.md", "study.md", "a.md"})
"""Files that stages write, and readers read."""
