"""Rows of a Parquet file in bounded memory, whatever its pages, dictionaries and lists hold.

Before a row group is read, the sizes of its pages tell how many rows at a time may become arrays, which
columns stay dictionaries, and which lists are too long to be read at all. Before arrays become Python's
objects, their values are counted, and a slice of too many is halved; one row of too many is dropped.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rpt_core.corpus.files.json_rows import LINE_BYTES_MAX, TOKENS_MAX, Record
from rpt_core.corpus.files.parquet_pages import Pages, pages_of
from rpt_core.corpus.files.streams import CHUNK, BrokenInput

FOOTER_BYTES_MAX = 16 << 20
BATCH_ROWS = 256
BATCH_BYTES_MAX = 96 << 20
"""Arrays of one batch, and the lists of one row group."""
HELD_BYTES_MAX = 160 << 20
"""Pages that are unpacked at the same time, one of every column, and dictionaries."""
SLICE_BYTES_MAX = 8 << 20
"""Values that become Python's objects at the same time, but for a single row."""
_WRITTEN_OUT_BYTES_MAX = 8 << 20
"""A dictionary that is longer, or a list's that would be if its values were written out, stays one."""
_STRINGS = frozenset({"BYTE_ARRAY"})


def parquet_rows(path: Path) -> Iterator[Record | BrokenInput]:
    """The rows; a row group that cannot be read within the limits is one :class:`BrokenInput`."""
    try:
        with path.open("rb") as stream:
            _check_footer(stream)
            metadata = pq.read_metadata(path)
            for number in range(metadata.num_row_groups):
                try:
                    plan = _plan(stream, metadata, number)
                except BrokenInput as broken:
                    if broken.reason != "too-much-work":
                        raise
                    yield BrokenInput(broken.reason, f"row group {number}: {broken.detail}")
                    continue
                yield from _row_group(path, metadata, number, plan)
    except BrokenInput as broken:
        yield broken
    except (pa.ArrowException, OSError, ValueError) as error:
        yield BrokenInput("bad-parquet", str(error))


def _check_footer(stream: BinaryIO) -> None:
    """Refuse a footer that would take too much memory; a wrong one is the library's to name."""
    stream.seek(0, 2)
    size = stream.tell()
    stream.seek(max(0, size - 8))
    num_bytes = int.from_bytes(stream.read(4), "little")
    if FOOTER_BYTES_MAX < num_bytes < size:
        raise BrokenInput("too-much-work", f"a footer of {num_bytes} bytes")


@dataclass(slots=True)
class _Plan:
    """How a row group is read."""

    num_rows: int = BATCH_ROWS
    dictionaries: list[str] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)


def _plan(stream: BinaryIO, metadata: pq.FileMetaData, number: int) -> _Plan:
    """What the pages of a row group allow.

    Raises:
        Broken: nothing; or a header that cannot be read.
    """
    group, plan = metadata.row_group(number), _Plan()
    flat: list[tuple[Pages, int]] = []
    held = lists = 0
    for place in range(group.num_columns):
        column, schema = group.column(place), metadata.schema.column(place)
        pages = pages_of(stream, column)
        is_list = schema.max_repetition_level > 0
        is_string = column.physical_type in _STRINGS
        repeats = is_string and any("DELTA_BYTE_ARRAY" in name for name in column.encodings)
        longest = pages.dictionary if is_string else schema.length or 0
        written_out = longest * (pages.num_values if is_list else 1)
        is_kept = is_string and written_out > _WRITTEN_OUT_BYTES_MAX
        if is_list:
            size = 16 * pages.num_values + pages.num_bytes * (pages.num_values if repeats else 1)
            size += 0 if is_kept else written_out
            if lists + size > BATCH_BYTES_MAX:
                plan.left_out.add(column.path_in_schema.split(".")[0])
                continue
            lists += size
        else:
            flat.append((pages, 0 if is_kept else longest))
            if repeats and BATCH_ROWS * pages.longest > BATCH_BYTES_MAX:
                raise BrokenInput("too-much-work", f"{column.path_in_schema}: strings of one long beginning")
        if is_kept:
            plan.dictionaries.append(column.path_in_schema)
        held += pages.longest + pages.dictionary
    if held > HELD_BYTES_MAX:
        raise BrokenInput("too-much-work", f"its pages and dictionaries have {held} bytes at a time")
    while plan.num_rows > 1 and _batch_bytes(flat, plan.num_rows) > BATCH_BYTES_MAX:
        plan.num_rows //= 2
    return plan


