"""Bytes out of files that may be compressed, broken or hostile, a piece at a time.

Whatever was read before a break is handed out first; the break itself is a :class:`BrokenInput`, whose
reason ends up in the table of dropped rows. Nothing here holds more than a few megabytes.
"""

import bz2
import codecs
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

CHUNK = 1 << 20
GZIP, BZIP2 = b"\x1f\x8b", b"BZh"


class BrokenInput(Exception):  # noqa: N818  (an input's fault, turned into a dropped row by the reader)
    """An input that cannot be read on, with the reason to record."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class _Codec:
    """How one compression names its two ways to be broken, and how a stream of it starts."""

    name: str
    errors: tuple[type[Exception], ...]

    def decompressor(self) -> "bz2.BZ2Decompressor | zlib._Decompress":
        return bz2.BZ2Decompressor() if self.name == "bz2" else zlib.decompressobj(wbits=31)


_ZEROS = re.compile(rb"\0*+")
_WINDOW_MIN = 1 << 12
"""Bytes first given to the decompressor of a further stream, twice as many every time."""
_CODECS = {BZIP2: _Codec("bz2", (OSError, ValueError)), GZIP: _Codec("gzip", (zlib.error,))}


def file_chunks(path: Path, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """The file's bytes as they are, from the byte ``start`` up to the byte ``stop``, or all of them.

    Raises:
        Broken: the operating system refuses.
    """
    try:
        with path.open("rb") as stream:
            stream.seek(start)
            left = stop - start if stop is not None else -1
            while piece := stream.read(min(CHUNK, left) if stop is not None else CHUNK):
                left -= len(piece)
                yield piece
    except OSError as error:
        raise BrokenInput("unreadable-file", error.strerror or str(error)) from None


class Counted:
    """Chunks, and how many bytes of them were taken so far."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self.num_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = next(self._chunks)
        self.num_bytes += len(chunk)
        return chunk


def open_chunks(path: Path) -> Iterator[bytes]:
    """The file's content, decompressed when it is gzip or bzip2 by its first bytes.

    Several streams one after another (multistream dumps, concatenated files) read as one.

    Raises:
        Broken: truncated or wrong bytes, after everything before them was yielded.
    """
    return decompressed(file_chunks(path))


def decompressed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """One layer of gzip or bzip2 taken off, if there is one."""
    first = next(chunks, b"")
    codec = next((found for magic, found in _CODECS.items() if first.startswith(magic)), None)
    if codec is None:
        yield first
        yield from chunks
        return
    yield from _decompress(codec, first, chunks)


