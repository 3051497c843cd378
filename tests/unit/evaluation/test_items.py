"""The table of outcomes: what is written only where it is declared, and by what errors are clustered."""

from dataclasses import replace

import pyarrow.parquet as pq

from rpt_core.evaluation.items import SCHEMA, ItemRow, as_table, from_table, write_items
from rpt_core.evaluation.scores import accuracy, outcomes


def item(name: str, *, right: bool, **more) -> ItemRow:
    return ItemRow(
        checkpoint="final", step=None, gflops=None, mode="mmlu", item_id=name, doc_id=name, position=None,
        entropy_nats=None, tier="", sample=0, verdict="correct" if right else "wrong", score=float(right),
        thinks=False, thought_tokens=0, answer_tokens=3, first_token=None, prediction="A", truth="A", **more,
    )  # fmt: skip


NESTED = [
    item("1", right=True, subject="law", category="humanities"),
    item("2", right=True, subject="logic", category="humanities"),
    item("3", right=False, subject="physics", category="stem"),
    item("4", right=False, subject="physics", category="stem"),
]


def test_a_table_without_levels_has_the_columns_it_always_had():
    flat = [replace(one, subject=None, category=None) for one in NESTED]
    assert as_table(flat).schema == SCHEMA
    assert from_table(as_table(flat)) == flat


def test_levels_come_back(tmp_path):
    flat = replace(NESTED[0], item_id="0", subject=None, category=None)
    table = write_items([as_table([flat]), as_table(NESTED)], tmp_path)
    assert from_table(table) == [flat, *NESTED]
    assert pq.read_table(tmp_path / "items.parquet").equals(table)


def test_errors_are_clustered_by_the_outermost_level():
    def num_clusters(items: list[ItemRow]) -> int:
        return accuracy(outcomes(as_table(items), "mmlu")).num_clusters

    assert num_clusters(NESTED) == 2
    assert num_clusters([replace(one, category=None) for one in NESTED]) == 3
    assert num_clusters([replace(one, category=None, subject=None) for one in NESTED]) == 4
