"""Input files: what lies in a folder, and the first bytes and the name that tell what a file is."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rpt_core.corpus.files.streams import BZIP2, GZIP, BrokenInput, open_chunks
from rpt_core.errors import SourceError

REFUSED = "refused"
"""The form of a file that no reader takes."""
HEAD_BYTES = 1 << 16

_ABOUT = re.compile(r"(^|__)(licen[cs]e|copying|notice|readme|authors|citation|changelog)\b", re.I)
_TEX = re.compile(
    rb"\\(?:documentclass|documentstyle|begin\s*+\{document\}|section|chapter|newcommand|input|magnification|bye|hsize"
    rb"|vsize|baselineskip|parindent|hoffset|voffset|nopagenumbers|centerline|beginsection|headline|footline|noindent"
    rb"|newsec|eqno|medskip|bigskip|smallskip|vskip|hskip|vfill|eject|topmatter|proclaim|overfullrule)(?![a-zA-Z])"
    rb"|\\(?:def|font|let|newcount|newdimen)\s*+\\[a-zA-Z]"
)
"""Words of LaTeX and plain TeX that no other text holds."""
_INDEX = re.compile(rb"\A\d+:\d+:[^\n]*\n(\d+:\d+:|\Z)")
_MANIFEST = re.compile(rb"\A\s*(<\?xml[^>]*>\s*)?<arXiv(SRC|PDF)>")
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a]")
_LOOKUP = (b"#version:", b"%PNG", b"\x89PNG", b"PK\x03\x04")
"""Begins of pictures, and of tables such as a tokenizer's merges: text by their bytes, but no prose."""


@dataclass(frozen=True, slots=True)
class Source:
    """One input file, the form that names its reader, or (``refused``) why there is none."""

    path: Path
    name: str
    """Path below the data folder, with forward slashes; recorded as ``origin``."""
    form: str
    """Of a row in :mod:`rpt_core.corpus.readers`."""
    num_bytes: int
    reason: str = ""
    packed: bool = False
    """Whether the bytes are gzip or bzip2."""

    @property
    def stem(self) -> str:
        """File name without the suffixes that tell its kind."""
        return re.sub(
            r"(\.(gz|bz2|tar|tgz|tex|txt|md|jsonl?|ndjson|parquet|xml|csv|pdf))+$", "", self.path.name
        )


@dataclass(frozen=True, slots=True)
class Head:
    """What a file's form is told by."""

    data: bytes
    """The first (decompressed) bytes, at most ``HEAD_BYTES``."""
    name: str
    """Of the file, without folders."""

    @property
    def suffix(self) -> str:
        """In small letters, without that of a compression."""
        return Path(re.sub(r"\.(gz|bz2)$", "", self.name.lower())).suffix

    @property
    def is_binary(self) -> bool:
        """Whether control characters stand in it, which no text of a paper has."""
        return bool(_CONTROLS.search(self.data))

    @property
    def holds_tex(self) -> bool:
        """Whether commands of TeX stand in it."""
        return bool(_TEX.search(self.data))

    def is_named(self, *suffixes: str) -> bool:
        """Whether it has one of the suffixes, and does not begin as what is no prose."""
        return self.suffix in suffixes and not self.data.startswith(_LOOKUP)

    @property
    def refusal(self) -> str:
        """Why no reader is asked whether it knows the file; empty when all are."""
        if not self.data:
            return "empty-file"
        if _ABOUT.search(self.name):
            return "licence-or-readme"
        return "companion-file" if _INDEX.match(self.data) or _MANIFEST.match(self.data) else ""


def begins(magic: bytes) -> Callable[[Head], bool]:
    """Told by the first bytes."""
    return lambda head: head.data.startswith(magic)


def named(*suffixes: str) -> Callable[[Head], bool]:
    """Told by the file's name."""
    return lambda head: head.is_named(*suffixes)


def files_under(data: Path) -> Iterator[tuple[Path, str]]:
    """Every file under ``data`` (or ``data`` itself) and its name, sorted, hidden ones left out.

    Raises:
        SourceError: there is nothing at this path, or nothing in it.
    """
    if not data.exists():
        raise SourceError(f"data={data}: there is no such file or folder; name one that exists.")
    if not (data.is_file() or data.is_dir()):
        raise SourceError(
            f"data={data} is a pipe, a socket or a device, which is never read; name a file or a folder."
        )
    files = [data] if data.is_file() else sorted(_walk(data))
    if not files:
        raise SourceError(
            f"data={data}: the folder holds no files; put .txt, .md, .jsonl, .parquet, "
            "MediaWiki dumps or e-prints into it."
        )
    base = data.parent if data.is_file() else data
    yield from ((path, path.relative_to(base).as_posix()) for path in files)


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent) / name for name in names if not name.startswith("."))


def read_head(path: Path) -> tuple[bool, Head]:
    """Whether the file is compressed, and what its form is told by.

    Raises:
        Broken: it cannot be read, or breaks before any content.
    """
    with_magic = b""
    try:
        with path.open("rb") as stream:
            with_magic = stream.read(4)
    except OSError as error:
        raise BrokenInput("unreadable-file", error.strerror or str(error)) from None
    held = bytearray()
    try:
        for piece in open_chunks(path):
            held += piece
            if len(held) >= HEAD_BYTES:
                break
    except BrokenInput:
        # A break after some content is the reader's to report; one before any content is the file's.
        if not held:
            raise
    return with_magic.startswith((GZIP, BZIP2)), Head(bytes(held[:HEAD_BYTES]), path.name)