def _batch_bytes(flat: list[tuple[Pages, int]], num_rows: int) -> int:
    """Bytes of so many rows at most, each with the longest value that its dictionary may have."""
    return sum(pages.window(num_rows) + num_rows * longest for pages, longest in flat)


def _row_group(
    path: Path, metadata: pq.FileMetaData, number: int, plan: _Plan
) -> Iterator[Record | BrokenInput]:
    file = pq.ParquetFile(
        path, metadata=metadata, read_dictionary=plan.dictionaries or None, buffer_size=CHUNK
    )
    with file:
        names = [name for name in file.schema_arrow.names if name not in plan.left_out]
        columns = names if plan.left_out else None
        for batch in file.iter_batches(
            plan.num_rows, row_groups=[number], columns=columns, use_threads=False
        ):
            yield from _rows(batch)


def _rows(batch: pa.RecordBatch) -> Iterator[Record | BrokenInput]:
    """The rows of a batch as Python's objects, so many at a time as memory allows."""
    num_values, num_bytes = 0, 0
    for array in batch.columns:
        values, size = _weight(array)
        num_values, num_bytes = num_values + values, num_bytes + size
    if num_bytes <= SLICE_BYTES_MAX and num_values <= TOKENS_MAX:
        yield from _objects(batch)
    elif batch.num_rows > 1:
        half = batch.num_rows // 2
        yield from _rows(batch.slice(0, half))
        yield from _rows(batch.slice(half))
    elif num_values > TOKENS_MAX:
        yield BrokenInput("too-much-work", f"a row of {num_values} values")
    elif num_bytes > LINE_BYTES_MAX:
        yield BrokenInput("gigantic", f"a row of {num_bytes} bytes")
    else:
        yield from _objects(batch)


def _weight(array: pa.Array) -> tuple[int, int]:
    """Values of an array, those in its lists and structs with them, and their bytes when written out."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return _weight(array.storage)
    if pa.types.is_dictionary(kind):
        lengths = pc.binary_length(array.dictionary).take(array.indices)
        return len(array), pc.sum(lengths).as_py() or 0
    if pa.types.is_struct(kind):
        parts = [_weight(part) for part in array.flatten()]
    elif isinstance(array, pa.MapArray):  # the one list that the library does not flatten
        start, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
        parts = [_weight(part.slice(start, end - start)) for part in (array.keys, array.items)]
    elif isinstance(array, pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray):
        parts = [_weight(array.flatten())]
    else:
        return len(array), array.nbytes
    return len(array) + sum(num for num, _ in parts), sum(size for _, size in parts)


def _objects(batch: pa.RecordBatch) -> Iterator[Record]:
    if not any(pa.types.is_dictionary(array.type) for array in batch.columns):
        yield from batch.to_pylist()
        return
    columns = [_column(array) for array in batch.columns]
    names = batch.schema.names
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))


def _column(array: pa.Array) -> list[Any]:
    """Python's objects; of a dictionary's, one for all rows that hold it."""
    if not pa.types.is_dictionary(array.type):
        values: list[Any] = array.to_pylist()
        return values
    used = pc.unique(array.indices.drop_null())
    objects = dict(zip(used.to_pylist(), array.dictionary.take(used).to_pylist(), strict=True))
    return [objects.get(index) for index in array.indices.to_pylist()]
