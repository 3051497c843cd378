"""The sources cut into shards, and what is done to one shard, in whatever process.

A shard is a run of streams of a multistream dump, some pages of another dump, some e-prints of a bulk file,
or some whole files. Its rows are a function of it and of nothing else; together the shards have the rows of
all sources, in order. Only the ingest stage, which gives out shards and takes their rows, knows of all.

A process hands rows back in one answer of bounded size. What would be longer (a large data file, something
that unpacks to a thousand times its size), and what a process cannot see because it runs on another machine,
it hands back as a shard, and the stage reads it itself, row by row.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from rpt_core.corpus.arxiv.eprints import Member, is_chunk, member_rows, read_members
from rpt_core.corpus.batches import by_weight
from rpt_core.corpus.files.patience import patient
from rpt_core.corpus.files.problems import Columns
from rpt_core.corpus.files.sources import Form, Source
from rpt_core.corpus.files.streams import Broken, Counted, decompressed, file_chunks
from rpt_core.corpus.readers import read_source
from rpt_core.corpus.reasons import known
from rpt_core.corpus.rows import Dropped, Row, encodable, num_chars
from rpt_core.corpus.wiki.dump import dropped, open_dump, page_rows
from rpt_core.corpus.wiki.multistream import Multistream, Run, index_name, open_multistream, read_run
from rpt_core.corpus.wiki.names import SiteNames

FILES_BYTES = 1 << 20
"""Whole files in one shard, as they lie on the disk: half a second of work when they are e-prints."""
PAGES_BYTES = 4 << 20
"""Pages in one shard that were cut out of a dump: about a second of work."""
ANSWER_CHARS = 32 << 20
"""Text in one answer, but for its last row: the stage holds at most two answers of every process."""
ROW_CHARS = 500
"""What a row weighs beside its texts."""
_DATA: frozenset[Form] = frozenset({"jsonl", "json", "parquet", "csv"})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class How:
    """What of the recipe says how sources are read."""

    max_chars: int
    columns: Columns


@dataclass(frozen=True, slots=True)
class Files:
    """Whole files."""

    sources: tuple[Source, ...]

    def rows(self, how: How) -> Iterator[Row]:
        """The rows of each."""
        for source in self.sources:
            yield from read_source(source, how.max_chars, how.columns)

    @property
    def files(self) -> tuple[Source, ...]:
        """What is read."""
        return self.sources


@dataclass(frozen=True, slots=True)
class Streams:
    """A run of streams of a multistream dump."""

    source: Source
    site: SiteNames
    run: Run

    def rows(self, how: How) -> Iterator[Row]:
        """A row for every page that begins in these streams, and for every break in them."""
        found = read_run(self.source.path, self.run)
        pieces = (dropped(self.source, piece) if isinstance(piece, Broken) else piece for piece in found)
        return page_rows(self.source, self.site, pieces, how.max_chars)

    @property
    def files(self) -> tuple[Source, ...]:
        """The dump."""
        return (self.source,)


@dataclass(frozen=True, slots=True)
class Pages:
    """Pages of a dump, already cut out of it."""

    source: Source
    site: SiteNames
    pieces: tuple[bytes | Dropped, ...]

    def rows(self, how: How) -> Iterator[Row]:
        """A row for every page."""
        return page_rows(self.source, self.site, self.pieces, how.max_chars)

    @property
    def files(self) -> tuple[Source, ...]:
        """None."""
        return ()


@dataclass(frozen=True, slots=True)
class Eprints:
    """E-prints of a bulk file, already taken out of it."""

    source: Source
    members: tuple[Member, ...]

    def rows(self, how: How) -> Iterator[Row]:
        """The documents of each."""
        for member in self.members:
            yield from member_rows(self.source, member, how.max_chars)

    @property
    def files(self) -> tuple[Source, ...]:
        """None."""
        return ()


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of the sources that is read at once."""

    name: str
    """Of its last source."""
    num_bytes: int
    """How many bytes of files it takes the stage forward."""
    part: Files | Streams | Pages | Eprints
    fits: bool = True
    """Whether one answer is likely to hold its rows."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of a shard, or the first of them."""

    name: str
    num_bytes: int
    rows: list[Row]
    rest: Shard | None
    """The shard, when these are not all of its rows."""


