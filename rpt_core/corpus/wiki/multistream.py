"""Multistream dumps by their index: runs of streams that can be read apart and give what the whole gives.

Such a dump is one bzip2 stream after another, the site's header in the first, about a hundred pages in each
of the others, and beside it an index with a line ``offset:page id:title`` for every page. The index comes
from outside and may lie, so only its offsets are taken, and these only when a bzip2 stream begins at each.

Where streams begin says nothing of where pages do. A run therefore is all text from the first ``<page>`` that
begins in its own streams, wherever that tag ends, up to the first ``<page>`` that begins in a later run's: it
looks ahead for the rest of its last page and leaves out what stands before its first. So no page is lost or
read twice wherever the cuts lie.
"""

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from rpt_core.corpus.files.sources import Source
from rpt_core.corpus.files.streams import BrokenInput, decompressed, file_chunks, is_wide, lines, open_chunks
from rpt_core.corpus.wiki.dump import OPEN, cut_pages, read_header

RUN_BYTES = 2 << 20
"""Packed bytes of one run: some 7 MB of text and a good second of work, of which looking ahead is about one
hundredth (at half the size more than two). Longer runs leave more processes idle at a dump's end and hold
more rows."""
STREAM_BYTES_MAX = 32 << 20
"""No real stream, of a hundred pages, comes near; an index that leaves out more than this is of no use."""
_LINE = re.compile(rb"(\d{1,18}):\d+:")
_LINE_BYTES_MAX = 1 << 16
_BEGIN = re.compile(rb"BZh[1-9]1AY&SY")
_BEGIN_BYTES = 10


def index_name(dump_name: str) -> str:
    """What the index of a multistream dump is called, unpacked; empty for other names.

    Example:
        >>> index_name("dewiki-20260101-pages-articles-multistream.xml.bz2")
        'dewiki-20260101-pages-articles-multistream-index.txt'
        >>> index_name("enwiki-20260101-pages-articles-multistream2.xml-p41243p151573.bz2")
        'enwiki-20260101-pages-articles-multistream-index2.txt-p41243p151573'
    """
    match = re.fullmatch(r"(.*-multistream)(\d*)\.xml(-p\d+p\d+)?\.bz2", dump_name)
    return f"{match[1]}-index{match[2]}.txt{match[3] or ''}" if match else ""


@dataclass(frozen=True, slots=True)
class Multistream:
    """A dump whose streams can be read one by one."""

    header: bytes
    """What stands before the first page."""
    offsets: Sequence[int]
    """Where its streams begin, and last where the file ends; in bytes."""

    def runs(self) -> Iterator["Run"]:
        """All streams, cut into runs of about ``RUN_BYTES``."""
        first = 0
        while first < len(self.offsets) - 1:
            last = bisect_left(self.offsets, self.offsets[first] + RUN_BYTES, first + 1)
            last = min(last, len(self.offsets) - 1)
            yield Run(tuple(self.offsets[first : last + 1]))
            first = last


@dataclass(frozen=True, slots=True)
class Run:
    """Streams that lie one after another."""

    offsets: tuple[int, ...]
    """Where they begin, and last where the next run does, or the file ends; in bytes."""

    @property
    def num_bytes(self) -> int:
        """Packed."""
        return self.offsets[-1] - self.offsets[0]


def open_multistream(dump: Source, index: Source) -> Multistream | None:
    """The dump's streams as the index tells them; None when it does not fit the dump.

    It fits when every line of it can be read, offsets never fall and stay within the file, none is far from
    the next, at each of them, and at the file's begin, a bzip2 stream begins, and a page in the first of
    them. Reads the index, ten bytes a stream, and the dump's header.
    """
    offsets = array("Q", [0])
    try:
        for line in lines(open_chunks(index.path), _LINE_BYTES_MAX):
            found = None if isinstance(line, BrokenInput) else _LINE.match(line)
            offset = int(found[1]) if found else -1
            if offset < offsets[-1]:
                return None
            if offset > offsets[-1]:
                offsets.append(offset)
        offsets.append(dump.num_bytes)
        if len(offsets) == 2 or not _streams_begin(dump, offsets):
            return None
        header, text = read_header(open_chunks(dump.path))
        if OPEN not in next(text, b""):
            return None
    except BrokenInput:
        return None
    # Characters of two or four bytes cannot be cut here; read as bytes, such a dump has no page.
    return Multistream(header, offsets) if header and not is_wide(header) else None


