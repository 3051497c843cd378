"""What was lost on the way is said where people look, not only in the record."""

from pathlib import Path

import pytest

from infra.storage.store import Store
from rpt_core.artifacts.manifest import Manifest, Outcome, RowCounts
from rpt_core.artifacts.placement import Placement
from rpt_core.recipes.corpus import IngestRecipe
from tasks import build as build_module
from tasks.shown.rows import balance


def told(rows: RowCounts, **summary) -> list[str]:
    manifest = Manifest(
        kind="documents", fingerprint="a" * 64, digest="b" * 64, recipe={}, placement=Placement(),
        numerics=None, parents={}, files=(), outcome=Outcome(rows=rows, summary=summary), code="c",
        environment={}, created="2026-11-29T00:00:00+00:00", attempts=(),
    )  # fmt: skip
    return balance(manifest)


def test_what_was_found_kept_and_dropped_is_said_the_most_frequent_reason_first():
    rows = RowCounts(rows_in=1234, kept=1000, dropped={"too-short": 34, "bad-json": 200})
    assert told(rows, found="3 JSONL files, 2 unread files (3,471 bytes)", documents=1000) == [
        "3 JSONL files, 2 unread files (3,471 bytes)",
        "1,234 in, 1,000 kept, 234 dropped: bad-json 200, too-short 34",
    ]


def test_nothing_dropped_has_no_reasons_and_no_rows_no_lines():
    assert told(RowCounts(rows_in=3, kept=3)) == ["3 in, 3 kept, 0 dropped"]
    assert told(RowCounts(), accuracy=0.5) == []


@pytest.mark.parametrize(("kept", "warned"), [(5, False), (4, True), (0, True)])
def test_under_half_is_a_warning_with_the_command_that_reads_them(kept, warned):
    lines = told(RowCounts(rows_in=10, kept=kept, dropped={"too-short": 10 - kept}))
    assert len(lines) == (2 if warned else 1)
    if warned:
        assert lines[1].startswith("warning: under half was kept.")
        assert "--dropped too-short" in lines[1]


@pytest.mark.slow
def test_own_text_is_told_on_the_terminal(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(build_module, "track", lambda *_, **__: "")
    folder = tmp_path / "text"
    folder.mkdir()
    (folder / "a.txt").write_text("A text of two sentences. This is the second one.\n")
    (folder / "b.jsonl").write_text('{"text": "one row"}\n{bad\n')
    (folder / "c.png").write_bytes(bytes(range(256)))
    (folder / "d.txt").write_text("")
    recipe = build_module_recipe(folder)
    build_module.build_here(recipe, Placement(), Store(str(tmp_path / "store"), tmp_path / "cache"))
    said = capsys.readouterr().err
    assert "ingest-corpus: 1 JSONL file, 1 plain text file, 2 unread files" in said
    assert "ingest-corpus: 5 in, 2 kept, 3 dropped: bad-json 1, empty-file 1, unrecognised-format 1" in said
    assert "warning: under half was kept" in said


def build_module_recipe(folder: Path) -> IngestRecipe:
    from tasks.inputs.resolve import resolve_sources

    recipe = resolve_sources(IngestRecipe(data=str(folder)))
    assert isinstance(recipe, IngestRecipe)
    return recipe