def cut(sources: Iterable[Source]) -> Iterator[Shard]:
    """All sources as shards, in order; small ones share a shard, large ones have many."""
    sources, dumps = _with_indexes(sources)
    small: list[Source] = []
    for source in sources:
        shards = _runs(source, dumps[source.name]) if source.name in dumps else _shards_of(source)
        if shards is None:
            small.append(source)
        else:
            yield from _together(small)
            yield from shards
            small = []
    yield from _together(small)


def _with_indexes(sources: Iterable[Source]) -> tuple[list[Source], dict[str, Multistream]]:
    """The sources, and the dumps among them that an index opens; one that does not fit is refused as such."""
    found = {source.name: source for source in sources}
    companions = {
        name.removesuffix(".bz2"): name
        for name, source in found.items()
        if source.form == "refused" and source.reason == "companion-file"
    }
    dumps: dict[str, Multistream] = {}
    for name, source in list(found.items()):
        index = companions.get(index_name(name)) if source.form == "mediawiki" else None
        if index is None:
            continue
        if opened := open_multistream(source, found[index]):
            dumps[name] = opened
        else:
            found[index] = replace(found[index], reason=known("unfit-index"))
    return list(found.values()), dumps


def _together(small: list[Source]) -> Iterator[Shard]:
    for batch in by_weight(small, lambda source: source.num_bytes, FILES_BYTES):
        yield Shard(batch[-1].name, sum(source.num_bytes for source in batch), Files(tuple(batch)))


def _shards_of(source: Source) -> Iterator[Shard] | None:
    """The shards of one source; None when it is to be read whole."""
    if source.num_bytes <= FILES_BYTES:
        return None
    if source.form == "mediawiki":
        return _pages(source)
    if source.form in _DATA:
        return iter((Shard(source.name, source.num_bytes, Files((source,)), fits=False),))
    return _eprints(source) if source.form == "tar" and is_chunk(source) else None


def _runs(source: Source, dump: Multistream) -> Iterator[Shard]:
    site = SiteNames.parse(dump.header)
    for run in dump.runs():
        yield Shard(source.name, run.num_bytes, Streams(source, site, run))


def _pages(source: Source) -> Iterator[Shard]:
    """Of a dump that only one process can unpack: it cuts the pages, which is the lesser work."""
    file = Counted(file_chunks(source.path))
    site, pieces = open_dump(source, decompressed(file))
    for batch, num_bytes in _with_progress(by_weight(pieces, _size, PAGES_BYTES), file):
        yield Shard(source.name, num_bytes, Pages(source, site, tuple(batch)))


def _eprints(source: Source) -> Iterator[Shard]:
    file = Counted(file_chunks(source.path))
    members = read_members(source, decompressed(file))
    batches = by_weight(members, lambda member: _size(member[1]), FILES_BYTES)
    for batch, num_bytes in _with_progress(batches, file):
        yield Shard(source.name, num_bytes, Eprints(source, tuple(batch)))


def _size(piece: bytes | Dropped) -> int:
    return len(piece) if isinstance(piece, bytes) else 0


def _with_progress(batches: Iterator[list[T]], file: Counted) -> Iterator[tuple[list[T], int]]:
    """Every batch, and how many bytes of the file were read for it."""
    told = 0
    for batch in batches:
        yield batch, file.num_bytes - told
        told = file.num_bytes


def read_shard(how: How, shard: Shard) -> Answer:
    """The rows of a shard, as many as one answer holds."""
    rows: list[Row] = []
    if not (shard.fits and all(map(_lies_here, shard.part.files))):
        return Answer(shard.name, shard.num_bytes, rows, shard)
    held = 0
    for row in shard_rows(how, shard):
        if held > ANSWER_CHARS:
            return Answer(shard.name, shard.num_bytes, rows, shard)
        rows.append(row)
        held += ROW_CHARS + num_chars(row)
    return Answer(shard.name, shard.num_bytes, rows, None)


def _lies_here(source: Source) -> bool:
    """Whether this process sees the file that the stage found."""
    if source.form == "refused":
        return True
    try:
        return source.path.stat().st_size == source.num_bytes
    except OSError:
        return False


def shard_rows(how: How, shard: Shard) -> Iterator[Row]:
    """The rows of a shard one by one, all of them encodable; an error of ours says where it happened."""
    try:
        yield from patient(map(encodable, shard.part.rows(how)), shard.name)
    except Exception as error:
        error.add_note(f"while reading {shard.name}")
        raise
