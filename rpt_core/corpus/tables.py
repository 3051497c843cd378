"""The corpus tables on disk: their columns, and writers that hold a bounded number of bytes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from rpt_core.errors import IntegrityError

ROW_GROUP_BYTES = 8 << 20
"""Text per row group: what a writer and a reader hold. A table of 20 GB has some 2,500."""
_BATCH_BYTES = 1 << 20
"""Text held as Python's objects before it becomes Arrow's, which take less."""
_BATCH_ROWS = 64
"""Rows read at once."""
ZSTD_LEVEL = 3
_META = {"rpt.schema": "1"}


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()), metadata=_META)


STRING, LARGE = pa.string(), pa.large_string()

DOCUMENTS = _schema(
    doc_id=STRING, source=STRING, native_id=STRING, revision=STRING, title=STRING, text=LARGE,
    categories=pa.list_(STRING), license=STRING, origin=STRING,
)  # fmt: skip
PROBLEMS = _schema(
    problem_id=STRING, source=STRING, problem=LARGE, solution=LARGE, answer=LARGE,
    difficulty=pa.float64(), domain=STRING, origin=STRING,
)  # fmt: skip
BENCHMARKS = PROBLEMS.append(pa.field("benchmark", STRING))
"""Items of known benchmarks: decontamination reads them, training never does."""
TRACES = _schema(title=STRING, before=LARGE, thought=LARGE, answer=LARGE, kind=STRING)
BOXED = pa.field("boxed", LARGE)
"""Of traces of a teacher that errs: what a thought concludes, with the gap before it."""
DROPPED = _schema(
    source=STRING, native_id=STRING, title=STRING, origin=STRING, reason=STRING, step=STRING, preview=STRING
)

CORPUS_DOCUMENTS = _schema(
    doc_id=STRING, source=STRING, title=STRING, text=LARGE, split=STRING, lang=STRING,
    lang_score=pa.float32(), native_id=STRING, revision=STRING, categories=pa.list_(STRING),
    license=STRING, origin=STRING, cluster=STRING, metrics=STRING, pii=STRING,
)  # fmt: skip
"""``metrics`` and ``pii`` are JSON objects: metric -> number, type -> count."""
CONTEXT_CHARS = pa.field("context_chars", pa.int32())
"""Of documents made of a problem and its solution: leading code points that are no targets."""
SEGMENTS = _schema(doc_id=STRING, ordinal=pa.int32(), start=pa.int32(), end=pa.int32())
CORPUS_PROBLEMS = PROBLEMS.append(pa.field("split", STRING)).append(pa.field("cluster", STRING))
CORPUS_TRACES = _schema(
    doc_id=STRING, char_offset=pa.int64(), thought=LARGE, answer=LARGE, kind=STRING, split=STRING
)
HITS = _schema(
    doc_id=STRING, kind=STRING, benchmark=STRING, item_id=STRING, num_shared=pa.int32(),
    coverage=pa.float32(), removed=pa.bool_(),
)  # fmt: skip
"""Which held-out items were met in which training rows, whether or not the row was removed."""


class TableWriter:
    """A Parquet file written row by row, one row group per ``ROW_GROUP_BYTES`` of text."""

    def __init__(self, path: Path, schema: pa.Schema, budget_bytes: int = ROW_GROUP_BYTES) -> None:
        self._writer = pq.ParquetWriter(path, schema, compression="zstd", compression_level=ZSTD_LEVEL)
        self._schema = schema
        self._budget = budget_bytes
        self._rows: list[Mapping[str, Any]] = []
        self._rows_bytes = 0
        self._batches: list[pa.RecordBatch] = []
        self._batches_bytes = 0
        self.num_rows = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Append one row; missing columns become null."""
        self._rows.append(row)
        self._rows_bytes += 64 + sum(len(value) for value in row.values() if isinstance(value, str))
        self.num_rows += 1
        if self._rows_bytes >= min(self._budget, _BATCH_BYTES):
            self._pack()
        if self._batches_bytes >= self._budget:
            self._flush()

    def _pack(self) -> None:
        self._batches.append(pa.RecordBatch.from_pylist(self._rows, schema=self._schema))
        self._batches_bytes += self._rows_bytes
        self._rows, self._rows_bytes = [], 0

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._batches, schema=self._schema)
        if len(table):
            self._writer.write_table(table, row_group_size=len(table))
        self._batches, self._batches_bytes = [], 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._pack()
            self._flush()
        self._writer.close()


def read_rows(path: Path, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Rows of a Parquet file as plain dicts, a page of one row group in memory at a time."""
    file = pq.ParquetFile(path, pre_buffer=False)
    for batch in file.iter_batches(_BATCH_ROWS, columns=columns, use_threads=False):
        yield from batch.to_pylist()


def columns_found(path: Path, shown: str) -> list[str]:
    """Columns of a table that lies in a folder of whatever origin.

    Args:
        path: Of the file.
        shown: What an error calls it.

    Raises:
        IntegrityError: it is damaged.
    """
    with _named(shown):
        return list(pq.read_schema(path).names)


def rows_found(path: Path, columns: list[str], shown: str) -> Iterator[dict[str, Any]]:
    """Its rows (:func:`read_rows`).

    Raises:
        IntegrityError: it is damaged, maybe only in its middle.
    """
    with _named(shown):
        yield from read_rows(path, columns)


@contextmanager
def _named(shown: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise IntegrityError(
            f"{shown} is a damaged table ({type(error).__name__}), so nothing can be said of what it holds. "
            "Make or copy it anew, or move it away."
        ) from None
