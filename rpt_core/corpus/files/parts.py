"""Shards: parts of the sources that are read at once, in whatever process.

The rows of a shard are a function of it and of nothing else; together the shards have the rows of all
sources, in order.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rpt_core.corpus.files.patience import patient
from rpt_core.corpus.files.problems import Columns
from rpt_core.corpus.files.sources import Source
from rpt_core.corpus.files.streams import Counted
from rpt_core.corpus.rows import Dropped, Row
from rpt_core.recipes.corpus import CalculatorTeacher

FILES_BYTES = 1 << 20
"""Whole files in one shard, as they lie on the disk: half a second of work when they are e-prints."""


@dataclass(frozen=True, slots=True)
class How:
    """What of the recipe says how sources are read."""

    max_chars: int
    """Longer documents are dropped as ``gigantic``."""
    columns: Columns
    """Where rows of data files keep what."""
    problem_share: float = 1.0
    """Share of the problems that are read."""
    calculator: CalculatorTeacher | None = None
    """What makes traces of their calculator notes."""


T = TypeVar("T")
Read = Callable[[Source, T, How], Iterator[Row]]
"""The rows of one piece of a source."""


@dataclass(frozen=True, slots=True)
class SourcePart(Generic[T]):
    """Pieces of a source, and what reads each of them; it can be pickled."""

    source: Source
    pieces: tuple[T, ...]
    read: Read[T]
    files: tuple[Source, ...] = ()
    """What is read of the disk."""

    def rows(self, how: How) -> Iterator[Row]:
        """The rows of each piece; where one hangs, its file is named.

        Raises:
            SourceError: a piece gave no row in too much processor time.
        """
        for piece in self.pieces:
            name = piece.name if isinstance(piece, Source) else self.source.name
            yield from patient(self.read(self.source, piece, how), name)


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of the sources that is read at once."""

    name: str
    """Of its last source."""
    num_bytes: int
    """How many bytes of files it takes the stage forward."""
    part: SourcePart[Any]
    fits: bool = True
    """Whether one answer is likely to hold its rows."""


def shards_of(source: Source, batches: Iterator[list[T]], file: Counted, read: Read[T]) -> Iterator[Shard]:
    """A shard for every batch of pieces, with how many bytes of the file they were taken out of."""
    told = 0
    for batch in batches:
        yield Shard(source.name, file.num_bytes - told, SourcePart(source, tuple(batch), read))
        told = file.num_bytes


def num_bytes(piece: bytes | Dropped) -> int:
    """Of a piece that was taken out of a file; what could not be has none."""
    return len(piece) if isinstance(piece, bytes) else 0
