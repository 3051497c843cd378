"""Shards: parts of the sources that are read at once, in whatever process.

The rows of a shard are a function of it and of nothing else; together the shards have the rows of all
sources, in order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from rpt_core.corpus.files.problems import Columns
from rpt_core.corpus.files.sources import Source
from rpt_core.corpus.files.streams import Counted
from rpt_core.corpus.rows import Dropped, Row

FILES_BYTES = 1 << 20
"""Whole files in one shard, as they lie on the disk: half a second of work when they are e-prints."""

T = TypeVar("T")


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
        ...

    def rows(self, how: How) -> Iterator[Row]:
        """Its rows, in order."""
        ...


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


def num_bytes(piece: bytes | Dropped) -> int:
    """Of a piece that was taken out of a file; what could not be has none."""
    return len(piece) if isinstance(piece, bytes) else 0


def with_progress(batches: Iterator[list[T]], file: Counted) -> Iterator[tuple[list[T], int]]:
    """Every batch, and how many bytes of the file were read for it."""
    told = 0
    for batch in batches:
        yield batch, file.num_bytes - told
        told = file.num_bytes
