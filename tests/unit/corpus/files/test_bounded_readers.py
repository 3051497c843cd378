"""Readers of data files and archives at their limits: what is past one is one row, and the rest is read."""

import gzip
import io
import json
import tarfile
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rpt_core.corpus.files import csv_rows as csv_module
from rpt_core.corpus.files import json_rows as json_module
from rpt_core.corpus.files import parquet_rows as parquet_module
from rpt_core.corpus.files.archives import members, read_tree
from rpt_core.corpus.files.csv_rows import csv_rows
from rpt_core.corpus.files.json_rows import json_array, json_lines
from rpt_core.corpus.files.parquet_pages import pages_of
from rpt_core.corpus.files.parquet_rows import parquet_rows
from rpt_core.corpus.files.patience import patient
from rpt_core.corpus.files.streams import BrokenInput, decompressed, lines
from rpt_core.corpus.readers import find_sources
from rpt_core.errors import SourceError
from tests.hostile_files import header, member, padded, parquet, pax, repeated, sparse


def reasons(rows):
    return [row.reason if isinstance(row, BrokenInput) else row for row in rows]


# JSON


def crowded(num):
    return b'{"a": [' + b"{}," * num + b"1]}"


@pytest.fixture
def few_tokens(monkeypatch):
    monkeypatch.setattr(json_module, "TOKENS_MAX", 1000)
    monkeypatch.setattr(json_module, "CHUNK", 64)


def test_a_crowded_line_costs_itself_and_no_other(few_tokens):
    rows = reasons(json_lines([b'{"a": 1}\n' + crowded(500) + b'\n{"a": 2}\n' + crowded(490)]))
    assert [row if isinstance(row, str) else list(row) for row in rows] == [
        ["a"], "too-much-work", ["a"], ["a"],
    ]  # fmt: skip


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_a_crowded_item_costs_itself_and_no_other(few_tokens, size):
    data = b"[" + b", ".join([b'{"a": 1}', crowded(500), b'{"a": 2}', crowded(400), b'{"b": "]}"}']) + b"]"
    rows = reasons(json_array(data[start : start + size] for start in range(0, len(data), size)))
    assert [row if isinstance(row, str) else list(row) for row in rows] == [
        ["a"], "too-much-work", ["a"], ["a"], ["b"],
    ]  # fmt: skip


def test_marks_in_strings_are_no_tokens(few_tokens):
    text = '[{,\\"' * 900
    assert [row["a"] for row in json_lines([json.dumps({"a": text}).encode()])] == [text]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_long_items_over_pieces(few_tokens, size):
    """Strings with every mark and escape, cut everywhere."""
    items = [{"a": 'x"\\{}[]' * num, "b": [[{"c": "\\"}], "é\U0001f600"] * num} for num in range(1, 20)]
    data = json.dumps(items, ensure_ascii=False).encode()
    found = list(json_array(data[start : start + size] for start in range(0, len(data), size)))
    assert found == items


def test_an_item_past_the_length_ends_the_array(few_tokens):
    data = b'[{"a": 1}, {"a": "' + b"x" * 5000 + b'"}, {"a": 2}]'
    assert reasons(json_array([data], limit=1000)) == [{"a": 1}, "gigantic"]


@pytest.mark.parametrize("data", [b"[" + b"[" * 5000, b'[{"a":' * 3000, b"[" + b'"' + b"x" * 5000])
def test_what_is_no_object_and_long_ends_the_array(few_tokens, data):
    assert reasons(json_array([data])) == ["bad-json"]


def test_time_grows_with_the_length_of_an_array_alone():
    def seconds(num):
        data = [b'[{"text": "a", "x": ['] + [b"{}," * 300_000] * num + [b"1]}]"]
        began = time.process_time()
        list(json_array(data))
        return time.process_time() - began

    assert seconds(16) < 4 * seconds(8) + 0.1


def test_lines_in_pieces_of_any_size():
    data = b"a\n\nbcd\r\n" + b"x" * 50 + b"\nef\n" + b"y" * 30
    for size in range(1, 60):
        found = list(lines((data[start : start + size] for start in range(0, len(data), size)), 20))
        assert reasons(found) == [b"a", b"", b"bcd\r", "gigantic", b"ef", "gigantic"]


@pytest.mark.parametrize("blank", [b"\n", b" \n", b"\t\r\n"])
def test_blank_lines_are_passed_over_at_once(blank):
    rows = list(json_lines([b'{"a": 1}' + blank * 300_000, blank * 300_000 + b'{"a": 2}']))
    assert rows == [{"a": 1}, {"a": 2}]


# compressed streams


def test_many_short_streams_cost_no_square():
    def seconds(num):
        data = gzip.compress(b"a", 1, mtime=0) * num
        began = time.process_time()
        assert b"".join(decompressed(iter([data]))) == b"a" * num
        return time.process_time() - began

    assert seconds(20_000) < 4 * seconds(10_000) + 0.1