def _decompress(codec: _Codec, first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    worker, open_stream = codec.decompressor(), False
    window = CHUNK
    for data in chain((first,), chunks):
        start = 0
        while start < len(data):
            open_stream = True
            part = data[start : start + window]
            try:
                yield from _inflate(worker, part)
            except codec.errors as error:
                raise BrokenInput(f"broken-{codec.name}", str(error)) from None
            start += len(part)
            window = min(2 * window, CHUNK)
            if worker.eof:
                # Padding with zeros after the last stream is allowed by gzip and bzip2 tools alike. What is
                # left over was copied: a stream that is short gets little, so that many cost no square.
                start = _ZEROS.match(data, start - len(worker.unused_data)).end()  # type: ignore[union-attr]
                worker, open_stream, window = codec.decompressor(), False, _WINDOW_MIN
    if open_stream:
        raise BrokenInput(f"truncated-{codec.name}", "the file ends inside a compressed stream")


def _inflate(worker: "bz2.BZ2Decompressor | zlib._Decompress", data: bytes) -> Iterator[bytes]:
    """Decompress ``data`` into pieces of bounded size, however well it is packed."""
    if isinstance(worker, bz2.BZ2Decompressor):
        yield worker.decompress(data, CHUNK)
        while not (worker.eof or worker.needs_input):
            yield worker.decompress(b"", CHUNK)
        return
    yield worker.decompress(data, CHUNK)
    while worker.unconsumed_tail:
        yield worker.decompress(worker.unconsumed_tail, CHUNK)
    while not worker.eof and (pending := worker.decompress(b"", CHUNK)):
        yield pending


def read_limited(chunks: Iterable[bytes], limit: int) -> bytes:
    """All of a stream that must fit in memory.

    Raises:
        Broken: it is longer than ``limit`` bytes, or broken.
    """
    held = bytearray()
    for piece in chunks:
        held += piece
        if len(held) > limit:
            raise BrokenInput("archive-bomb", f"more than {limit} bytes after decompression")
    return bytes(held)


def bounded(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """The same chunks.

    Raises:
        Broken: they are more than ``limit`` bytes; those before were yielded.
    """
    for piece in chunks:
        limit -= len(piece)
        if limit < 0:
            raise BrokenInput("archive-bomb", "unpacks to more bytes than an archive of its size may")
        yield piece


def lines(chunks: Iterable[bytes], limit: int, end: bytes = b"\n") -> Iterator[bytes | BrokenInput]:
    r"""Lines without their ends; one longer than ``limit`` bytes becomes a :class:`BrokenInput` in its place.

    Example:
        >>> list(lines([b"a\nb", b"c\n"], 10))
        [b'a', b'bc']
    """
    held, skipping = bytearray(), False
    for piece in chunks:
        first, *others = piece.split(end)
        if not skipping:
            held += first
        if others:
            if not skipping:
                yield _line(bytes(held), limit)
            yield from (_line(line, limit) for line in others[:-1])
            held, skipping = bytearray(others[-1]), False
        if len(held) > limit:
            yield BrokenInput("gigantic", f"a line of more than {limit} bytes")
            held, skipping = bytearray(), True
    if held:
        yield bytes(held)


def _line(line: bytes, limit: int) -> bytes | BrokenInput:
    return line if len(line) <= limit else BrokenInput("gigantic", f"a line of {len(line)} bytes")


class ChunkFile(io.RawIOBase):
    """A readable file over chunks; what breaks them is raised by the read that meets it."""

    def __init__(self, chunks: Iterable[bytes], limit: int | None = None) -> None:
        """Open.

        Args:
            chunks: The content.
            limit: Bytes that may be read at most; more of them are an ``archive-bomb``.
        """
        self._chunks, self._held, self._left = iter(chunks), memoryview(b""), limit

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer as far as the chunk at hand goes; 0 at the end alone."""
        while not self._held:
            piece = next(self._chunks, None)
            if piece is None:
                return 0
            self._held = memoryview(piece)
            if self._left is not None:
                self._left -= len(piece)
                if self._left < 0:
                    raise BrokenInput("archive-bomb", "unpacks to more bytes than an archive may")
        num = min(len(buffer), len(self._held))
        buffer[:num], self._held = self._held[:num], self._held[num:]
        return num


def as_utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same text in UTF-8 without a byte-order mark; UTF-16 and UTF-32 are known by theirs."""
    first = next(chunks, b"")
    for mark, name in _MARKS:
        if first.startswith(mark):
            if name == "utf-8":
                yield first[len(mark) :]
                break
            yield from _transcode(name, first, chunks)
            return
    else:
        yield first
    yield from chunks


_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def is_wide(head: bytes) -> bool:
    """Whether a text's first bytes say that its characters have two or four."""
    return any(head.startswith(mark) for mark, name in _MARKS if name != "utf-8")


def _transcode(name: str, first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(name)()
    try:
        for piece in chain((first,), chunks):
            yield decoder.decode(piece).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise BrokenInput("not-utf-8", f"{name}: {error}") from None


def decode(data: bytes) -> str:
    """Text of a whole file in UTF-8, or in UTF-16/32 with a byte-order mark.

    Raises:
        Broken: other bytes. Guessing an encoding would turn a broken file into broken sentences.
    """
    try:
        return b"".join(as_utf8(iter([data]))).decode()
    except UnicodeDecodeError as error:
        raise BrokenInput("not-utf-8", str(error)) from None
