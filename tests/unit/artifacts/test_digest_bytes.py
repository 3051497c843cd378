"""Digests recomputed from what the design says they cover, without the code that makes them."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from rpt_core.artifacts.digest import file_sha256, logical_digest, stable_id


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def compact(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def int64(*values: int) -> bytes:
    return b"".join(value.to_bytes(8, "little", signed=True) for value in values)


def float32(*values: float) -> bytes:
    return np.array(values, "<f4").tobytes()


COLUMNS = {
    "int": (pa.array([5, None, -7], pa.int64()), "int64", {"valid": b"\1\0\1", "data": int64(5, -7)}),
    "text": (
        pa.array(["é", None, "ab"]), "string",
        {"valid": b"\1\0\1", "lengths": int64(2, 0, 2), "data": "éab".encode()},
    ),
    "large_text": (
        pa.array(["é", "", "abc"], pa.large_string()), "string",
        {"valid": b"\1\1\1", "lengths": int64(2, 0, 3), "data": "éabc".encode()},
    ),
    "coded": (
        pa.array(["b", "a", "b"]).dictionary_encode(), "string",
        {"valid": b"\1\1\1", "lengths": int64(1, 1, 1), "data": b"bab"},
    ),
    "bytes": (
        pa.array([b"\0", None, b"xyz"], pa.binary()), "binary",
        {"valid": b"\1\0\1", "lengths": int64(1, 0, 3), "data": b"\0xyz"},
    ),
    "large_bytes": (
        pa.array([b"\0", b"q", b"xyz"], pa.large_binary()), "binary",
        {"valid": b"\1\1\1", "lengths": int64(1, 1, 3), "data": b"\0qxyz"},
    ),
    "fixed_bytes": (
        pa.array([b"abc", None, b"def"], pa.binary(3)), "fixed_size_binary[3]",
        {"valid": b"\1\0\1", "lengths": int64(3, 0, 3), "data": b"abcdef"},
    ),
    "flag": (pa.array([True, None, False]), "bool", {"valid": b"\1\0\1", "data": b"\1\0\0"}),
    "nothing": (pa.nulls(3), "null", {"valid": b"\0\0\0"}),
    "list": (
        pa.array([[1, None], [], [3]], pa.list_(pa.int64())), "list<element: int64>",
        {"valid": b"\1\1\1", "lengths": int64(2, 0, 1), "[].valid": b"\1\0\1", "[].data": int64(1, 3)},
    ),
    "large_list": (
        pa.array([[1, 2], None, [3]], pa.large_list(pa.int64())), "list<element: int64>",
        {"valid": b"\1\0\1", "lengths": int64(2, 0, 1), "[].valid": b"\1\1\1", "[].data": int64(1, 2, 3)},
    ),
    "pair": (
        pa.array([[1, 2], [5, 4], [3, 9]], pa.list_(pa.float32(), 2)),
        "fixed_size_list<element: float>[2]",
        {
            "valid": b"\1\1\1", "lengths": int64(2, 2, 2), "[].valid": b"\1" * 6,
            "[].data": float32(1, 2, 5, 4, 3, 9),
        },
    ),
    "record": (
        pa.array([{"k": 4, "w": "p"}, {"k": None, "w": "qr"}, {"k": 6, "w": None}]),
        "struct<k: int64, w: string>",
        {
            "valid": b"\1\1\1", "k.valid": b"\1\0\1", "k.data": int64(4, 6), "w.valid": b"\1\1\0",
            "w.lengths": int64(1, 2, 0), "w.data": b"pqr",
        },
    ),
}  # fmt: skip
"""Name -> three cells, their type as the digest names it, and the streams it hashes."""


@pytest.mark.parametrize("name", COLUMNS)
def test_a_columns_digest_covers_validity_lengths_and_values(tmp_path: Path, name: str):
    cells, kind, streams = COLUMNS[name]
    pq.write_table(pa.table({name: cells}), tmp_path / "a.parquet")
    column = sha(compact({stream: sha(data) for stream, data in streams.items()}))
    assert logical_digest(tmp_path / "a.parquet") == sha(compact([3, [[name, kind, column]]]))


def test_batches_of_a_long_table_are_one_stream(tmp_path: Path):
    """Read 4,096 rows at a time: the seam between batches is none of the content."""
    numbers = list(range(10_000, 15_003))
    pq.write_table(pa.table({"n": pa.array(numbers, pa.int64())}), tmp_path / "a.parquet", row_group_size=999)
    column = sha(compact({"valid": sha(b"\1" * 5_003), "data": sha(int64(*numbers))}))
    assert logical_digest(tmp_path / "a.parquet") == sha(compact([5_003, [["n", "int64", column]]]))


def test_tensors_count_by_name_type_shape_and_every_byte(tmp_path: Path):
    """One of more than a megabyte, which is read in pieces, stands between two small ones."""
    tensors = {
        "b": np.arange(300_007, dtype=np.float32),
        "a": np.arange(6, dtype=np.int16).reshape(2, 3),
        "c": np.array([[7]], np.int64),
    }
    save_file(tensors, tmp_path / "a.safetensors", metadata={"format": "pt"})
    whole = b"".join(
        compact([name, kind, list(tensors[name].shape)]) + tensors[name].tobytes()
        for name, kind in (("a", "I16"), ("b", "F32"), ("c", "I64"))
    )
    assert logical_digest(tmp_path / "a.safetensors") == sha(whole)


def test_json_counts_without_its_blanks_and_other_files_by_their_bytes(tmp_path: Path):
    (tmp_path / "a.json").write_text('{"é": [1.5, null],\n "a": 2}', "utf-8")
    assert logical_digest(tmp_path / "a.json") == sha('{"a":2,"é":[1.5,null]}'.encode())
    (tmp_path / "a.jsonl").write_text('{"b": "é", "a": 2}\n[ 3 ]\n', "utf-8")
    assert logical_digest(tmp_path / "a.jsonl") == sha('{"a":2,"b":"é"}\n[3]\n'.encode())
    (tmp_path / "a.txt").write_bytes(b'{"b": 1}')
    assert logical_digest(tmp_path / "a.txt") == file_sha256(tmp_path / "a.txt") == sha(b'{"b": 1}')


def test_an_id_is_128_bits_over_its_parts():
    blake = hashlib.blake2b("ab\x1fé\x1f".encode() + b"\xed\xb0\x80", digest_size=16)
    assert stable_id("ab", "é", "\udc00") == blake.hexdigest()
