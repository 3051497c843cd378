"""Tar archives from outside, hostile until proven otherwise.

Only names and the bytes of small text members are read, from a stream, into memory; nothing is ever
unpacked to disk, so a path cannot escape and a link cannot be followed. Both are reported all the same.
"""

import io
import posixpath
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rpt_core.corpus.files.streams import BrokenInput, ChunkFile
from rpt_core.corpus.files.tar_headers import Archive

MEMBER_BYTES_MAX = 10 << 20
"""Longest text member that is read; a book has a third, and LaTeX takes many times its length of memory."""
TABLE_BYTES_MAX = 32 << 20
"""Longest table among the members."""
PACKED_BYTES_MAX = 96 << 20
"""Longest e-print, packed, of a bulk file."""
TEXTS_BYTES_MAX = 32 << 20
"""Of all text members together; the longest open book has 25 MB."""
WANTED_BYTES_MAX = 128 << 20
"""All members that are read, tables too."""
STREAM_BYTES_MAX = 4 << 30
"""Decompressed size of one archive, figures and all."""
MEMBERS_MAX = 100_000
_SHOWN_CHARS = 300
"""Of a name in a dropped row; names may be long, and many."""


@dataclass(slots=True)
class Tree:
    """The text files of one archive by normalised path, and what was refused."""

    files: dict[str, bytes] = field(default_factory=dict)
    refused: list[BrokenInput] = field(default_factory=list)
    has_pdf: bool = False


@contextmanager
def _opened(chunks: Iterator[bytes]) -> Iterator[Archive]:
    """The archive in a stream; whatever ends the reading is :class:`BrokenInput`."""
    try:
        stream = io.BufferedReader(ChunkFile(chunks, STREAM_BYTES_MAX))
        with Archive.open(fileobj=stream, mode="r|") as archive:
            yield archive
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise BrokenInput("broken-archive", str(error)[:_SHOWN_CHARS]) from None


def _walk(archive: Archive) -> Iterator[tarfile.TarInfo]:
    """The members one by one; the archive's own list of them, which only grows, is emptied.

    Raises:
        Broken: a member is said to be longer than any archive; the search for the next would not end.
    """
    while (member := archive.next()) is not None:
        archive.members.clear()
        if not 0 <= member.size <= STREAM_BYTES_MAX:
            raise _bomb(member)
        yield member


def read_tree(chunks: Iterator[bytes], wanted: tuple[str, ...]) -> Tree:
    """Read the members whose names end in ``wanted`` from a tar stream.

    A break in the stream or the archive ends the reading; what was read before it stays, and the break
    is among ``refused``.
    """
    tree = Tree()
    try:
        with _opened(chunks) as archive:
            _read_members(archive, tree, wanted)
    except BrokenInput as broken:
        tree.refused.append(broken)
    return tree


def _read_members(archive: Archive, tree: Tree, wanted: tuple[str, ...]) -> None:
    texts = total = 0
    for number, member in enumerate(_walk(archive)):
        if number >= MEMBERS_MAX:
            raise BrokenInput("archive-bomb", f"more than {MEMBERS_MAX} members")
        if member.isdir():
            continue
        name = inner_path(member.name)
        if name is None or not member.isfile():
            tree.refused.append(_refusal(member, name))
        elif not name.lower().endswith(wanted):
            tree.has_pdf |= name.lower().endswith(".pdf")
        elif not _fits(name, member.size, texts, total):
            tree.refused.append(_bomb(member))
        elif stream := archive.extractfile(member):
            tree.files[name] = stream.read(member.size)
            total += member.size
            texts += 0 if _is_table(name) else member.size


def _is_table(name: str) -> bool:
    return name.lower().endswith(".csv")


def _fits(name: str, size: int, texts: int, total: int) -> bool:
    """Whether a member of so many bytes may be read, beside the text and all that was read before it."""
    if total + size > WANTED_BYTES_MAX:
        return False
    if _is_table(name):
        return size <= TABLE_BYTES_MAX
    return size <= MEMBER_BYTES_MAX and texts + size <= TEXTS_BYTES_MAX


def _refusal(member: tarfile.TarInfo, path: str | None) -> BrokenInput:
    """Why a member that leads elsewhere is not read."""
    name = member.name[:_SHOWN_CHARS]
    if path is None:
        return BrokenInput("archive-path-escape", name)
    return BrokenInput("archive-link", f"{name} -> {member.linkname[:_SHOWN_CHARS]}")


def _bomb(member: tarfile.TarInfo) -> BrokenInput:
    return BrokenInput("archive-bomb", f"{member.name[:_SHOWN_CHARS]} has {member.size} bytes")


def first_name(chunks: Iterator[bytes]) -> str:
    """Name of an archive's first regular member; empty when it has none that can be read."""
    try:
        with _opened(chunks) as archive:
            return next((member.name for member in _walk(archive) if member.isfile()), "")
    except BrokenInput:
        return ""


def members(chunks: Iterator[bytes]) -> Iterator[tuple[str, bytes] | BrokenInput]:
    """Name and bytes of every regular member, one at a time; what is refused, and a break, in its place."""
    try:
        with _opened(chunks) as archive:
            for member in _walk(archive):
                if member.isdir():
                    continue
                name = inner_path(member.name)
                if name is None or not member.isfile():
                    yield _refusal(member, name)
                elif member.size > PACKED_BYTES_MAX:
                    yield _bomb(member)
                elif stream := archive.extractfile(member):
                    yield name, stream.read()
    except BrokenInput as broken:
        yield broken


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
