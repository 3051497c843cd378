"""Rows of CSV out of a stream: one row is held at a time, and none of too many characters or fields."""

import csv
import io
from collections.abc import Iterable, Iterator

from rpt_core.corpus.files.json_rows import TOKENS_MAX, Record
from rpt_core.corpus.files.streams import BrokenInput, ChunkFile, as_utf8

ROW_CHARS_MAX = 16 << 20
"""Longest row, line ends within its fields included."""

csv.field_size_limit(2 * ROW_CHARS_MAX)  # of this process: the limit on rows is met before it


class _Lines:
    """Lines for the parser, until one row has had too many."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        raw = ChunkFile(as_utf8(iter(chunks)))
        self._text = io.TextIOWrapper(io.BufferedReader(raw), "utf-8", newline="")
        self._num_chars = self._num_commas = 0
        self.ended_in_line_one = False
        """Whether the row that was given up had one line alone, so that the next one is a row again."""

    def begin_row(self) -> None:
        """What comes next is a row's first line."""
        self._num_chars = self._num_commas = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._text.readline(ROW_CHARS_MAX + 1)
        if not line:
            raise StopIteration
        first = not self._num_chars
        self._num_chars += len(line)
        self._num_commas += line.count(",")
        if self._num_chars > ROW_CHARS_MAX:
            self._skip_line(line)
            self.ended_in_line_one = first
            raise BrokenInput("gigantic", f"a row of more than {ROW_CHARS_MAX} characters: {line[:80]}")
        if self._num_commas > TOKENS_MAX:
            self.ended_in_line_one = first
            raise BrokenInput("too-much-work", f"a row of more than {TOKENS_MAX} commas: {line[:80]}")
        return line

    def _skip_line(self, line: str) -> None:
        while line and not line.endswith(("\n", "\r")):
            line = self._text.readline(1 << 20)


def csv_rows(chunks: Iterable[bytes]) -> Iterator[Record | BrokenInput]:
    """The rows of a CSV file by the names in its first one.

    A row past the limits is one :class:`BrokenInput` in its place when it is one line; when it goes over
    lines, as behind a quote that is never closed, nobody knows where the next row begins, and the reading
    ends.
    """
    lines = _Lines(chunks)
    names: list[str] | None = None
    while True:
        lines.begin_row()
        try:
            for values in csv.reader(lines, strict=True):
                lines.begin_row()
                if names is None:
                    names = values
                elif values:
                    yield _record(names, values)
            return
        except BrokenInput as broken:
            yield broken
            if names is None or not lines.ended_in_line_one:
                return
        except csv.Error as error:
            yield BrokenInput("bad-csv", str(error))
            return
        except UnicodeDecodeError as error:
            yield BrokenInput("not-utf-8", str(error))
            return


def _record(names: list[str], values: list[str]) -> Record:
    """As ``csv.DictReader`` has it, but for values without a name, which are left out."""
    record: Record = dict(zip(names, values, strict=False))
    for name in names[len(values) :]:
        record[name] = None
    return record