def _streams_begin(dump: Source, offsets: Sequence[int]) -> bool:
    try:
        with dump.path.open("rb") as stream:
            for offset, following in pairwise(offsets):
                if not 0 < following - offset <= STREAM_BYTES_MAX:
                    return False
                stream.seek(offset)
                if not _BEGIN.match(stream.read(_BEGIN_BYTES)):
                    return False
    except OSError:
        return False
    return True


def read_run(path: Path, run: Run) -> Iterator[bytes | BrokenInput]:
    """The pages of one run; what is no page, and every stream that breaks, as :class:`BrokenInput`.

    A stream that breaks ends at the break, with the page that was open there; the next one is read.
    """
    streams = iter(pairwise(run.offsets))
    text = _own(path, streams)
    if run.offsets[0] > 0:
        text = _from_page(text, path, run.offsets[-1])
    while True:
        try:
            yield from cut_pages(_with_the_rest(text, path, run.offsets[-1]))
            return
        except _NextRun:
            return
        except BrokenInput as broken:
            yield broken
        text = _own(path, streams)


def _own(path: Path, streams: Iterator[tuple[int, int]]) -> Iterator[bytes]:
    """The text of a run's streams up to a break; taken up again, that of the streams after it."""
    for start, stop in streams:
        try:
            yield from decompressed(file_chunks(path, start, stop))
        except BrokenInput as broken:
            raise BrokenInput(broken.reason, f"the stream at byte {start}: {broken.detail}") from None


class _NextRun(Exception):  # noqa: N818  (not an error: the text that follows belongs to another run)
    """Here the text of the next run begins, or its first stream is broken, which that run reports."""


def _from_page(chunks: Iterator[bytes], path: Path, end: int) -> Iterator[bytes]:
    """A run's text from its first page on, the tag of which may end in a later run.

    Raises:
        _NextRun: no page begins here, so all of it belongs to a run before.
    """
    held = b""
    for chunk in chunks:
        held += chunk
        begin = held.find(OPEN)
        if begin >= 0:
            yield held[begin:]
            yield from chunks
            return
        held = held[1 - len(OPEN) :]
    begin = (held + _ahead(path, end, len(OPEN) - 1)).find(OPEN)
    if begin < 0:
        raise _NextRun
    yield held[begin:]


def _ahead(path: Path, end: int, num_bytes: int) -> bytes:
    """The first bytes of the text behind a run; fewer at a break or at the end of the file."""
    found = b""
    try:
        for chunk in decompressed(file_chunks(path, end)):
            found += chunk
            if len(found) >= num_bytes:
                break
    except BrokenInput:  # the run it lies in reports it
        pass
    return found[:num_bytes]


def _with_the_rest(text: Iterator[bytes], path: Path, end: int) -> Iterator[bytes]:
    """A run's text, and of what follows it all up to and with the next ``<page>``, which ends an open page.

    Raises:
        _NextRun: after that tag; at a break before it.
    """
    yield from text
    held = b""
    try:
        for chunk in decompressed(file_chunks(path, end)):
            held += chunk
            begin = held.find(OPEN)
            if begin >= 0:
                yield held[: begin + len(OPEN)]
                raise _NextRun
            sure = max(0, len(held) + 1 - len(OPEN))
            yield held[:sure]
            held = held[sure:]
    except BrokenInput:
        yield held
        raise _NextRun from None
    yield held
