"""A look at somebody's text before anything is built: what is kept of the first rows, and what is not."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.manifest import RowCounts
from rpt_core.corpus.ingest import as_record, how_of, tables_of
from rpt_core.corpus.ingest_shards import cut, shard_rows
from rpt_core.corpus.ledger import Balance
from rpt_core.corpus.prepare import prepare
from rpt_core.corpus.readers import describe, find_sources, reader_of
from rpt_core.corpus.rows import Document, Dropped, Row, SourceProblem, Trace, preview
from rpt_core.corpus.tables import TableWriter, read_rows
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe
from rpt_core.sample.files import write_sample

MOST_ROWS = 1000
"""Rows that a look reads: seconds of work."""
LEAST_OF_A_SHARD = 20
"""Rows of every part of the data, however many there are."""
TABLES = {Document: "documents", SourceProblem: "problems", Trace: "traces", Dropped: "dropped"}


@dataclass(frozen=True, slots=True)
class Example:
    """One row, for a reader."""

    title: str
    text: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class Looked:
    """What one stage did with the rows of a look."""

    stage: str
    found: str
    """What there is; empty of a stage that reads what the one before left."""
    is_part: bool
    """Whether there is more than was read."""
    rows: RowCounts
    kept: tuple[Example, ...]
    dropped: dict[str, tuple[Example, ...]]
    """By reason."""


def look(
    ingest: IngestRecipe, prepare_recipe: PrepareRecipe | None, folder: Path, most: int, examples: int
) -> Iterator[Looked]:
    """Read the first rows of the data, then clean them as a corpus is cleaned; nothing outlives the folder.

    Duplicates and leaks are looked for among these rows alone, so a whole run may drop more.

    Args:
        ingest: Its data must lie on this machine.
        prepare_recipe: How the rows are cleaned; None to read them alone.
        folder: For tables, to be thrown away by the caller.
        most: Rows to read.
        examples: Shown of everything.

    Raises:
        SourceError: there is no data, or not one row was kept.
    """
    documents = folder / "documents"
    read = _read(ingest, documents, folder, most)
    yield Looked(*read, _kept(documents, examples), _dropped(documents, examples))
    if prepare_recipe is None or not read[3].kept:
        return
    build = LocalBuild({"documents": documents}, folder / "corpus", folder / "scratch")
    outcome = prepare(prepare_recipe, build)
    kept, dropped = _kept(build.out, examples), _dropped(build.out, examples)
    yield Looked(prepare_recipe.stage, "", read[2], outcome.rows, kept, dropped)


def _read(recipe: IngestRecipe, out: Path, scratch: Path, most: int) -> tuple[str, str, bool, RowCounts]:
    """The first rows of every part of the data, as tables."""
    data = write_sample(recipe.sample, scratch / "world") if recipe.sample else Path(recipe.data)
    sources = find_sources(data)
    how = how_of(recipe)
    shards = list(cut(source for source in sources if not reader_of(source).papers))
    of_shard = max(LEAST_OF_A_SHARD, most // max(len(shards), 1))
    out.mkdir(parents=True)
    balance, is_part, num = Balance(), False, 0
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(TableWriter(out / f"{name}.parquet", schema))
            for name, schema in tables_of(recipe).items()
        }
        for shard in shards:
            rows = shard_rows(how, shard)
            for row in islice(rows, min(of_shard, most - num)):
                num += 1
                balance.count(*_place(row))
                is_benchmark = isinstance(row, SourceProblem) and row.benchmark
                writers["benchmarks" if is_benchmark else TABLES[type(row)]].add(as_record(row))
            is_part = is_part or next(rows, None) is not None
    return recipe.stage, describe(sources), is_part, balance.counts()


def _place(row: Row) -> tuple[str, str | None]:
    """Whose balance a row belongs to, and why it was dropped."""
    if isinstance(row, Trace):
        return "traces", None
    return row.source, row.reason if isinstance(row, Dropped) else None


def _kept(folder: Path, examples: int) -> tuple[Example, ...]:
    """The first documents, and the first problems where there is none."""
    for table, field in (("documents", "text"), ("problems", "problem")):
        rows = islice(read_rows(folder / f"{table}.parquet"), examples)
        found = [
            Example(row.get("title") or row.get("problem_id") or "", preview(row[field]), row["origin"])
            for row in rows
        ]
        if found:
            return tuple(found)
    return ()


def _dropped(folder: Path, examples: int) -> dict[str, tuple[Example, ...]]:
    found: dict[str, list[Example]] = defaultdict(list)
    for row in read_rows(folder / "dropped.parquet"):
        if len(found[row["reason"]]) < examples:
            title = row["title"] or row["native_id"] or row["origin"]
            found[row["reason"]].append(Example(title, row["preview"], row["origin"]))
    return {reason: tuple(rows) for reason, rows in found.items()}
