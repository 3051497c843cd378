"""Logical digests see content and nothing else."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from rpt_core.artifacts.digest import logical_digest

TABLE = pa.table(
    {
        "id": pa.array(["a", None, "ccc"]),
        "n": pa.array([1, 2, None], pa.int32()),
        "x": pa.array([[0.5, 1.5], [], None], pa.list_(pa.float32())),
        "s": pa.array([{"k": 1, "w": "p"}, {"k": 2, "w": None}, None]),
        "b": pa.array([True, None, False]),
    }
)


def digest(table: pa.Table, path: Path, **options: object) -> str:
    pq.write_table(table, path, **options)
    return logical_digest(path)


def test_row_groups_compression_and_dictionaries_do_not_show(tmp_path: Path):
    plain = digest(TABLE, tmp_path / "a.parquet")
    assert digest(TABLE, tmp_path / "b.parquet", row_group_size=1, compression="zstd") == plain
    encoded = TABLE.set_column(0, "id", TABLE["id"].dictionary_encode())
    assert digest(encoded, tmp_path / "c.parquet") == plain
    large = TABLE.set_column(0, "id", TABLE["id"].cast(pa.large_string()))
    assert digest(large, tmp_path / "d.parquet") == plain


@pytest.mark.parametrize("row", [0, 1, 2])
@pytest.mark.parametrize("name", ["id", "n", "x", "b", "s"])
def test_every_cell_shows(tmp_path: Path, name: str, row: int):
    rows = TABLE.to_pylist()
    other = {"id": "zz", "n": 9, "x": [9.0], "b": not rows[row]["b"], "s": {"k": 9, "w": "q"}}
    rows[row][name] = other[name]
    changed = pa.Table.from_pylist(rows, schema=TABLE.schema)
    assert digest(changed, tmp_path / "a.parquet") != digest(TABLE, tmp_path / "b.parquet")


@given(st.lists(st.one_of(st.none(), st.text(max_size=5)), max_size=30), st.integers(1, 7))
def test_batches_never_show(tmp_path_factory, values, group):
    folder = tmp_path_factory.mktemp("p")
    table = pa.table({"t": pa.array(values, pa.string())})
    assert digest(table, folder / "a.parquet") == digest(table, folder / "b.parquet", row_group_size=group)


def test_moving_text_between_cells_shows(tmp_path: Path):
    one, two = pa.table({"t": ["ab", "c"]}), pa.table({"t": ["a", "bc"]})
    assert digest(one, tmp_path / "a.parquet") != digest(two, tmp_path / "b.parquet")


def test_json_and_tensors(tmp_path: Path):
    (tmp_path / "a.json").write_text('{"b": 1, "a": [1.5]}')
    (tmp_path / "b.json").write_text(json.dumps({"a": [1.5], "b": 1}, indent=2))
    assert logical_digest(tmp_path / "a.json") == logical_digest(tmp_path / "b.json")
    weights = {"w": np.ones((2, 3), np.float32), "v": np.arange(3)}
    save_file(weights, tmp_path / "a.safetensors", metadata={"written": "monday"})
    save_file(dict(reversed(weights.items())), tmp_path / "b.safetensors")
    assert logical_digest(tmp_path / "a.safetensors") == logical_digest(tmp_path / "b.safetensors")
    save_file({**weights, "v": np.array([0, 1, 3])}, tmp_path / "c.safetensors")
    assert logical_digest(tmp_path / "a.safetensors") != logical_digest(tmp_path / "c.safetensors")
