"""A MediaWiki dump cut into shards: runs of streams by its index, or pages that the stage cuts out."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from rpt_core.corpus.batches import by_weight
from rpt_core.corpus.files.parts import How, Shard, SourcePart, num_bytes, shards_of
from rpt_core.corpus.files.sources import REFUSED, Source
from rpt_core.corpus.files.streams import BrokenInput, Counted, decompressed, file_chunks
from rpt_core.corpus.rows import Row
from rpt_core.corpus.wiki.dump import FORM, dropped, open_dump, page_rows
from rpt_core.corpus.wiki.multistream import Multistream, Run, index_name, open_multistream, read_run
from rpt_core.corpus.wiki.names import SiteNames

PAGES_BYTES = 4 << 20
"""Pages in one shard that were cut out of a dump: about a second of work."""


def page_shards(source: Source) -> Iterator[Shard]:
    """Of a dump that only one process can unpack: it cuts the pages, which is the lesser work."""
    file = Counted(file_chunks(source.path))
    site, pieces = open_dump(source, decompressed(file))
    return shards_of(source, by_weight(pieces, num_bytes, PAGES_BYTES), file, partial(page_rows, site))


def stream_shards(source: Source, dump: Multistream) -> Iterator[Shard]:
    """Of a dump whose streams an index tells."""
    read = partial(run_rows, SiteNames.parse(dump.header))
    for run in dump.runs():
        yield Shard(source.name, run.num_bytes, SourcePart(source, (run,), read, files=(source,)))


def run_rows(site: SiteNames, source: Source, run: Run, how: How) -> Iterator[Row]:
    """A row for every page that begins in a run of streams, and for every break in them."""
    for piece in read_run(source.path, run):
        yield from page_rows(
            site, source, dropped(source, piece) if isinstance(piece, BrokenInput) else piece, how
        )


def with_indexes(sources: Iterable[Source]) -> tuple[list[Source], dict[str, Multistream]]:
    """The sources, and the dumps among them that an index opens; one that does not fit is refused as such."""
    found = {source.name: source for source in sources}
    companions = {
        name.removesuffix(".bz2"): name
        for name, source in found.items()
        if source.form == REFUSED and source.reason == "companion-file"
    }
    dumps: dict[str, Multistream] = {}
    for name, source in list(found.items()):
        index = companions.get(index_name(name)) if source.form == FORM else None
        if index is None:
            continue
        if opened := open_multistream(source, found[index]):
            dumps[name] = opened
        else:
            found[index] = replace(found[index], reason="unfit-index")
    return list(found.values()), dumps
