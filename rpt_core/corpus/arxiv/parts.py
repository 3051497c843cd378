"""A bulk file of e-prints cut into shards."""

from collections.abc import Iterator
from dataclasses import dataclass

from rpt_core.corpus.arxiv.eprints import Member, is_chunk, member_rows, read_members
from rpt_core.corpus.batches import by_weight
from rpt_core.corpus.files import parts
from rpt_core.corpus.files.parts import How, Shard
from rpt_core.corpus.files.sources import Source
from rpt_core.corpus.files.streams import Counted, decompressed, file_chunks
from rpt_core.corpus.rows import Row


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


def eprint_shards(source: Source) -> Iterator[Shard] | None:
    """The e-prints of a bulk file in batches; None of any other archive, which is read whole."""
    return _shards(source) if is_chunk(source) else None


def _shards(source: Source) -> Iterator[Shard]:
    file = Counted(file_chunks(source.path))
    members = read_members(source, decompressed(file))
    batches = by_weight(members, lambda member: parts.num_bytes(member[1]), parts.FILES_BYTES)
    for batch, read_bytes in parts.with_progress(batches, file):
        yield Shard(source.name, read_bytes, Eprints(source, tuple(batch)))
