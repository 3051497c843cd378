"""Files that were made to hurt: a generator for each kind, small on the disk and large when they are read."""

import bz2
import gzip
import io
import lzma
import os
import socket
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

MB = 1 << 20
WORDS = "The tower was built in 1889 and stands near the old river, where people meet in the evening."


def packed(unit: bytes, size: int, head: bytes = b"", tail: bytes = b"") -> bytes:
    """``size`` bytes of one unit, between a head and a tail, as gzip."""
    made = io.BytesIO()
    block = unit * (MB // len(unit))
    with gzip.GzipFile(fileobj=made, mode="wb", compresslevel=1, mtime=0) as stream:
        stream.write(head)
        for _ in range(size // len(block)):
            stream.write(block)
        stream.write(tail)
    return made.getvalue()


def header(name: str, size: int, kind: bytes) -> bytes:
    """One block of a tar."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 512)


def member(name: str, data: bytes) -> bytes:
    return header(name, len(data), tarfile.REGTYPE) + padded(data)


def pax(records: bytes, kind: bytes = b"x") -> bytes:
    return header("PaxHeaders/x", len(records), kind) + padded(records)


def sparse() -> bytes:
    """A sparse file whose map goes on for 64 MB."""
    first = bytearray(header("a.tex", 512, tarfile.GNUTYPE_SPARSE))
    first[482] = 1
    first[148:156] = b"        "
    first[148:156] = b"%06o\0 " % sum(first)
    more = (b"%011o\0" % 512) * 42 + b"\1" + b"\0" * 7
    return packed(more, 64 * MB, bytes(first))


def links() -> bytes:
    return b"".join(header(f"{'a' * 90}{number}", 0, tarfile.SYMTYPE) for number in range(40_000))


def parquet(table: pa.Table, **options: object) -> bytes:
    made = io.BytesIO()
    pq.write_table(table, made, compression="zstd", **options)
    return made.getvalue()


def repeated(size: int, rows: int) -> pa.Array:
    """A dictionary of one string."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["a" * size]))


def one_list(values: pa.Array, rows: int = 1) -> pa.Array:
    step = len(values) // rows
    return pa.ListArray.from_arrays(pa.array([step * row for row in range(rows + 1)], pa.int32()), values)


def beside_text(array: pa.Array) -> pa.Table:
    return pa.table({"text": [WORDS] * len(array), "more": array})


def wiki(text: bytes, size: int, unit: bytes) -> bytes:
    """A dump of one page."""
    head = (
        b"<mediawiki><siteinfo><dbname>aawiki</dbname></siteinfo><page><title>A</title><ns>0</ns><id>1</id>"
        b"<revision><id>1</id><model>wikitext</model><text>"
    )
    tail = text + b"</text></revision></page></mediawiki>"
    return packed(unit, size, head + text, tail)


def zipped() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", b"a" * (64 * MB))
    return made.getvalue()


_PAPER = b"\\documentclass{article}\\begin{document}" + WORDS.encode() + b" "
_END = b" " + WORDS.encode() + b"\\end{document}"

KINDS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "tar: long name of 1 GiB": (
        "a.tar.gz", lambda: packed(b"A", 1 << 30, header("././@LongLink", 1 << 30, b"L"))),
    "tar: long link of 1 GiB": (
        "a.tar.gz", lambda: packed(b"A", 1 << 30, header("././@LongLink", 1 << 30, b"K"))),
    "tar: pax header of 1 GiB": (
        "a.tar.gz", lambda: packed(b"A", 1 << 30, header("PaxHeaders/x", 1 << 30, b"x"))),
    "tar: global pax header of 1 GiB": (
        "a.tar.gz", lambda: packed(b"A", 1 << 30, header("PaxHeaders/x", 1 << 30, b"g"))),
    "tar: pax header of a million digits": ("a.tar", lambda: pax(b"9" * MB)),
    "tar: pax header of digits within the limit": ("a.tar", lambda: pax(b"9" * 250_000)),
    "tar: pax value of digits": ("a.tar", lambda: pax(b"200018 comment=" + b"9" * 200_002 + b"\n")),
    "tar: pax records without a value": ("a.tar", lambda: pax(b"5 a\n\n"[:4] * 50_000)),
    "tar: 20,000 pax headers in a row": ("a.tar.gz", lambda: packed(pax(b"7 a=bc\n"), 20 * MB)),
    "tar: 20,000 long names in a row": (
        "a.tar.gz", lambda: packed(header("././@LongLink", 4, b"L") + padded(b"abc\0"), 20 * MB)),
    "tar: many members of long names": ("a.tar.gz", lambda: packed(
        header("././@LongLink", 200_000, b"L") + padded(b"a" * 200_000) + header("b", 0, b"0"), 1000 * MB)),
    "tar: map of a sparse file": ("a.tar.gz", sparse),
    "tar: map of a sparse file in pax": ("a.tar.gz", lambda: packed(
        b"1\n", 256 * MB, pax(b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n")
        + header("GNUSparseFile.0/a.tex", 256 * MB, b"0") + b"99999999\n")),
    "tar: 40,000 links": ("a.tar.gz", lambda: gzip.compress(links(), 1)),
    "tar: 400,000 members": ("a.tar.gz", lambda: packed(member("a.tex", b"a"), 400 * MB)),
    "tar: member of 8 EiB": ("a.tar", lambda: header("a.tex", 1 << 63, b"0") + b"a" * 1024),
    "tar: 200 members of 32 MB": (
        "a.tar.gz", lambda: packed(b"a", 1600 * MB, header("a.tex", 16 * MB, b"0"))),
    "tar: paths that lead out": (
        "a.tar", lambda: member("../out.tex", b"out") + member("/tmp/rpt-out.tex", b"out")),
    "parquet: one string of 20 MB in 300 rows": (
        "a.parquet", lambda: parquet(pa.table({"text": repeated(20 * MB, 300)}))),
    "parquet: one string of 100 MB in 1,000 rows": (
        "a.parquet", lambda: parquet(pa.table({"text": repeated(100 * MB, 1000)}))),
    "parquet: a list of one string": ("a.parquet", lambda: parquet(beside_text(
        one_list(pa.array(["a" * 100_000] * 3000), 3)))),
    "parquet: a list of 50 million nulls": (
        "a.parquet", lambda: parquet(beside_text(one_list(pa.nulls(50_000_000, pa.int8()))))),
    "parquet: a list of 5 million small numbers": (
        "a.parquet", lambda: parquet(beside_text(one_list(pa.array([1] * 5_000_000, pa.int16()))))),
    "parquet: a page of 400 MB": (
        "a.parquet", lambda: parquet(pa.table({"text": ["a" * (400 * MB)]}), use_dictionary=False)),
    "parquet: 50 rows of 10 MB in a page": (
        "a.parquet", lambda: parquet(pa.table({"text": ["a" * (10 * MB)] * 50}), use_dictionary=False)),
    "parquet: strings of one long beginning": ("a.parquet", lambda: parquet(
        pa.table({"text": ["a" * (2 * MB)] * 150}), use_dictionary=False,
        column_encoding={"text": "DELTA_BYTE_ARRAY"})),
    "parquet: 800 columns of a megabyte": ("a.parquet", lambda: parquet(
        pa.table({f"c{number}": ["a" * MB] for number in range(800)}))),
    "parquet: 20,000 columns": (
        "a.parquet", lambda: parquet(pa.table({f"c{number}": ["a"] for number in range(20_000)}))),
    "parquet: two million equal rows of numbers": (
        "a.parquet", lambda: parquet(pa.table({"x": pa.array([1] * 2_000_000)}))),
    "parquet: rows of emoji": ("a.parquet", lambda: parquet(
        pa.table({"text": ["\U0001f600" * (2 * MB)] * 20}), use_dictionary=False)),
    "json: a line of small objects": (
        "a.jsonl.gz", lambda: packed(b"{},", 60 * MB, b'{"text": "a", "x": [', b"{}]}\n")),
    "json: a line of small objects within the length": (
        "a.jsonl.gz", lambda: packed(b"{},", 30 * MB, b'{"text": "a", "x": [', b"{}]}\n")),
    "json: an array of small objects": (
        "a.json.gz", lambda: packed(b"{},", 60 * MB, b'[{"text": "a", "x": [', b"{}]}]")),
    "json: an array of small objects within the length": (
        "a.json.gz", lambda: packed(b"{},", 30 * MB, b'[{"text": "a", "x": [', b"{}]}]")),
    "json: an array of nested objects": (
        "a.json.gz", lambda: packed(b'{"a":{"b":[]}},', 60 * MB, b'[{"text": "a", "x": [', b"{}]}]")),
    "json: a line of numbers": (
        "a.jsonl.gz", lambda: packed(b"1.5,", 30 * MB, b'{"text": "a", "x": [', b"1]}\n")),
    "json: a line of strings": (
        "a.jsonl.gz", lambda: packed(b'"ab",', 30 * MB, b'{"text": "a", "x": [', b"1]}\n")),
    "json: an object of 60 MB over lines": (
        "a.json.gz", lambda: packed(b'"a": {},\n', 60 * MB, b"{\n", b'"b": 1\n}\n')),
    "json: 64 MB of brackets": ("a.json.gz", lambda: packed(b"[", 64 * MB)),
    "json: 64 MB of braces in an array": ("a.json.gz", lambda: packed(b'{"a":', 64 * MB, b"[")),
    "json: a string of 1 GiB": ("a.jsonl.gz", lambda: packed(b"a", 1 << 30, b'{"text": "', b'"}\n')),
    "json: a string of 31 MB in emoji": (
        "a.jsonl.gz", lambda: packed("\U0001f600".encode(), 31 * MB, b'{"text": "', b'"}\n')),
    "json: an item of 31 MB in emoji": (
        "a.json.gz", lambda: packed("\U0001f600".encode(), 31 * MB, b'[{"text": "', b'"}]\n')),
    "json: a string of 31 MB in escapes": (
        "a.jsonl.gz", lambda: packed(b"\\u4e00", 30 * MB, b'{"text": "', b'"}\n')),
    "json: 400 MB of line ends": ("a.jsonl.gz", lambda: packed(b"\n", 400 * MB, b'{"text": "a"}')),
    "csv: a field of 1 GiB": ("a.csv.gz", lambda: packed(b"a", 1 << 30, b"text\n")),
    "csv: a quote that is never closed": ("a.csv.gz", lambda: packed(b"a", 1 << 30, b'text\n"')),
    "csv: a quote never closed, over lines": ("a.csv.gz", lambda: packed(b"a b\n", 512 * MB, b'text\n"')),
    "csv: 1 GiB of commas": ("a.csv.gz", lambda: packed(b",", 1 << 30, b"text\n")),
    "csv: a first row of 200 MB": ("a.csv.gz", lambda: packed(b"ab,", 200 * MB)),
    "csv: 256 MB of quotes": ("a.csv.gz", lambda: packed(b'"', 256 * MB, b"text\n")),
    "xml: a page of 1 GiB": ("a.xml.gz", lambda: wiki(b"", 1 << 30, b"a ")),
    "xml: a page of 60 MB": ("a.xml.gz", lambda: wiki(b"", 60 * MB, b"a ")),
    "xml: a page of 60 MB in emoji": ("a.xml.gz", lambda: wiki(b"", 60 * MB, "\U0001f600".encode())),
    "xml: a header of 1 GiB": ("a.xml.gz", lambda: packed(b" ", 1 << 30, b"<mediawiki>")),
    "xml: laughs": ("a.xml", lambda: b"<!DOCTYPE a [<!ENTITY a 'a'><!ENTITY b '&a;&a;'>]><mediawiki>&b;"),
    "wikitext: 15 MB of templates": ("a.xml.gz", lambda: wiki(WORDS.encode(), 15 * MB, b"{{a}} ")),
    "wikitext: 15 MB of open templates": ("a.xml.gz", lambda: wiki(WORDS.encode(), 15 * MB, b"{{a|")),
    "wikitext: 15 MB of open links": ("a.xml.gz", lambda: wiki(WORDS.encode(), 15 * MB, b"[[a|")),
    "wikitext: 15 MB of tabs": ("a.xml.gz", lambda: wiki(WORDS.encode(), 15 * MB, b"\t")),
    "wikitext: 15 MB of quotes": ("a.xml.gz", lambda: wiki(WORDS.encode(), 15 * MB, b"''")),
    "wikitext: 15 MB of open tables": ("a.xml.gz", lambda: wiki(WORDS.encode(), 15 * MB, b"\n{|\n|-\n|a")),
    "latex: 12 files of 8 MB": ("1.tar.gz", lambda: gzip.compress(b"".join(
        member(f"{number}.tex", _PAPER + b"a b " * (2 * MB) + b"\\input{9}" + _END)
        for number in range(12)), 1)),
    "latex: 9 MB of words": ("1.tex.gz", lambda: packed(b"ab ", 9 * MB, _PAPER, _END)),
    "latex: 9 MB of backslashes": ("1.tex.gz", lambda: packed(b"\\", 9 * MB, _PAPER, _END)),
    "latex: 9 MB of emoji": ("1.tex.gz", lambda: packed("\U0001f600 ".encode(), 9 * MB, _PAPER, _END)),
    "latex: 9 MB of commands": ("1.tex.gz", lambda: packed(b"\\a ", 9 * MB, _PAPER, _END)),
    "latex: 9 MB of formulas": ("1.tex.gz", lambda: packed(b"$a$ ", 9 * MB, _PAPER, _END)),
    "latex: 9 MB of tabs": ("1.tex.gz", lambda: packed(b"\t", 9 * MB, _PAPER, _END)),
    "latex: 9 MB of open braces": ("1.tex.gz", lambda: packed(b"{", 9 * MB, _PAPER, _END)),
    "latex: 31 MB of one letter": ("1.tex.gz", lambda: packed(b"a", 31 * MB, _PAPER, _END)),
    "latex: 15 MB of words": ("1.tex.gz", lambda: packed(b"ab ", 15 * MB, _PAPER, _END)),
    "latex: 31 MB of open braces": ("1.tex.gz", lambda: packed(b"{", 31 * MB, _PAPER, _END)),
    "latex: 31 MB of backslashes": ("1.tex.gz", lambda: packed(b"\\", 31 * MB, _PAPER, _END)),
    "latex: 31 MB of dollars": ("1.tex.gz", lambda: packed(b"$a$ ", 31 * MB, _PAPER, _END)),
    "latex: 15 MB of tabs": ("1.tex.gz", lambda: packed(b"\t", 15 * MB, _PAPER, _END)),
    "latex: 31 MB of comments": ("1.tex.gz", lambda: packed(b"%\n", 31 * MB, _PAPER, _END)),
    "text: a million tabs": ("a.txt", lambda: b"word" + b"\t" * MB + b"word " + WORDS.encode()),
    "text: 15 MB of tabs": ("a.txt.gz", lambda: packed(b"\t", 15 * MB, b"word", b"word")),
    "text: a million blank lines": ("a.txt", lambda: b"word" + b" \n" * MB + b"word " + WORDS.encode()),
    "markdown: a million blanks": ("a.md", lambda: b"# word" + b" " * MB + b"word\n" + WORDS.encode()),
    "text: 1 GiB": ("a.txt.gz", lambda: packed(b"a ", 1 << 30)),
    "bz2: 1 GiB": ("a.txt.bz2", lambda: bz2.compress(b"a" * (256 * MB)) * 4),
    "bz2: truncated": ("a.txt.bz2", lambda: bz2.compress(WORDS.encode() * 1000)[:-20]),
    "gzip: 200,000 streams": ("a.txt.gz", lambda: gzip.compress(b"", 1, mtime=0) * 200_000),
    "gzip: 200,000 streams of one letter": ("a.jsonl.gz", lambda: gzip.compress(b"a", 1, mtime=0) * 200_000),
    "gzip: in gzip": ("a.txt.gz", lambda: gzip.compress(packed(b"a", 1 << 30))),
    "xz": ("a.txt.xz", lambda: lzma.compress(b"a" * (64 * MB))),
    "zstd": ("a.txt.zst", lambda: pa.compress(b"a" * (64 * MB), "zstd", asbytes=True)),
    "zip": ("a.zip", zipped),
}  # fmt: skip


def odd_files(folder: Path) -> Iterator[socket.socket]:
    """What is no file: a pipe, a socket, links to a pipe, to an endless device and to nothing."""
    os.mkfifo(folder / "pipe.txt")
    (folder / "link.jsonl").symlink_to(folder / "pipe.txt")
    (folder / "zero.parquet").symlink_to("/dev/zero")
    (folder / "nowhere.csv").symlink_to(folder / "absent")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket.md"))
        yield listening
