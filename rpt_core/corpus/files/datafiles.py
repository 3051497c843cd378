"""Data files whose rows are documents, problems or supervised traces; told apart by their columns."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rpt_core.artifacts.digest import stable_id
from rpt_core.corpus.files.calculator import with_traces
from rpt_core.corpus.files.json_rows import Record
from rpt_core.corpus.files.parts import How
from rpt_core.corpus.files.plain import TEXT
from rpt_core.corpus.files.problems import (
    ABSENT,
    COLUMNS,
    Columns,
    benchmark_of,
    is_problem,
    look_up,
    parse_problem,
    set_name,
)
from rpt_core.corpus.files.records import read_records
from rpt_core.corpus.files.sources import Source
from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.corpus.rows import Document, Dropped, Row, SourceProblem, Trace, preview

TEXT_COLUMNS = ("text", "content", "document", "article", "markdown", "paragraphs")
TITLE_COLUMNS = ("title", "name", "headline", "chapter", "url")
ID_COLUMNS = ("id", "doc_id", "_id", "uuid", "url")
TRACE_COLUMNS = ("title", "before", "thought", "answer")
ROWS_WITHOUT_SHAPE_MAX = 100
"""Rows of no known shape after which a file is given up."""
BROKEN_AT_HEAD_MAX = 10_000
"""Rows that cannot be read, before any that can, after which a file is given up."""


ALL_COLUMNS: Columns = {**COLUMNS, "text": TEXT_COLUMNS, "title": TITLE_COLUMNS, "id": ID_COLUMNS}


def read_data(source: Source, how: How) -> Iterator[Row]:
    """The rows of one data file, its problems as the recipe reads them."""
    yield from with_traces(rows_of(source, read_records(source), how.max_chars, how.columns), how)


def rows_of(
    source: Source,
    records: Iterable[Record | BrokenInput],
    max_chars: int,
    columns: Columns = ALL_COLUMNS,
) -> Iterator[Row]:
    """Turn records into rows.

    The first row of a known shape tells what the file holds; odd ones before it are dropped one by one.
    A file without such a row at its head is one dropped row, not thousands.
    """
    kind = ""
    waiting: list[tuple[int, Record]] = []
    for number, record in enumerate(records):
        if isinstance(record, BrokenInput):
            yield _broken(source, set_name(source.name), number, record)
            if not kind and number >= BROKEN_AT_HEAD_MAX:
                told = BrokenInput(
                    "too-much-work", f"of {number} rows none could be read; the rest is passed over"
                )
                yield _broken(source, set_name(source.name), number + 1, told)
                break
            continue
        kind = kind or _kind(record, columns)
        waiting.append((number, record))
        if kind:
            for place, held in waiting:
                yield _row(source, kind, place, held, max_chars, columns)
            waiting = []
        elif len(waiting) == ROWS_WITHOUT_SHAPE_MAX:
            break
    if waiting:
        types = (f"{name} ({type(value).__name__})" for name, value in list(waiting[0][1].items())[:20])
        shown = preview(f"columns: {', '.join(types)}")
        yield Dropped(set_name(source.name), source.name, "unrecognised-columns", source.name, preview=shown)


def _row(source: Source, kind: str, number: int, record: Record, max_chars: int, columns: Columns) -> Row:
    try:
        return _READERS[kind](source, record, max_chars, columns)
    except BrokenInput as broken:
        return _broken(source, kind if kind == "text" else set_name(source.name), number, broken)


def _broken(source: Source, name: str, number: int, broken: BrokenInput) -> Dropped:
    native_id = f"{source.name}#{number}"
    return Dropped(name, source.name, broken.reason, native_id, preview=preview(broken.detail))


def _kind(record: Mapping[str, Any], columns: Columns) -> str:
    if all(isinstance(record.get(column), str) for column in TRACE_COLUMNS):
        return "trace"
    if is_problem(record, columns):
        return "problem"
    return "text" if any(_prose(look_up(record, column)) is not None for column in columns["text"]) else ""


def _prose(value: Any) -> str | None:
    """A text, or a list of its paragraphs, as text; None for anything else."""
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        return "\n\n".join(value)
    return value if isinstance(value, str) else None


def _trace(source: Source, record: Record, max_chars: int, columns: Columns) -> Trace:
    values = {column: record.get(column) for column in (*TRACE_COLUMNS, "kind")}
    for column in TRACE_COLUMNS:
        if not isinstance(values[column], str):
            reason = "missing-column" if values[column] is None else "retyped-column"
            raise BrokenInput(reason, f"{column}: {values[column]!r}")
    if not values["answer"] or not values["before"]:
        raise BrokenInput("missing-column", "before or answer is empty")
    return Trace(
        str(values["title"]), str(values["before"]), str(values["thought"]), str(values["answer"]),
        str(values["kind"] or ""), source.name, _optional(record, "boxed"),
    )  # fmt: skip


def _optional(record: Record, column: str) -> str:
    value = record.get(column)
    if value is not None and not isinstance(value, str):
        raise BrokenInput("retyped-column", f"{column}: {value!r}")
    return value or ""


def _problem(source: Source, record: Record, max_chars: int, columns: Columns) -> SourceProblem:
    extra = record.get("extra_info")
    split = extra.get("split") if isinstance(extra, Mapping) else record.get("split")
    held_out = benchmark_of(source.name, split if isinstance(split, str) else "")
    return parse_problem(record, set_name(source.name), source.name, held_out, columns)


def _first(record: Record, columns: tuple[str, ...]) -> str:
    for column in columns:
        value = look_up(record, column)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return ""


def _document(source: Source, record: Record, max_chars: int, columns: Columns) -> Document:
    column = next((name for name in columns["text"] if look_up(record, name) not in (None, ABSENT)), None)
    if column is None:
        raise BrokenInput("missing-column", f"none of {', '.join(columns['text'])}")
    value = look_up(record, column)
    text = _prose(value)
    if text is None:
        raise BrokenInput("retyped-column", f"{column} is {type(value).__name__}")
    if not text.strip():
        raise BrokenInput("no-prose", f"{column} is blank")
    if len(text) > max_chars:
        raise BrokenInput("gigantic", text)
    native_id = _first(record, columns["id"]) or stable_id(text)
    title = _first(record, columns["title"]) or preview(text)[:80]
    return Document(
        TEXT.name, f"{set_name(source.name)}:{native_id}", "", title, text, source.name,
        license=_first(record, ("license", "licence")),
    )  # fmt: skip


_READERS: dict[str, Callable[[Source, Record, int, Columns], Row]] = {
    "trace": _trace,
    "problem": _problem,
    "text": _document,
}
