"""Headers of tar archives, bounded before tarfile reads them.

A member may be described by further headers of any length: GNU's long names, pax records, maps of sparse
files. The standard library reads each of them whole, calls itself once for each that follows another, and
searches pax records with a pattern that is quadratic in a run of digits (CVE-2024-6232, fixed in CPython
3.11.10).
No real archive of text comes near the limits here; what does is an ``archive-bomb``.
"""

import re
import tarfile
from typing import Any

from rpt_core.corpus.files.streams import BrokenInput

HEADER_BYTES_MAX = 256 << 10
"""Longest name or block of pax records; paths have 4 kB at most, extended attributes 64 kB."""
HEADERS_BYTES_MAX = 32 << 20
"""All of them of one archive."""
GLOBAL_BYTES_MAX = 16 << 10
"""All global pax records of one archive: they are copied for every member."""
NESTING_MAX = 8
"""Headers one after another that describe one member."""
_PAX = frozenset({tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE})
_LONG = frozenset({tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK})
_RECORD = re.compile(rb"(\d{1,7}) ")
_DIGITS = re.compile(rb"\d{65}")
_SPARSE_MAP_GOES_ON = 482
"""Place of the byte in a header that says that more of the map follows."""


class _Replay:
    """A stream whose next bytes were read already."""

    def __init__(self, read: bytes, stream: Any) -> None:
        self._read, self._stream = read, stream

    def read(self, size: int) -> bytes:
        if self._read:
            out, self._read = self._read[:size], self._read[size:]
            return out
        data: bytes = self._stream.read(size)
        return data

    def tell(self) -> int:
        """Where the stream is; asked for only when all was read again."""
        place: int = self._stream.tell()
        return place

    def seek(self, place: int) -> None:
        self._stream.seek(place)


class Header(tarfile.TarInfo):
    """A header that is looked at before what it announces is read."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> "Header":
        """The header in a block.

        Raises:
            Broken: a map of a sparse file that goes on in further blocks.
        """
        header = super().frombuf(buf, encoding, errors)
        if header.type == tarfile.GNUTYPE_SPARSE and buf[_SPARSE_MAP_GOES_ON]:
            raise BrokenInput("archive-bomb", "a sparse file of many parts, which no archive of text holds")
        return header

    def _proc_member(self, archive: "Archive") -> tarfile.TarInfo:
        if self.type in _PAX | _LONG:
            return self._announced(archive)
        archive.nesting = 0
        return super()._proc_member(archive)  # type: ignore[misc]

    def _announced(self, archive: "Archive") -> tarfile.TarInfo:
        """Read what a header announces, look at it, and let tarfile read it again."""
        archive.take(self)
        stream: Any = archive.fileobj
        body = stream.read(-(-self.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
        if self.type in _PAX:
            _check_records(body[: self.size])
        archive.fileobj = _Replay(body, stream)  # type: ignore[assignment]
        try:
            return super()._proc_member(archive)  # type: ignore[misc]
        finally:
            archive.fileobj = stream


class Archive(tarfile.TarFile):
    """A tar archive whose headers are bounded."""

    tarinfo = Header
    members: list[tarfile.TarInfo]

    def __init__(self, *args: Any, **options: Any) -> None:
        self.nesting = self._num_bytes = self._num_global = 0
        super().__init__(*args, **options)

    def take(self, header: tarfile.TarInfo) -> None:
        """Count a header that announces another.

        Raises:
            Broken: this one is, or all of them are, past the limits.
        """
        self.nesting += 1
        self._num_bytes += max(header.size, tarfile.BLOCKSIZE)
        self._num_global += header.size if header.type == tarfile.XGLTYPE else 0
        if not 0 <= header.size <= HEADER_BYTES_MAX:
            raise BrokenInput("archive-bomb", f"a member's name or attributes have {header.size} bytes")
        if self._num_bytes > HEADERS_BYTES_MAX or self._num_global > GLOBAL_BYTES_MAX:
            raise BrokenInput("archive-bomb", "the names and attributes of its members have too many bytes")
        if self.nesting > NESTING_MAX:
            raise BrokenInput("archive-bomb", f"more than {NESTING_MAX} headers describe one member")


def _check_records(body: bytes) -> None:
    """Look at pax records: each is its length, a blank, a key, ``=``, a value, and a line end.

    Raises:
        Broken: they are not, or hold what costs more than they are long.
    """
    if b"GNU.sparse." in body:
        raise BrokenInput("archive-bomb", "a sparse file, which no archive of text holds")
    place = 0
    while place < len(body) and body[place]:
        found = _RECORD.match(body, place)
        end = place + int(found[1]) if found else 0
        if (
            not found
            or not found.end() < end <= len(body)
            or body[end - 1] != 0x0A
            or (body.find(b"=", found.end(), end) < 0)
        ):
            raise BrokenInput("broken-archive", "pax records whose lengths are wrong")
        place = end
    if _DIGITS.search(body):
        raise BrokenInput("broken-archive", "a pax record with a number of more than 64 digits")
