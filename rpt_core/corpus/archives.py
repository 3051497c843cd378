"""Tar archives from outside, hostile until proven otherwise.

Only names and the bytes of small text members are read, from a stream, into memory; nothing is ever
unpacked to disk, so a path cannot escape and a link cannot be followed. Both are reported all the same.
"""

import io
import posixpath
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field

from rpt_core.corpus.streams import Broken

MEMBER_BYTES_MAX = 32 << 20
"""Longest text member that is read."""
PACKED_BYTES_MAX = 256 << 20
"""Longest e-print, packed, of a bulk file."""
WANTED_BYTES_MAX = 128 << 20
"""All text members of one archive together."""
STREAM_BYTES_MAX = 4 << 30
"""Decompressed size of one archive, figures and all."""
MEMBERS_MAX = 100_000


@dataclass(slots=True)
class Tree:
    """The text files of one archive by normalised path, and what was refused."""

    files: dict[str, bytes] = field(default_factory=dict)
    refused: list[Broken] = field(default_factory=list)
    has_pdf: bool = False


class _Reader(io.RawIOBase):
    """A readable file over an iterator of chunks, with a limit on what may come out."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._held, self._total = chunks, b"", 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while len(self._held) < size:
            piece = next(self._chunks, b"")
            if not piece:
                break
            self._held += piece
            self._total += len(piece)
            if self._total > STREAM_BYTES_MAX:
                raise Broken("archive-bomb", f"unpacks to more than {STREAM_BYTES_MAX} bytes")
        out, self._held = self._held[:size], self._held[size:]
        return out


def read_tree(chunks: Iterator[bytes], wanted: tuple[str, ...]) -> Tree:
    """Read the members whose names end in ``wanted`` from a tar stream.

    A break in the stream or the archive ends the reading; what was read before it stays, and the break
    is among ``refused``.
    """
    tree = Tree()
    try:
        with tarfile.open(fileobj=_Reader(chunks), mode="r|") as archive:
            _read_members(archive, tree, wanted)
    except Broken as broken:
        tree.refused.append(broken)
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        tree.refused.append(Broken("broken-archive", str(error)))
    return tree


def _read_members(archive: tarfile.TarFile, tree: Tree, wanted: tuple[str, ...]) -> None:
    total = 0
    for number, member in enumerate(archive):
        if number >= MEMBERS_MAX:
            raise Broken("archive-bomb", f"more than {MEMBERS_MAX} members")
        if member.isdir():
            continue
        name = inner_path(member.name)
        if name is None:
            tree.refused.append(Broken("archive-path-escape", member.name))
        elif not member.isfile():
            tree.refused.append(Broken("archive-link", f"{member.name} -> {member.linkname}"))
        elif not name.lower().endswith(wanted):
            tree.has_pdf |= name.lower().endswith(".pdf")
        elif member.size > MEMBER_BYTES_MAX or total + member.size > WANTED_BYTES_MAX:
            tree.refused.append(Broken("archive-bomb", f"{member.name} has {member.size} bytes"))
        elif stream := archive.extractfile(member):
            tree.files[name] = stream.read(MEMBER_BYTES_MAX)
            total += member.size


def first_name(chunks: Iterator[bytes]) -> str:
    """Name of an archive's first regular member; empty when it has none that can be read."""
    try:
        with tarfile.open(fileobj=_Reader(chunks), mode="r|") as archive:
            return next((member.name for member in archive if member.isfile()), "")
    except (Broken, tarfile.TarError, EOFError, ValueError, OverflowError):
        return ""


def members(chunks: Iterator[bytes]) -> Iterator[tuple[str, bytes] | Broken]:
    """Name and bytes of every regular member, one at a time; what is refused, and a break, in its place."""
    try:
        with tarfile.open(fileobj=_Reader(chunks), mode="r|") as archive:
            for member in archive:
                if member.isdir():
                    continue
                name = inner_path(member.name)
                if name is None:
                    yield Broken("archive-path-escape", member.name)
                elif not member.isfile():
                    yield Broken("archive-link", f"{member.name} -> {member.linkname}")
                elif member.size > PACKED_BYTES_MAX:
                    yield Broken("archive-bomb", f"{member.name} has {member.size} bytes")
                elif stream := archive.extractfile(member):
                    yield name, stream.read()
    except Broken as broken:
        yield broken
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        yield Broken("broken-archive", str(error))


def inner_path(name: str) -> str | None:
    """A member's path within its archive, normalised; None when it leads out of it.

    Example:
        >>> inner_path("./a/../b.tex"), inner_path("../b.tex"), inner_path("/etc/passwd")
        ('b.tex', None, None)
    """
    path = posixpath.normpath(name.replace("\\", "/"))
    if path.startswith(("/", "../")) or path in ("..", ".") or (len(path) > 1 and path[1] == ":"):
        return None
    return path
