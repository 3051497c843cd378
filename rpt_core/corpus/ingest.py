"""The ingest stage: read every source once, write what it holds and what was dropped."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path

import pyarrow as pa

from rpt_core.artifacts.build import Build
from rpt_core.artifacts.manifest import Outcome
from rpt_core.corpus.arxiv.metadata import Catalogue, Paper
from rpt_core.corpus.card.statistics import Lengths
from rpt_core.corpus.card.write import write_reading_card
from rpt_core.corpus.clean.pii import mask
from rpt_core.corpus.files.datafiles import ALL_COLUMNS
from rpt_core.corpus.files.parts import How
from rpt_core.corpus.files.problems import with_columns
from rpt_core.corpus.files.sources import Source
from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.corpus.ingest_shards import cut, read_shard, shard_rows
from rpt_core.corpus.ledger import Balance
from rpt_core.corpus.readers import describe, find_sources, reader_of
from rpt_core.corpus.rows import Document, Dropped, Row, SourceProblem, Trace, encodable, preview
from rpt_core.corpus.tables import BENCHMARKS, BOXED, DOCUMENTS, DROPPED, PROBLEMS, TRACES, TableWriter
from rpt_core.errors import SourceError, Stopped
from rpt_core.recipes.corpus import IngestRecipe
from rpt_core.sample.files import write_sample

FILES = {
    "documents": DOCUMENTS,
    "problems": PROBLEMS,
    "benchmarks": BENCHMARKS,
    "traces": TRACES,
    "dropped": DROPPED,
}


def ingest(recipe: IngestRecipe, build: Build) -> Outcome:
    """Read dumps, e-prints, problem sets, plain text and traces into tables.

    Writes ``documents``, ``problems``, ``benchmarks`` (items of known test sets, which nothing trains on),
    ``traces`` and ``dropped`` as Parquet, and a card. Sources are read in shards by as many processes as the
    placement gives; of each process some megabytes of rows are held, and of each table one row group.

    Raises:
        SourceError: ``data`` does not exist or holds nothing that can be read.
        Stopped: somebody asked the stage to stop; it keeps no state and starts again.
    """
    with ExitStack() as stack:
        data = write_sample(recipe.sample, build.scratch / "world") if recipe.sample else Path(recipe.data)
        sources = find_sources(data)
        build.progress(0, 1, f"found {describe(sources)}")
        kinds, balance, lengths = Counter[str](), Balance(), defaultdict[str, Lengths](Lengths)
        build.scratch.mkdir(parents=True, exist_ok=True)
        catalogue = stack.enter_context(Catalogue(build.scratch / "papers.sqlite"))
        writers = {
            name: stack.enter_context(TableWriter(build.out / f"{name}.parquet", schema))
            for name, schema in tables_of(recipe).items()
        }
        for read in _rows(sources, recipe, build, catalogue):
            row = catalogue.described(read) if isinstance(read, Document) else read
            table = "benchmarks" if isinstance(row, SourceProblem) and row.benchmark else _TABLE[type(row)]
            writers[table].add(as_record(row))
            kinds[table] += 1
            if isinstance(row, Document):
                lengths[row.source].add(len(row.text))
            source = "traces" if isinstance(row, Trace) else row.source
            balance.count(source, row.reason if isinstance(row, Dropped) else None)
    counts = balance.counts()
    if not counts.kept:
        raise SourceError(
            f"data={data}: {describe(sources)}, but not one document, problem or trace could be read "
            f"(reasons: {counts.dropped}). Put .txt, .md, .jsonl, .parquet, MediaWiki dumps or e-prints "
            f"there."
        )
    found = dict(sorted(kinds.items()))
    write_reading_card(build.out, counts, lengths, found, describe(sources))
    return Outcome(rows=counts, summary={"found": describe(sources), **found})


def _rows(sources: list[Source], recipe: IngestRecipe, build: Build, catalogue: Catalogue) -> Iterator[Row]:
    """The rows of all sources; what describes papers is read before the papers."""
    how = how_of(recipe)
    total = float(sum(source.num_bytes for source in sources)) or 1.0
    done = 0
    for source in sources:
        if papers := reader_of(source).papers:
            taken = _take_papers(source, papers(source.path), catalogue)
            yield from _watched(map(encodable, taken), build, source.name)
            done += source.num_bytes
            build.progress(done, total, source.name)
    shards = cut(source for source in sources if not reader_of(source).papers)
    for answer in build.map(partial(read_shard, how), shards):
        yield from _watched(answer.rows, build, answer.name)
        if answer.rest:
            rest = islice(shard_rows(how, answer.rest), len(answer.rows), None)
            yield from _watched(rest, build, answer.name)
        done += answer.num_bytes
        build.progress(done, total, answer.name)


def _watched(rows: Iterable[Row], build: Build, name: str) -> Iterator[Row]:
    """The rows, unless somebody asks the stage to stop."""
    for number, row in enumerate(rows):
        if number % 500 == 0 and build.stopping():
            raise Stopped(f"stopped while reading {name}; rerun to read from the start.")
        yield row


def _take_papers(
    source: Source, papers: Iterator[Paper | BrokenInput], catalogue: Catalogue
) -> Iterator[Row]:
    """Take a metadata file into the catalogue: one dropped row for the file, one for every broken line."""
    before = catalogue.num_papers
    while batch := list(islice(papers, 10_000)):
        catalogue.add(paper for paper in batch if isinstance(paper, Paper))
        for broken in batch:
            if isinstance(broken, BrokenInput):
                yield Dropped(
                    "arxiv", source.name, broken.reason, source.name, preview=preview(broken.detail)
                )
    shown = f"describes {catalogue.num_papers - before} papers"
    yield Dropped("arxiv", source.name, "companion-file", source.name, preview=shown)


_TABLE: dict[type, str] = {
    Document: "documents",
    SourceProblem: "problems",
    Trace: "traces",
    Dropped: "dropped",
}


def how_of(recipe: IngestRecipe) -> How:
    """What of the recipe says how sources are read."""
    columns = with_columns(ALL_COLUMNS, recipe.columns)
    return How(recipe.max_document_chars, columns, recipe.problem_share, recipe.calculator)


def tables_of(recipe: IngestRecipe) -> dict[str, pa.Schema]:
    """The tables written, by name; traces of a teacher that errs say what they conclude."""
    errs = recipe.calculator is not None or (recipe.sample is not None and recipe.sample.second is not None)
    return {**FILES, "traces": TRACES.append(BOXED)} if errs else FILES


def as_record(row: Row) -> dict[str, object]:
    """The row under its table's column names."""
    record = {name: getattr(row, name) for name in FILES[_TABLE[type(row)]].names}
    match row:
        case Trace():
            record["boxed"] = row.boxed
        case SourceProblem():
            record["benchmark"] = row.benchmark
        case Dropped():
            record["preview"] = mask(row.preview, phones=True)[0]
    return record