def test_streams_of_many_lengths_with_zeros_between():
    rng = np.random.default_rng(0)
    parts = [rng.bytes(int(size)) for size in rng.integers(0, 30_000, 40)]
    data = b"".join(gzip.compress(part) + b"\0" * (number % 3) for number, part in enumerate(parts))
    for size in (1000, 4096, len(data)):
        chunks = iter([data[start : start + size] for start in range(0, len(data), size)])
        assert b"".join(decompressed(chunks)) == b"".join(parts)


# CSV


@pytest.fixture
def short_rows(monkeypatch):
    monkeypatch.setattr(csv_module, "ROW_CHARS_MAX", 100)
    monkeypatch.setattr(csv_module, "TOKENS_MAX", 20)


def test_a_long_line_costs_itself_and_no_other(short_rows):
    data = b'a,b\n1,2\n3,"' + b"x" * 500 + b'"\n5,6\n' + b"," * 30 + b"\n7,8"
    assert reasons(csv_rows([data])) == [
        {"a": "1", "b": "2"}, "gigantic", {"a": "5", "b": "6"}, "too-much-work", {"a": "7", "b": "8"},
    ]  # fmt: skip


def test_a_quote_that_is_never_closed_ends_the_reading(short_rows):
    assert reasons(csv_rows([b'a\n1\n"' + b"x\n" * 500])) == [{"a": "1"}, "gigantic"]


def test_a_first_line_past_the_limit_ends_the_reading(short_rows):
    assert reasons(csv_rows([b"a" * 300 + b"\n1\n2\n"])) == ["gigantic"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_as_the_standard_library_reads_it(end):
    rows = [["a", "b", "c"], ["1", 'x "y"', "line\none"], [], ["2"], ["3", "4", "5", "6"], ["é", "中", ""]]
    made = io.StringIO(newline="")
    import csv

    csv.writer(made, lineterminator=end).writerows(rows)
    wanted = [
        {key: value for key, value in row.items() if key is not None}
        for row in csv.DictReader(io.StringIO(made.getvalue(), newline=""))
    ]
    data = made.getvalue().encode()
    for size in (1, 5, 1000):
        assert list(csv_rows(data[start : start + size] for start in range(0, len(data), size))) == wanted


def test_wrong_bytes_end_a_csv_and_keep_what_came_before():
    rows = reasons(csv_rows([b"a\n" + b"row\n" * 5000 + b"\xff\n"]))
    assert rows[0] == {"a": "row"}
    assert rows[-1] == "not-utf-8"


# Parquet


def written(tmp_path, table, **options):
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet(table, **options))
    return path


def test_rows_of_every_type_are_what_the_library_gives(tmp_path):
    chat = [{"role": "user", "content": f"é {number}"} for number in range(3)]
    table = pa.table(
        {
            "text": ["a", None, "", "\U0001f600"] * 300,
            "chat": [chat, [], None, chat[:1]] * 300,
            "info": [{"x": 1, "y": ["a", "b"]}, None, {"x": None, "y": None}, {"x": 2, "y": []}] * 300,
            "map": pa.array([[("k", 1)], [], None, [("k", 2)]] * 300, pa.map_(pa.string(), pa.int64())),
            "day": pa.array([1, None, 3, 4] * 300, pa.date32()),
            "vector": pa.array(
                [[1.0, 2.0], [0.0, 1.0], [3.0, 4.0], [5.0, 6.0]] * 300, pa.list_(pa.float32(), 2)
            ),
            "bytes": [b"x", None, b"", b"\xff"] * 300,
        }
    )
    for options in ({}, {"use_dictionary": False}, {"data_page_size": 100, "data_page_version": "2.0"},
                    {"row_group_size": 77}):  # fmt: skip
        assert list(parquet_rows(written(tmp_path, table, **options))) == table.to_pylist()


def test_pages_are_what_the_library_says(tmp_path):
    table = pa.table({"x": [f"{number:05d}" for number in range(20_000)], "l": [[1, 2]] * 20_000})
    for version in ("1.0", "2.0"):
        path = written(tmp_path, table, data_page_size=4096, data_page_version=version, write_statistics=True)
        group = pq.read_metadata(path).row_group(0)
        with path.open("rb") as stream:
            for place, num_values in ((0, 20_000), (1, 40_000)):
                found = pages_of(stream, group.column(place))
                assert found.num_values == num_values
                assert found.dictionary > 0
                assert found.num_bytes + found.dictionary <= group.column(place).total_uncompressed_size
                assert found.num_bytes + found.dictionary > 0.8 * group.column(place).total_uncompressed_size


def test_a_dictionary_is_not_written_out_for_every_row(tmp_path):
    path = written(tmp_path, pa.table({"text": repeated(3 << 20, 200)}))
    before = pa.total_allocated_bytes()
    rows = list(parquet_rows(path))
    assert len(rows) == 200
    assert all(row == rows[0] for row in rows)
    assert len({id(row["text"]) for row in rows}) < 200
    assert pa.total_allocated_bytes() - before < 16 << 20


