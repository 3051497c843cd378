"""Rows of data files: JSON lines, JSON arrays, Parquet, CSV; one row in memory at a time.

Every row is a plain dict, or a :class:`~rpt_core.corpus.files.streams.BrokenInput` in its place.
"""

from collections.abc import Iterator
from itertools import chain

from rpt_core.corpus.files.archives import Tree
from rpt_core.corpus.files.csv_rows import csv_rows
from rpt_core.corpus.files.json_rows import Record, json_array, json_lines
from rpt_core.corpus.files.parquet_rows import parquet_rows
from rpt_core.corpus.files.sources import Source
from rpt_core.corpus.files.streams import BrokenInput, as_utf8, open_chunks


def read_records(source: Source) -> Iterator[Record | BrokenInput]:
    """The rows of a data file of any form; a break in the stream ends them with one :class:`BrokenInput`."""
    try:
        if source.form == "parquet":
            yield from parquet_rows(source.path)
        elif source.form == "csv":
            yield from csv_rows(open_chunks(source.path))
        else:
            yield from _spread(_json(as_utf8(open_chunks(source.path))))
    except BrokenInput as broken:
        yield broken


def _spread(rows: Iterator[Record | BrokenInput]) -> Iterator[Record | BrokenInput]:
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
    except BrokenInput:
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


def _json(chunks: Iterator[bytes]) -> Iterator[Record | BrokenInput]:
    """JSON lines, or one JSON array: told by the first character."""
    first = next((chunk for chunk in chunks if chunk.strip()), b"")
    rest = chain((first,), chunks)
    if first.lstrip().startswith(b"["):
        yield from json_array(rest)
    elif _opens_object(first):
        # One object over many lines: a settings file, not JSON lines.
        yield from json_array(chain((b"[", first), chunks, (b"]",)))
    else:
        yield from json_lines(rest)


def _opens_object(first: bytes) -> bool:
    return first.lstrip().split(b"\n", 1)[0].strip() in (b"{", b"{}")


def csv_tree(tree: Tree) -> Iterator[Record | BrokenInput]:
    """The rows of every CSV file of an archive; the file's name stands in for a missing subject."""
    for name, data in sorted(tree.files.items()):
        try:
            for record in csv_rows(iter([data])):
                if isinstance(record, dict):
                    record.setdefault("subject", name.rsplit("/", 1)[-1].removesuffix(".csv"))
                yield record
        except BrokenInput as broken:
            yield broken
