"""Data files whose rows are documents, problems or supervised traces; told apart by their columns."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rpt_core.corpus.problems import benchmark_of, is_problem, parse_problem, set_name
from rpt_core.corpus.records import Record, read_records
from rpt_core.corpus.rows import Document, Dropped, Problem, Row, Trace, preview, stable_id
from rpt_core.corpus.sources import Source
from rpt_core.corpus.streams import Broken

TEXT_COLUMNS = ("text", "content", "document", "article", "markdown")
TITLE_COLUMNS = ("title", "name", "headline", "url")
ID_COLUMNS = ("id", "doc_id", "_id", "uuid", "url")
TRACE_COLUMNS = ("title", "before", "thought", "answer")


def read_data(source: Source, max_chars: int) -> Iterator[Row]:
    """The rows of one data file."""
    yield from rows_of(source, read_records(source), max_chars)


def rows_of(source: Source, records: Iterable[Record | Broken], max_chars: int) -> Iterator[Row]:
    """Turn records into rows; a file whose first row has no known shape is one dropped row, not thousands."""
    kind = ""
    for number, record in enumerate(records):
        if isinstance(record, Broken):
            yield Dropped(
                set_name(source.name),
                source.name,
                record.reason,
                f"{source.name}#{number}",
                preview=preview(record.detail),
            )
            continue
        kind = kind or _kind(record)
        if not kind:
            shown = f"columns: {', '.join(map(str, list(record)[:20]))}"
            yield Dropped(
                set_name(source.name),
                source.name,
                "unrecognised-columns",
                source.name,
                preview=preview(shown),
            )
            return
        try:
            yield _READERS[kind](source, record, number, max_chars)
        except Broken as broken:
            name = kind if kind == "text" else set_name(source.name)
            yield Dropped(
                name, source.name, broken.reason, f"{source.name}#{number}", preview=preview(broken.detail)
            )


def _kind(record: Mapping[str, Any]) -> str:
    if all(isinstance(record.get(column), str) for column in TRACE_COLUMNS):
        return "trace"
    if is_problem(record):
        return "problem"
    return "text" if any(isinstance(record.get(column), str) for column in TEXT_COLUMNS) else ""


def _trace(source: Source, record: Record, number: int, max_chars: int) -> Trace:
    values = {column: record.get(column) for column in (*TRACE_COLUMNS, "kind")}
    for column in TRACE_COLUMNS:
        if not isinstance(values[column], str):
            reason = "missing-column" if values[column] is None else "retyped-column"
            raise Broken(reason, f"{column}: {values[column]!r}")
    if not values["answer"] or not values["before"]:
        raise Broken("missing-column", "before or answer is empty")
    return Trace(
        str(values["title"]), str(values["before"]), str(values["thought"]), str(values["answer"]),
        str(values["kind"] or ""), source.name,
    )  # fmt: skip


def _problem(source: Source, record: Record, number: int, max_chars: int) -> Problem:
    extra = record.get("extra_info")
    split = extra.get("split") if isinstance(extra, Mapping) else record.get("split")
    held_out = benchmark_of(source.name, split if isinstance(split, str) else "")
    return parse_problem(record, set_name(source.name), source.name, held_out)


def _first(record: Record, columns: tuple[str, ...]) -> str:
    for column in columns:
        value = record.get(column)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return ""


def _document(source: Source, record: Record, number: int, max_chars: int) -> Document:
    column = next((name for name in TEXT_COLUMNS if record.get(name) is not None), None)
    if column is None:
        raise Broken("missing-column", f"none of {', '.join(TEXT_COLUMNS)}")
    text = record[column]
    if not isinstance(text, str):
        raise Broken("retyped-column", f"{column} is {type(text).__name__}")
    if not text.strip():
        raise Broken("no-prose", f"{column} is blank")
    if len(text) > max_chars:
        raise Broken("gigantic", text)
    native_id = _first(record, ID_COLUMNS) or stable_id(text)
    title = _first(record, TITLE_COLUMNS) or preview(text)[:80]
    return Document(
        "text", f"{set_name(source.name)}:{native_id}", "", title, text, source.name,
        license=_first(record, ("license", "licence")),
    )  # fmt: skip


_READERS: dict[str, Callable[[Source, Record, int, int], Row]] = {
    "trace": _trace,
    "problem": _problem,
    "text": _document,
}
