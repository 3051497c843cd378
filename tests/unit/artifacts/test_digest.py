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

from rpt_core.artifacts.digest import artifact_digest, logical_digest
from rpt_core.artifacts.manifest import FileEntry

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


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ([[1, 2], [3]], [[1], [2, 3]]),
        ([[], [1]], [[1], []]),
        ([[], None], [None, []]),
        ([[None], [1]], [[1], [None]]),
        ([None, [1]], [[1], None]),
    ],
)
def test_where_a_list_ends_shows(tmp_path: Path, one: list, two: list):
    tables = [pa.table({"ids": pa.array(rows, pa.list_(pa.int32()))}) for rows in (one, two)]
    assert digest(tables[0], tmp_path / "a.parquet") != digest(tables[1], tmp_path / "b.parquet")


def test_names_types_and_order_of_rows_show(tmp_path: Path):
    base = pa.table({"a": pa.array([1, 2], pa.int32()), "b": pa.array([3, 4], pa.int32())})
    others = {
        "names": base.rename_columns(["b", "a"]),
        "types": base.set_column(0, "a", pa.array([1, 2], pa.uint32())),
        "rows": base.take([1, 0]),
        "fewer": base.select(["a"]),
    }
    found = {name: digest(table, tmp_path / f"{name}.parquet") for name, table in others.items()}
    assert len({*found.values(), digest(base, tmp_path / "base.parquet")}) == 5


@pytest.mark.parametrize(
    "other",
    [
        {"w": np.arange(6, dtype=np.int32).reshape(3, 2)},
        {"w": np.arange(6, dtype=np.uint32).reshape(2, 3)},
        {"v": np.arange(6, dtype=np.int32).reshape(2, 3)},
    ],
    ids=["shape", "type", "name"],
)
def test_tensors_of_the_same_bytes_are_told_apart(tmp_path: Path, other: dict):
    save_file({"w": np.arange(6, dtype=np.int32).reshape(2, 3)}, tmp_path / "a.safetensors")
    save_file(other, tmp_path / "b.safetensors")
    assert logical_digest(tmp_path / "a.safetensors") != logical_digest(tmp_path / "b.safetensors")


def test_lines_of_json_count_by_what_they_say_and_where(tmp_path: Path):
    texts = {"a": '{"x": 1}\n{"x": 2}\n', "b": '{"x":1}\n{"x":2}\n', "c": '{"x": 2}\n{"x": 1}\n'}
    for name, text in texts.items():
        (tmp_path / f"{name}.jsonl").write_text(text)
    found = {name: logical_digest(tmp_path / f"{name}.jsonl") for name in texts}
    assert found["a"] == found["b"] != found["c"]


def test_an_artifact_is_its_paths_and_contents_without_the_volatile():
    def entry(path: str, digest: str, *, volatile: bool = False, blob: str = "b") -> FileEntry:
        return FileEntry(path=path, blob=blob * 64, num_bytes=1, digest=digest * 64, volatile=volatile)

    files = [entry("a", "1"), entry("b", "2")]
    whole = artifact_digest(files)
    assert artifact_digest(reversed(files)) == whole
    assert artifact_digest([entry("a", "1", blob="c"), entry("b", "2")]) == whole
    assert artifact_digest([*files, entry("timings.jsonl", "9", volatile=True)]) == whole
    assert artifact_digest([entry("a", "2"), entry("b", "1")]) != whole
    assert artifact_digest([*files, entry("c", "3")]) != whole


def test_the_digest_of_a_table_is_the_one_it_always_had(tmp_path: Path):
    """Every artifact's address stands on it: another digest would make all stores of today strangers."""
    known = "df9563266359ae9db3cc7eda958daf83967eceb828782b7152d861050f42174d"
    assert digest(TABLE, tmp_path / "a.parquet") == known
