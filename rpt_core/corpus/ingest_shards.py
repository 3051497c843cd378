"""The sources cut into shards, and what is done to one shard, in whatever process.

A shard is a run of streams of a multistream dump, some pages of another dump, some e-prints of a bulk file,
or some whole files. Only the ingest stage, which gives out shards and takes their rows, knows of all.

A process hands rows back in one answer of bounded size. What would be longer (a large data file, something
that unpacks to a thousand times its size), and what a process cannot see because it runs on another machine,
it hands back as a shard, and the stage reads it itself, row by row.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rpt_core.corpus.batches import by_weight
from rpt_core.corpus.files import parts
from rpt_core.corpus.files.parts import How, Shard, SourcePart
from rpt_core.corpus.files.sources import REFUSED, Source
from rpt_core.corpus.readers import read_source, reader_of
from rpt_core.corpus.rows import Row, encodable, num_chars
from rpt_core.corpus.wiki.parts import stream_shards, with_indexes

ANSWER_CHARS = 32 << 20
"""Text in one answer, but for its last row: the stage holds at most two answers of every process."""
ROW_CHARS = 500
"""What a row weighs beside its texts."""


@dataclass(frozen=True, slots=True)
class ShardRows:
    """The rows of a shard, or the first of them."""

    name: str
    num_bytes: int
    rows: list[Row]
    rest: Shard | None
    """The shard, when these are not all of its rows."""


def cut(sources: Iterable[Source]) -> Iterator[Shard]:
    """All sources as shards, in order; small ones share a shard, large ones have many."""
    sources, dumps = with_indexes(sources)
    small: list[Source] = []
    for source in sources:
        known = dumps.get(source.name)
        shards = stream_shards(source, known) if known else _shards_of(source)
        if shards is None:
            small.append(source)
        else:
            yield from _together(small)
            yield from shards
            small = []
    yield from _together(small)


def _together(small: list[Source]) -> Iterator[Shard]:
    for batch in by_weight(small, lambda source: source.num_bytes, parts.FILES_BYTES):
        yield _files(tuple(batch))


def _files(sources: tuple[Source, ...], fits: bool = True) -> Shard:
    num_bytes = sum(source.num_bytes for source in sources)
    return Shard(sources[-1].name, num_bytes, SourcePart(sources[-1], sources, read_whole, sources), fits)


def read_whole(_last: Source, source: Source, how: How) -> Iterator[Row]:
    """The rows of one of the files in a shard."""
    return read_source(source, how)


def _shards_of(source: Source) -> Iterator[Shard] | None:
    """The shards of one source; None when it is to be read whole."""
    reader = reader_of(source)
    if source.num_bytes <= parts.FILES_BYTES:
        return None
    if not reader.fits:
        return iter((_files((source,), fits=False),))
    return reader.shards(source) if reader.shards else None


def read_shard(how: How, shard: Shard) -> ShardRows:
    """The rows of a shard, as many as one answer holds."""
    rows: list[Row] = []
    if not (shard.fits and all(map(_lies_here, shard.part.files))):
        return ShardRows(shard.name, shard.num_bytes, rows, shard)
    held = 0
    for row in shard_rows(how, shard):
        if held > ANSWER_CHARS:
            return ShardRows(shard.name, shard.num_bytes, rows, shard)
        rows.append(row)
        held += ROW_CHARS + num_chars(row)
    return ShardRows(shard.name, shard.num_bytes, rows, None)


def _lies_here(source: Source) -> bool:
    """Whether this process sees the file that the stage found."""
    if source.form == REFUSED:
        return True
    try:
        return source.path.stat().st_size == source.num_bytes
    except OSError:
        return False


def shard_rows(how: How, shard: Shard) -> Iterator[Row]:
    """The rows of a shard one by one, all of them encodable; an error of ours says where it happened."""
    try:
        yield from map(encodable, shard.part.rows(how))
    except Exception as error:
        error.add_note(f"while reading {shard.name}")
        raise
