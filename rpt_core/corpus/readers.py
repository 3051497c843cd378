"""Every kind of input file as one row: how it is told, read and cut, and where its documents come from.

A new source is a file with its functions and a row in ``READERS``.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rpt_core.corpus.arxiv import eprints, metadata
from rpt_core.corpus.files import datafiles, plain
from rpt_core.corpus.files.archives import read_tree
from rpt_core.corpus.files.calculator import with_traces
from rpt_core.corpus.files.parts import How, Shard
from rpt_core.corpus.files.problems import set_name
from rpt_core.corpus.files.records import csv_tree
from rpt_core.corpus.files.sources import REFUSED, Head, Source, begins, files_under, named, read_head
from rpt_core.corpus.files.streams import BrokenInput, open_chunks
from rpt_core.corpus.latex.tree import WANTED
from rpt_core.corpus.origins import Origin
from rpt_core.corpus.reasons import known
from rpt_core.corpus.rows import Dropped, Row
from rpt_core.corpus.stackexchange import STACKEXCHANGE, is_posts, post_shards, read_posts
from rpt_core.corpus.wiki import dump
from rpt_core.corpus.wiki.parts import page_shards


@dataclass(frozen=True, slots=True)
class Reader:
    """One kind of input file."""

    form: str
    """Its short name."""
    called: str
    """One of it, in a sentence to the user."""
    knows: Callable[[Head], bool]
    """Whether a file is of this kind. Readers are asked in order; the first that knows it reads it."""
    read: Callable[[Source, How], Iterator[Row]]
    """Every row of it. What cannot be read is a dropped row; bad input never raises."""
    shards: Callable[[Source], Iterator[Shard] | None] | None = None
    """Cuts a large file so that several processes can read it; None where it is read whole."""
    fits: bool = True
    """Whether one process's answer holds a large file's rows; if not, the stage reads it row by row."""
    papers: Callable[[Path], Iterator[metadata.Paper | BrokenInput]] | None = None
    """Of metadata: the papers it describes, taken in before any paper is read."""
    origins: tuple[Origin, ...] = ()
    """What its documents may be; problems and traces are of the set that the file is named by."""


def _read_archive(source: Source, how: How) -> Iterator[Row]:
    """A paper's tree, a bulk file of many papers, or a folder of CSV files."""
    if eprints.is_chunk(source):
        for member in eprints.read_members(source, open_chunks(source.path)):
            yield from eprints.member_rows(source, member, how)
        return
    tree = read_tree(open_chunks(source.path), (*WANTED, ".csv"))
    tables = {name: data for name, data in tree.files.items() if name.lower().endswith(".csv")}
    if tables and len(tables) == len(tree.files):
        for broken in tree.refused:
            yield Dropped(
                set_name(source.name), source.name, broken.reason, source.name, preview=broken.detail[:200]
            )
        rows = datafiles.rows_of(source, csv_tree(tree), how.max_chars, how.columns)
        yield from with_traces(rows, how)
        return
    yield from eprints.read_papers(source, tree, how.max_chars)


def _unread(source: Source, how: How) -> Iterator[Row]:
    yield Dropped(set_name(source.name), source.name, source.reason or "companion-file", source.name)


_data = partial(Reader, read=datafiles.read_data, fits=False, origins=(plain.TEXT,))
_PAPERS = (eprints.ARXIV, eprints.LATEX)
_ARCHIVED = (*_PAPERS, plain.TEXT)
_METADATA = "arXiv metadata file"
READERS = (
    _data("parquet", "Parquet file", begins(b"PAR1")),
    Reader("pdf", "PDF file", eprints.is_pdf, eprints.read_pdf, origins=_PAPERS),
    Reader("tar", "archive", eprints.is_tar, _read_archive, eprints.eprint_shards, origins=_ARCHIVED),
    Reader(dump.FORM, "MediaWiki dump", dump.is_dump, dump.read_dump, page_shards, origins=(dump.WIKIPEDIA,)),
    Reader("posts", "Stack Exchange dump", is_posts, read_posts, post_shards, origins=(STACKEXCHANGE,)),
    Reader("arxiv-oai", _METADATA, metadata.is_oai, _unread, papers=metadata.oai_papers),
    Reader("arxiv-atom", _METADATA, metadata.is_atom, _unread, papers=metadata.atom_papers),
    Reader("arxiv-jsonl", _METADATA, metadata.is_snapshot, _unread, papers=metadata.snapshot_papers),
    # From here on by name more than by content.
    _data("jsonl", "JSONL file", named(".jsonl", ".ndjson")),
    _data("json", "JSON file", named(".json")),
    _data("csv", "CSV file", named(".csv")),
    Reader("tex", "LaTeX file", eprints.is_tex, eprints.read_tex, origins=_PAPERS),
    Reader("markdown", "Markdown file", named(".md", ".markdown"), plain.read_text, origins=(plain.TEXT,)),
    Reader("text", "plain text file", plain.is_text, plain.read_text, origins=(plain.TEXT,)),
    Reader(REFUSED, "unread file", lambda head: True, _unread),
)
"""Asked in this order: what the bytes tell goes before what the name tells."""

_BY_FORM = {reader.form: reader for reader in READERS}
_ORIGINS = {origin.name: origin for reader in READERS for origin in reader.origins}
_LAST = 1 << 30
"""Priority of documents made of problem sets."""


def reader_of(source: Source) -> Reader:
    """The row of a source's form."""
    return _BY_FORM[source.form]


def origin_of(name: str) -> Origin:
    """What the prepare stage asks of documents with this ``source``; of a problem set's, the usual."""
    return _ORIGINS.get(name) or Origin(name, priority=_LAST)


def sniff(head: Head) -> tuple[str, str]:
    """The form of a file; for ``refused``, the reason too.

    Example:
        >>> sniff(Head(b'{"text": "x"}', "rows.jsonl"))
        ('jsonl', '')
        >>> sniff(Head(b"", "nothing.txt"))
        ('refused', 'empty-file')
    """
    if head.refusal:
        return REFUSED, known(head.refusal)
    form = next(reader.form for reader in READERS if reader.knows(head))
    return form, known("unrecognised-format") if form == REFUSED else ""


def find_sources(data: Path) -> list[Source]:
    """Every file under ``data`` (or ``data`` itself) as a source, sorted by name, hidden ones left out.

    Raises:
        SourceError: there is nothing at this path, or nothing in it.
    """
    return [_classified(path, name) for path, name in files_under(data)]


def _classified(path: Path, name: str) -> Source:
    if not path.is_file():
        return Source(path, name, REFUSED, 0, known("not-a-regular-file"))
    size = path.stat().st_size
    try:
        packed, head = read_head(path)
    except BrokenInput as broken:
        return Source(path, name, REFUSED, size, known(broken.reason))
    form, reason = sniff(head)
    return Source(path, name, form, size, reason, packed)


def read_source(source: Source, how: How) -> Iterator[Row]:
    """Every document, problem and trace of a source, and every part of it that could not be read."""
    yield from reader_of(source).read(source, how)


def describe(sources: Iterable[Source]) -> str:
    """One line saying what was found, for the user.

    Example:
        >>> describe([Source(Path("a"), "a", "text", 10), Source(Path("b"), "b", "text", 10)])
        '2 plain text files (20 bytes)'
    """
    sources = list(sources)
    counts = Counter(reader_of(source).called for source in sources)
    parts = [f"{num} {what}{'' if num == 1 else 's'}" for what, num in sorted(counts.items())]
    return f"{', '.join(parts)} ({sum(source.num_bytes for source in sources):,} bytes)"
