"""Sizes of the pages of a Parquet file, read from their headers without unpacking one.

The footer says how long a column is when it is stored; how much memory it takes follows from its pages: one
is unpacked at a time, a dictionary's longest string may stand in every row, and the values of a list say
nothing of its rows. A page header is a Thrift struct in the compact protocol
(https://github.com/apache/parquet-format, ``PageHeader``).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow.parquet as pq

from rpt_core.corpus.files.streams import BrokenInput

HEADER_BYTES_MAX = 1 << 20
PAGES_MAX = 100_000
"""Pages of one column of one row group; writers make them of a megabyte."""
_FIRST_READ = 1 << 9
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_STRUCT_NESTING_MAX = 8


@dataclass(frozen=True, slots=True)
class Pages:
    """What the page headers of one column of one row group say."""

    num_values: int
    """Of all data pages; in lists every value counts, and every empty list."""
    num_bytes: int
    """Of all data pages, unpacked."""
    longest: int
    """Bytes of the longest data page, unpacked."""
    fewest: int
    """Values of the data page with the fewest, the last one aside."""
    num_pages: int
    dictionary: int
    """Bytes of the dictionary, unpacked; 0 without one."""

    def window(self, num_rows: int) -> int:
        """Bytes that so many rows in sequence may take, where each row is one value."""
        num = 1 if self.num_pages == 1 else min(self.num_pages, num_rows // max(self.fewest, 1) + 2)
        return min(self.num_bytes, num * self.longest)


def pages_of(stream: BinaryIO, column: pq.ColumnChunkMetaData) -> Pages:
    """Walk the page headers of one column of one row group.

    Raises:
        Broken: a header cannot be read, or there are too many.
    """
    start: int = column.data_page_offset
    if column.has_dictionary_page and column.dictionary_page_offset:
        start = min(start, column.dictionary_page_offset)
    data: list[tuple[int, int]] = []
    dictionary = 0
    for kind, num_bytes, num_values in _walk(stream, start, start + column.total_compressed_size):
        if kind == _DICTIONARY:
            dictionary = max(dictionary, num_bytes)
        elif kind in (_DATA, _DATA_V2):
            data.append((num_values, num_bytes))
        if len(data) > PAGES_MAX:
            raise BrokenInput("too-much-work", f"column {column.path_in_schema}: more than {PAGES_MAX} pages")
    sizes = [size for _, size in data]
    return Pages(
        num_values=sum(num for num, _ in data),
        num_bytes=sum(sizes),
        longest=max(sizes, default=0),
        fewest=min((num for num, _ in data[:-1]), default=0),
        num_pages=len(data),
        dictionary=dictionary,
    )


def _walk(stream: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Kind, unpacked bytes and number of values of every page."""
    while start < end:
        fields, length = _header(stream, start)
        kind, unpacked, packed = (fields.get(number) for number in (1, 2, 3))
        if not (isinstance(kind, int) and isinstance(unpacked, int) and isinstance(packed, int)):
            raise BrokenInput("bad-parquet", f"a page header at byte {start} lacks a size")
        if unpacked < 0 or packed < 0:
            raise BrokenInput("bad-parquet", f"a page at byte {start} has {min(unpacked, packed)} bytes")
        detail = fields.get(8 if kind == _DATA_V2 else 5)
        num = detail.get(1) if isinstance(detail, dict) else 0
        yield kind, unpacked, num if isinstance(num, int) else 0
        start += length + packed


Fields = dict[int, "int | Fields | None"]


def _header(stream: BinaryIO, start: int) -> tuple[Fields, int]:
    """The page header at a place of the file, and its length; statistics in it may be long."""
    num_bytes = _FIRST_READ
    while num_bytes <= HEADER_BYTES_MAX:
        stream.seek(start)
        reader = _Compact(stream.read(num_bytes))
        try:
            return reader.struct(), reader.place
        except IndexError:  # it goes on behind what was read
            num_bytes *= 4
    raise BrokenInput("bad-parquet", f"the page header at byte {start} does not end")


class _Compact:
    """Thrift's compact protocol, as far as a page header has it."""

    def __init__(self, data: bytes) -> None:
        self._data, self.place = data, 0

    def struct(self, nesting: int = 0) -> Fields:
        """Integers and structs by their field number; all else is passed over.

        Raises:
            IndexError: the data ends before the struct.
            Broken: it is none.
        """
        if nesting > _STRUCT_NESTING_MAX:
            raise BrokenInput("bad-parquet", "a page header of too many levels")
        fields: Fields = {}
        number = 0
        while byte := self._byte():
            step, kind = byte >> 4, byte & 15
            number = number + step if step else self._integer()
            fields[number] = self._value(kind, nesting)
        return fields

    def _value(self, kind: int, nesting: int) -> "int | Fields | None":
        if kind in (1, 2):  # a truth value is its own kind
            return None
        if kind in (4, 5, 6):
            return self._integer()
        if kind == 12:
            return self.struct(nesting + 1)
        if kind in (3, 7, 8):
            length = {3: 1, 7: 8}.get(kind) or self._varint()
            self.place += length
            return None
        raise BrokenInput("bad-parquet", f"a page header with a field of kind {kind}")

    def _byte(self) -> int:
        self.place += 1
        return self._data[self.place - 1]

    def _varint(self) -> int:
        value = shift = 0
        while shift < 70:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise BrokenInput("bad-parquet", "a number in a page header does not end")

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
