"""The balance closes per source, and the table of dropped rows shows little and nobody's data."""

from typing import Any

import pytest

from rpt_core.corpus.ledger import Balance, Ledger
from rpt_core.errors import IntegrityError


class Rows:
    """Stands for the table's writer."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append(row)


def test_a_balance_is_whole_and_per_source():
    balance = Balance()
    balance.count("web")
    balance.count("web", rows=3)
    balance.count("web", "redirect", rows=2)
    balance.count("web", "empty-file")
    balance.count("math", "redirect")
    counts = balance.counts()
    assert (counts.rows_in, counts.kept, counts.dropped) == (8, 4, {"empty-file": 1, "redirect": 3})
    assert list(counts.by_source) == ["math", "web"]
    math, web = counts.by_source.values()
    assert (math.rows_in, math.kept, math.dropped) == (1, 0, {"redirect": 1})
    assert (web.rows_in, web.kept, web.dropped) == (7, 4, {"empty-file": 1, "redirect": 2})
    assert list(web.dropped) == sorted(web.dropped)


def test_an_empty_balance_and_an_unknown_reason():
    assert (Balance().counts().rows_in, Balance().counts().by_source) == (0, {})
    with pytest.raises(IntegrityError):
        Balance().count("web", "no such reason")


def test_a_dropped_row_is_counted_and_shown_in_part():
    table = Rows()
    ledger = Ledger(table)
    ledger.drop(
        "web", {"native_id": 7, "title": "A\x1bB", "text": "not shown"}, "redirect", "quality", "one\ntwo"
    )
    ledger.drop("web", {"origin": "a/b.xml"}, "redirect", "dedup", "x" * 5_000)
    ledger.count("web")
    first, second = table.rows
    assert first == {
        "source": "web", "native_id": "7", "title": "A\ufffdB", "origin": "", "reason": "redirect",
        "step": "quality", "preview": "one two",
    }  # fmt: skip
    assert (second["origin"], second["native_id"], second["step"]) == ("a/b.xml", "", "dedup")
    assert second["preview"] == "x" * 200
    assert ledger.steps == {"quality": {"redirect": 1}, "dedup": {"redirect": 1}}
    assert (ledger.counts().rows_in, ledger.counts().kept, ledger.counts().dropped) == (3, 1, {"redirect": 2})


@pytest.mark.parametrize("data", ["ann@example.org", "Call 415-555-0132 now", "+1 415 555 0132"])
def test_a_preview_shows_no_personal_data_wherever_it_stands_in_it(data):
    for lead in ("", "words and " * 10):
        table = Rows()
        Ledger(table).drop("web", {}, "redirect", "quality", f"{lead}{data} and so on")
        (row,) = table.rows
        assert "555" not in row["preview"]
        assert "ann@" not in row["preview"]
        assert row["preview"].startswith(lead[:5])
        assert row["preview"].endswith("and so on")
