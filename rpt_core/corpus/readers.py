"""One function from a source to its rows, whatever its form."""

from collections.abc import Iterator

from rpt_core.corpus.arxiv.eprints import is_chunk, read_chunk, read_eprint, read_papers
from rpt_core.corpus.files.archives import read_tree
from rpt_core.corpus.files.datafiles import ALL_COLUMNS, read_data, rows_of
from rpt_core.corpus.files.plain import read_text
from rpt_core.corpus.files.problems import Columns, set_name
from rpt_core.corpus.files.records import csv_tree
from rpt_core.corpus.files.sources import METADATA, Source
from rpt_core.corpus.files.streams import open_chunks
from rpt_core.corpus.latex.tree import WANTED
from rpt_core.corpus.rows import Dropped, Row
from rpt_core.corpus.wiki.dump import read_dump


def read_source(source: Source, max_chars: int, columns: Columns = ALL_COLUMNS) -> Iterator[Row]:
    """Every document, problem and trace of a source, and every part of it that could not be read.

    Bad input never raises: it is a :class:`~rpt_core.corpus.rows.Dropped` row.

    Args:
        source: What :func:`~rpt_core.corpus.files.sources.find_sources` found.
        max_chars: Longer documents are dropped as ``gigantic``.
        columns: Where rows of data files keep what.
    """
    if source.form == "refused":
        yield Dropped(set_name(source.name), source.name, source.reason, source.name)
    elif source.form in METADATA:
        # ingest reads these before the papers they describe; alone they hold nothing
        yield Dropped("arxiv", source.name, "companion-file", source.name)
    elif source.form == "mediawiki":
        yield from read_dump(source, max_chars)
    elif source.form in ("tex", "pdf"):
        yield from read_eprint(source, max_chars)
    elif source.form == "tar":
        yield from _read_archive(source, max_chars, columns)
    elif source.form in ("text", "markdown"):
        yield from read_text(source, max_chars)
    else:
        yield from read_data(source, max_chars, columns)


def _read_archive(source: Source, max_chars: int, columns: Columns) -> Iterator[Row]:
    """A paper's tree, a bulk file of many papers, or a folder of CSV files."""
    if is_chunk(source):
        yield from read_chunk(source, max_chars)
        return
    tree = read_tree(open_chunks(source.path), (*WANTED, ".csv"))
    tables = {name: data for name, data in tree.files.items() if name.lower().endswith(".csv")}
    if tables and len(tables) == len(tree.files):
        for broken in tree.refused:
            yield Dropped(
                set_name(source.name), source.name, broken.reason, source.name, preview=broken.detail[:200]
            )
        yield from rows_of(source, csv_tree(tree), max_chars, columns)
        return
    yield from read_papers(source, tree, max_chars)
