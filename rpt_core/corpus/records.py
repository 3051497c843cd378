"""Rows of data files: JSON lines, JSON arrays, Parquet, CSV; one row in memory at a time.

Every row is a plain dict, or a :class:`~rpt_core.corpus.streams.Broken` in its place.
"""

import codecs
import csv
import io
import json
import re
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rpt_core.corpus.archives import Tree
from rpt_core.corpus.sources import Source
from rpt_core.corpus.streams import Broken, as_utf8, decode, lines, open_chunks, read_limited

LINE_BYTES_MAX = 64 << 20
"""Longest JSON line or item."""
CSV_BYTES_MAX = 256 << 20
Record = dict[str, Any]

csv.field_size_limit(LINE_BYTES_MAX)


def read_records(source: Source) -> Iterator[Record | Broken]:
    """The rows of a data file of any form; a break in the stream ends them with one :class:`Broken`."""
    try:
        if source.form == "parquet":
            yield from _parquet(source.path)
        elif source.form == "csv":
            yield from _csv(read_limited(open_chunks(source.path), CSV_BYTES_MAX))
        else:
            yield from _spread(_json(as_utf8(open_chunks(source.path))))
    except Broken as broken:
        yield broken


def _spread(rows: Iterator[Record | Broken]) -> Iterator[Record | Broken]:
    """The rows; a file whose only object holds columns of equal length is read by its columns."""
    first = next(rows, None)
    num = _num_rows(first) if isinstance(first, dict) else 0
    if first is None:
        return
    if not num:
        yield first
        yield from rows
        return
    try:
        second = next(rows, None)
    except Broken:
        yield first
        raise
    if second is None and isinstance(first, dict):
        yield from ({name: column[row] for name, column in first.items()} for row in range(num))
        return
    yield first
    if second is not None:
        yield second
        yield from rows


def _num_rows(record: Record) -> int:
    """Rows of an object of columns, two columns and two rows at least; 0 for any other object."""
    columns = list(record.values())
    if len(columns) < 2 or not all(isinstance(column, list) for column in columns):
        return 0
    lengths = {len(column) for column in columns}
    return lengths.pop() if len(lengths) == 1 and len(columns[0]) > 1 else 0


def _json(chunks: Iterator[bytes]) -> Iterator[Record | Broken]:
    """JSON lines, or one JSON array: told by the first character."""
    first = b""
    for chunk in chunks:
        first += chunk
        if first.strip():
            break
    rest = _chain(first, chunks)
    if first.lstrip().startswith(b"["):
        yield from json_array(rest)
    elif _opens_object(first):
        # One object over many lines: a settings file, not JSON lines.
        yield from json_array(_wrapped(first, chunks))
    else:
        yield from json_lines(rest)


def _wrapped(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes between array brackets."""
    yield b"["
    yield first
    yield from rest
    yield b"]"


def _opens_object(first: bytes) -> bool:
    return first.lstrip().split(b"\n", 1)[0].strip() in (b"{", b"{}")


def _chain(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def json_lines(chunks: Iterable[bytes], limit: int = LINE_BYTES_MAX) -> Iterator[Record | Broken]:
    r"""One object per line; empty lines are skipped, bad ones come as :class:`Broken`.

    Example:
        >>> [type(row).__name__ for row in json_lines([b'{"a": 1}\n{"a": NaN}\n'])]
        ['dict', 'dict']
    """
    for line in lines(chunks, limit):
        if isinstance(line, Broken):
            yield line
        elif line.strip():
            yield _parse(line)


def _parse(line: bytes) -> Record | Broken:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        return Broken("not-utf-8", f"{error}: {line[:80]!r}")
    try:
        return _object(_DECODER.decode(text))
    except (ValueError, RecursionError) as error:
        return Broken("bad-json", f"{error}: {text[:80]}")


def _object(value: Any) -> Record | Broken:
    if not isinstance(value, dict):
        return Broken("bad-json", f"an object was expected, not {json.dumps(value)[:80]}")
    return value


def _no_twins(pairs: list[tuple[str, Any]]) -> Record:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError(f"a key stands twice among {[key for key, _ in pairs][:10]}")
    return record


_DECODER = json.JSONDecoder(object_pairs_hook=_no_twins)


def json_array(chunks: Iterable[bytes], limit: int = LINE_BYTES_MAX) -> Iterator[Record | Broken]:
    """The objects of one JSON array, without holding the array.

    The first item that is not JSON ends the reading: where the next one starts cannot be known.
    """
    held, opened = "", False
    for piece in _decoded(chunks):
        if isinstance(piece, Broken):
            yield piece
            return
        held += piece
        if not opened:
            held, opened = held.lstrip().removeprefix("["), True
        position, ended = yield from _items(held)
        if ended:
            return
        held = held[position:]
        if len(held) > limit:
            yield Broken("gigantic", f"an item of more than {limit} characters")
            return
    yield Broken("bad-json", f"the array ends inside an item or without its bracket: {held[:80]}")


_BETWEEN_ITEMS = re.compile(r"[\s,]*")


def _items(held: str) -> Generator[Record | Broken, None, tuple[int, bool]]:
    """Yield the whole items of ``held``; return where the rest starts, and whether the array ended."""
    position = 0
    while True:
        position = _BETWEEN_ITEMS.match(held, position).end()  # type: ignore[union-attr]
        if position == len(held):
            return position, False
        if held[position] == "]":
            return position, True
        try:
            value, end = _DECODER.raw_decode(held, position)
        except json.JSONDecodeError:
            return position, False
        except (ValueError, RecursionError) as error:
            yield Broken("bad-json", f"{error}: {held[position : position + 80]}")
            return position, True
        yield _object(value)
        position = end


def _decoded(chunks: Iterable[bytes]) -> Iterator[str | Broken]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in chunks:
            yield decoder.decode(chunk)
    except UnicodeDecodeError as error:
        yield Broken("not-utf-8", str(error))


def _parquet(path: Path) -> Iterator[Record | Broken]:
    try:
        file = pq.ParquetFile(path)
        for batch in file.iter_batches(batch_size=256):
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        yield Broken("bad-parquet", str(error))


def _csv(data: bytes) -> Iterator[Record | Broken]:
    try:
        reader = csv.DictReader(io.StringIO(decode(data), newline=""), strict=True)
        for row in reader:
            yield {key: value for key, value in row.items() if key is not None}
    except csv.Error as error:
        yield Broken("bad-csv", str(error))


def csv_tree(tree: Tree) -> Iterator[Record | Broken]:
    """The rows of every CSV file of an archive; the file's name stands in for a missing subject."""
    for name, data in sorted(tree.files.items()):
        try:
            for record in _csv(data):
                if isinstance(record, dict):
                    record.setdefault("subject", name.rsplit("/", 1)[-1].removesuffix(".csv"))
                yield record
        except Broken as broken:
            yield broken