def test_a_row_past_the_limits_costs_itself_and_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_module, "TOKENS_MAX", 100)
    monkeypatch.setattr(parquet_module, "LINE_BYTES_MAX", 2000)
    monkeypatch.setattr(parquet_module, "SLICE_BYTES_MAX", 500)
    table = pa.table({"a": ["x", "y" * 3000, "z", "w"], "b": [[1], [2], [3] * 200, [4]]})
    assert reasons(parquet_rows(written(tmp_path, table))) == [
        {"a": "x", "b": [1]}, "gigantic", "too-much-work", {"a": "w", "b": [4]},
    ]  # fmt: skip


def test_a_row_group_past_the_limits_costs_itself_and_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_module, "HELD_BYTES_MAX", 10_000)
    rows = ["x"] * 10 + ["y" * 20_000] + ["z"] * 9 + ["w"]
    path = written(tmp_path, pa.table({"a": rows}), row_group_size=10, use_dictionary=False)
    assert reasons(parquet_rows(path)) == [{"a": "x"}] * 10 + ["too-much-work"] + [{"a": "w"}]


def test_a_list_past_the_limits_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_module, "BATCH_BYTES_MAX", 100_000)
    table = pa.table({"a": ["x"], "b": pa.array([[1] * 100_000], pa.list_(pa.int8()))})
    assert list(parquet_rows(written(tmp_path, table))) == [{"a": "x"}]


def test_pages_that_lie_are_a_broken_file(tmp_path):
    path = written(tmp_path, pa.table({"a": ["x" * 100] * 10}), use_dictionary=False)
    data = bytearray(path.read_bytes())
    for place in range(4, 60):
        changed = bytearray(data)
        changed[place] ^= 0xFF
        path.write_bytes(changed)
        assert all(isinstance(row, dict) or row.reason in ("bad-parquet", "too-much-work")
                   for row in parquet_rows(path))  # fmt: skip


# tar


def tree_of(data):
    return read_tree(iter([data]), (".tex",))


@pytest.mark.parametrize(
    "data",
    [
        header("././@LongLink", 1 << 30, b"L") + b"A" * 5000,
        header("././@LongLink", 1 << 30, b"K") + b"A" * 5000,
        header("PaxHeaders/x", 1 << 30, b"x") + b"A" * 5000,
        pax(b"20 comment=" + b"9" * 8 + b"\n", b"g") * 2000,
        pax(b"9" * 200_000),
        pax(b"200018 comment=" + b"9" * 200_002 + b"\n"),
        pax(b"4 a\n" * 50_000),
        pax(b"7 a=bc\n") * 5000,
        (header("././@LongLink", 4, b"L") + padded(b"abc\0")) * 5000,
        pax(b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n") + header("a.tex", 512, b"0"),
        gzip.decompress(sparse())[: 1 << 20],
    ],
    ids=["long-name", "long-link", "pax", "global", "digits", "digits-in-value", "no-value", "pax-in-pax",
         "name-of-name", "sparse-pax", "sparse"],
)  # fmt: skip
def test_headers_past_the_limits_end_an_archive_and_keep_what_came_before(data):
    tree = tree_of(member("good.tex", b"good") + data)
    assert tree.files == {"good.tex": b"good"}
    (broken,) = tree.refused
    assert broken.reason in ("archive-bomb", "broken-archive")
    assert len(broken.detail) < 500
    found = list(members(iter([member("good.tex", b"good") + data])))
    assert found[0] == ("good.tex", b"good")
    assert isinstance(found[1], BrokenInput)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_long_names_are_read_as_they_were_written(form):
    names = ["a.tex", "d/" * 60 + "b.tex", "é/" * 20 + "c.tex", "last.tex"]
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form, pax_headers={"comment": "0123456789" * 4}) as tar:
        for number, name in enumerate(names):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = 600 + number, 1_700_000_000.25
            tar.addfile(info, io.BytesIO(b"x" * info.size))
    for size in (100, 512, 1 << 20):
        data = made.getvalue()
        tree = read_tree(iter([data[at : at + size] for at in range(0, len(data), size)]), (".tex",))
        assert {name: len(text) for name, text in tree.files.items()} == {
            name: 600 + number for number, name in enumerate(names)
        }
        assert tree.refused == []


# what is no file; a reader that hangs


def test_a_pipe_as_data_is_named(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="pipe, a socket or a device"):
        find_sources(tmp_path / "pipe")
    with pytest.raises(SourceError, match="pipe, a socket or a device"):
        find_sources(type(tmp_path)("/dev/zero"))


def test_a_reader_without_a_row_is_ended_with_its_name():
    import re

    def rows():
        yield 1
        re.search(r"(a|aa)+\Z", "a" * 60 + "b")

    found = patient(rows(), "odd.txt", seconds=0.2)
    assert next(found) == 1
    with pytest.raises(SourceError, match=r"odd.txt gave no row in 0.2 seconds"):
        next(found)


def test_slow_takers_and_many_rows_are_no_hang():
    def spent(seconds):
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass

    for _ in patient(range(3), "a", seconds=0.12):
        spent(0.2)
    assert list(patient((spent(0.03) or number for number in range(10)), "a", seconds=0.24)) == list(
        range(10)
    )
