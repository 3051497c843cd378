"""The rows of a benchmark's folder: JSON lines, JSON, CSV, Parquet, archives of CSV, JSON called text."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from rpt_core.corpus.files.archives import read_tree
from rpt_core.corpus.files.csv_rows import csv_rows
from rpt_core.corpus.files.records import read_records
from rpt_core.corpus.files.sources import Source, read_head
from rpt_core.corpus.files.streams import BrokenInput, decode, open_chunks, read_limited
from rpt_core.corpus.readers import find_sources
from rpt_core.errors import SourceError

_TABLES = frozenset({"parquet", "jsonl", "json"})
_AS_JSON = ("{", "[")
TEXT_BYTES_MAX = 64 << 20
"""Longest text that is one item."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """One row of a file, or what could not be read in its place."""

    name: str
    """Of the file: its path below the benchmark's folder; within an archive, the member's."""
    record: dict[str, Any] | BrokenInput


def squeezed(name: str) -> str:
    """A name without what people write in different ways.

    Example:
        >>> squeezed("MMLU-Pro") == squeezed("mmlu_pro")
        True
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())


def folder_of(data: Path, names: Sequence[str]) -> Path | None:
    """The folder below ``data`` that goes by the first of some names that one has, ``-`` and ``_`` alike.

    Raises:
        SourceError: ``data`` is no folder, or two folders in it go by the same name.
    """
    if not data.is_dir():
        raise SourceError(
            f"--data {data}: there is no such folder (seen from {Path.cwd()}). Name a folder that holds one "
            "folder for each benchmark."
        )
    folders = sorted(path for path in data.iterdir() if path.is_dir())
    for name in names:
        found = [path for path in folders if squeezed(path.name) == squeezed(name)]
        if len(found) > 1:
            raise SourceError(
                f"--data {data}: {' and '.join(path.name for path in found)} are folders of one benchmark, "
                "and nobody knows which is meant. Take one of them away."
            )
        if found:
            return found[0]
    return None


def rows_in(folder: Path, header: Sequence[str] = (), *, texts: bool = False) -> Iterator[FileRow]:
    """Every row of every table in a folder, by name of the file; what is no table is passed over.

    Args:
        folder: Of one benchmark.
        header: Names of the columns of CSV files that do not begin with them.
        texts: Whether a file of plain text or Markdown is a row, with its text in the column ``text``.
    """
    for source in find_sources(folder):
        if source.form == "csv":
            yield from (FileRow(source.name, record) for record in _csv(open_chunks(source.path), header))
        elif source.form in _TABLES:
            yield from (FileRow(source.name, record) for record in read_records(source))
        elif source.form == "tar":
            yield from _archived(source, header)
        elif source.form == "text" and _holds_json(source):
            yield from (FileRow(source.name, record) for record in read_records(source))
        elif texts and source.form in ("text", "markdown"):
            yield FileRow(source.name, _whole(source))


def _whole(source: Source) -> dict[str, Any] | BrokenInput:
    try:
        return {"text": decode(read_limited(open_chunks(source.path), TEXT_BYTES_MAX))}
    except BrokenInput as broken:
        return broken


def _archived(source: Source, header: Sequence[str]) -> Iterator[FileRow]:
    tree = read_tree(open_chunks(source.path), (".csv",))
    yield from (FileRow(source.name, broken) for broken in tree.refused)
    for name, data in sorted(tree.files.items()):
        yield from (FileRow(name, record) for record in _csv(iter([data]), header))


def _csv(chunks: Iterator[bytes], header: Sequence[str]) -> Iterator[dict[str, Any] | BrokenInput]:
    """The rows of a CSV file; under names of ours where its first line names no column."""
    first = next(chunks, b"")
    names = ",".join(header).encode()
    line = first.lstrip(b"\xef\xbb\xbf").split(b"\n", 1)[0].strip()
    named = not header or line.split(b",")[0].strip(b'"') == header[0].encode()
    yield from csv_rows(chain([first] if named else [names + b"\n", first], chunks))


def _holds_json(source: Source) -> bool:
    """Whether a text file is JSON by its first character: carriers call JSON lines ``.txt``, too."""
    _, head = read_head(source.path)
    return head.data.decode("utf-8", errors="replace").lstrip("\ufeff \t\r\n").startswith(_AS_JSON)
