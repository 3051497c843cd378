"""Balances close and add up; a manifest knows its files."""

from datetime import UTC, datetime

import pytest

from rpt_core.artifacts.manifest import FileEntry, Manifest, RowCounts
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import IntegrityError


def test_a_balance_adds_up():
    one = RowCounts(rows_in=5, kept=3, dropped={"short": 2})
    two = RowCounts(rows_in=4, kept=1, dropped={"short": 1, "long": 2})
    both = one + two
    assert both == RowCounts(rows_in=9, kept=4, dropped={"long": 2, "short": 3})
    assert list(both.dropped) == ["long", "short"]


def test_balances_of_one_source_are_added_and_of_others_kept():
    def of(**sources: int) -> RowCounts:
        found = {name: RowCounts(rows_in=num, kept=num) for name, num in sources.items()}
        total = sum(sources.values())
        return RowCounts(rows_in=total, kept=total, by_source=found)

    both = of(wiki=3, arxiv=1) + of(wiki=4, books=2)
    assert {name: balance.kept for name, balance in both.by_source.items()} == {
        "arxiv": 1, "books": 2, "wiki": 7,
    }  # fmt: skip


@pytest.mark.parametrize(("rows_in", "kept", "dropped"), [(3, 1, 1), (3, 2, 2), (3, 3, 1), (3, 2, 0)])
def test_a_balance_that_does_not_close_is_refused(rows_in: int, kept: int, dropped: int):
    with pytest.raises(IntegrityError, match=f"{rows_in} rows in, {kept} kept and {dropped} dropped"):
        RowCounts(rows_in=rows_in, kept=kept, dropped={"x": dropped})


def test_a_manifest_finds_a_file_by_its_whole_path():
    files = tuple(FileEntry(path=p, blob="b" * 64, num_bytes=1, digest="d" * 64) for p in ("model/a", "a"))
    manifest = Manifest(
        kind="model", fingerprint="f" * 64, digest="d" * 64, recipe={}, placement=Placement(), parents={},
        files=files, outcome={}, code="c", environment={}, created=datetime.now(UTC).isoformat(), attempts=(),
    )  # fmt: skip
    assert manifest.file("a") is manifest.files[1]
    with pytest.raises(IntegrityError, match="has no file 'b'; it has a, model/a"):
        manifest.file("b")
