"""Shards: parts of the sources that are read at once, in whatever process.

The rows of a shard are a function of it and of nothing else; together the shards have the rows of all
sources, in order.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from rpt_core.corpus.files.problems import Columns
from rpt_core.corpus.files.sources import Source
from rpt_core.corpus.files.streams import Counted
from rpt_core.corpus.rows import Dropped, Row

FILES_BYTES = 1 << 20
"""Whole files in one shard, as they lie on the disk: half a second of work when they are e-prints."""

T = TypeVar("T")
Read = Callable[[Source, T, int], Iterator[Row]]
"""The rows of one piece of a source, of documents that are not longer than so many characters."""


@dataclass(frozen=True, slots=True)
class How:
    """What of the recipe says how sources are read."""

    max_chars: int
    """Longer documents are dropped as ``gigantic``."""
    columns: Columns
    """Where rows of data files keep what."""


class Part(Protocol):
    """What a shard holds; it can be pickled."""

    @property
    def files(self) -> tuple[Source, ...]:
        """What is read of the disk."""

    def rows(self, how: How) -> Iterator[Row]:
        """Its rows, in order."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of the sources that is read at once."""

    name: str
    """Of its last source."""
    num_bytes: int
    """How many bytes of files it takes the stage forward."""
    part: Part
    fits: bool = True
    """Whether one answer is likely to hold its rows."""


@dataclass(frozen=True, slots=True)
class Taken(Generic[T]):
    """Pieces that the stage has taken out of a file."""

    source: Source
    pieces: tuple[T, ...]
    read: Read[T]
    files: tuple[Source, ...] = ()

    def rows(self, how: How) -> Iterator[Row]:
        """The rows of each."""
        for piece in self.pieces:
            yield from self.read(self.source, piece, how.max_chars)


def shards_of(source: Source, batches: Iterator[list[T]], file: Counted, read: Read[T]) -> Iterator[Shard]:
    """A shard for every batch of pieces, and how many bytes of the file were read for it."""
    told = 0
    for batch in batches:
        yield Shard(source.name, file.num_bytes - told, Taken(source, tuple(batch), read))
        told = file.num_bytes


def num_bytes(piece: bytes | Dropped) -> int:
    """Of a piece that was taken out of a file; what could not be has none."""
    return len(piece) if isinstance(piece, bytes) else 0
