"""What lies in a file or folder: sources, told by their content first and their name second."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rpt_core.corpus.files.streams import BZIP2, GZIP, Broken, open_chunks
from rpt_core.corpus.reasons import known
from rpt_core.errors import SourceError

Form = Literal[
    "mediawiki", "tar", "tex", "pdf", "jsonl", "json", "parquet", "csv", "text", "markdown",
    "arxiv-atom", "arxiv-oai", "arxiv-jsonl", "refused",
]  # fmt: skip
METADATA: frozenset[Form] = frozenset({"arxiv-atom", "arxiv-oai", "arxiv-jsonl"})
"""Files that describe papers; they hold none."""
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
_SUFFIX: dict[str, Form] = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tex": "tex", ".ltx": "tex",
    ".md": "markdown", ".markdown": "markdown", ".txt": "text", ".text": "text", "": "text",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """One input file, the reader it needs, or (form ``refused``) why there is none."""

    path: Path
    name: str
    """Path below the data folder, with forward slashes; recorded as ``origin``."""
    form: Form
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


def find_sources(data: Path) -> list[Source]:
    """Every file under ``data`` (or ``data`` itself), sorted by name, hidden ones left out.

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
    return [_classify(path, path.relative_to(base).as_posix()) for path in files]


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent) / name for name in names if not name.startswith("."))


def _classify(path: Path, name: str) -> Source:
    if not path.is_file():
        return Source(path, name, "refused", 0, known("not-a-regular-file"))
    size = path.stat().st_size
    try:
        packed, head = _head(path)
    except Broken as broken:
        return Source(path, name, "refused", size, known(broken.reason))
    form, reason = sniff(head, path.name)
    return Source(path, name, form, size, reason, packed)


def _head(path: Path) -> tuple[bool, bytes]:
    """Whether the file is compressed, and the first bytes of its content."""
    with_magic = b""
    try:
        with path.open("rb") as stream:
            with_magic = stream.read(4)
    except OSError as error:
        raise Broken("unreadable-file", error.strerror or str(error)) from None
    held = bytearray()
    try:
        for piece in open_chunks(path):
            held += piece
            if len(held) >= HEAD_BYTES:
                break
    except Broken:
        # A break after some content is the reader's to report; one before any content is the file's.
        if not held:
            raise
    return with_magic.startswith((GZIP, BZIP2)), bytes(held[:HEAD_BYTES])


def sniff(head: bytes, file_name: str) -> tuple[Form, str]:
    """The form of a file by its first (decompressed) bytes; for ``refused``, the reason too.

    Example:
        >>> sniff(b'{"text": "x"}', "rows.jsonl")
        ('jsonl', '')
        >>> sniff(b"", "nothing.txt")
        ('refused', 'empty-file')
    """
    if not head:
        return "refused", known("empty-file")
    if _ABOUT.search(file_name):
        return "refused", known("licence-or-readme")
    if _INDEX.match(head) or _MANIFEST.match(head):
        return "refused", known("companion-file")
    form = _by_bytes(head) or _by_name(head, file_name)
    return (form, "") if form else ("refused", known("unrecognised-format"))


def _by_name(head: bytes, file_name: str) -> Form | None:
    """By suffix where it tells; LaTeX also by its commands, since arXiv serves it as plain ``ID.gz``."""
    suffix = Path(re.sub(r"\.(gz|bz2)$", "", file_name.lower())).suffix
    if suffix in _SUFFIX and suffix:
        return None if _is_lookup(head) else _SUFFIX[suffix]
    if re.fullmatch(r"(\.\d{4,5}(v\d+)?)?", suffix):
        if suffix or _TEX.search(head):
            return None if is_binary(head) else "tex"
        return None if _is_lookup(head) else "text"
    return None


def _by_bytes(head: bytes) -> Form | None:
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"%PDF"):
        return "pdf"
    if head[257:262] == b"ustar":
        return "tar"
    if b"<mediawiki" in head or b"<mediawiki".decode().encode("utf-16-le") in head:
        return "mediawiki"
    return _metadata(head)


def _metadata(head: bytes) -> Form | None:
    """ArXiv's descriptions of papers, as its servers send them or as its snapshot has them."""
    if b"<OAI-PMH" in head[:2000] and b"arxiv" in head.lower():
        return "arxiv-oai"
    if b"<feed" in head[:2000] and b"http://arxiv.org/schemas/atom" in head:
        return "arxiv-atom"
    first = head.partition(b"\n")[0]
    if first.startswith(b"{") and all(name in first for name in (b'"id"', b'"categories"', b'"license"')):
        return None if b'"text"' in first else "arxiv-jsonl"
    return None


def is_binary(head: bytes) -> bool:
    """Whether control characters stand in it, which no text of a paper has."""
    return bool(_CONTROLS.search(head))


def _is_lookup(head: bytes) -> bool:
    """Tables such as a tokenizer's merges: text by their bytes, but no prose."""
    return head.startswith((b"#version:", b"%PNG", b"\x89PNG", b"PK\x03\x04"))


def describe(sources: Iterable[Source]) -> str:
    """One line saying what was found, for the user.

    Example:
        >>> describe([Source(Path("a"), "a", "text", 10), Source(Path("b"), "b", "text", 10)])
        '2 plain text files (20 bytes)'
    """
    sources = list(sources)
    counts = Counter(_SPOKEN[source.form] for source in sources)
    parts = [f"{num} {what}{'' if num == 1 else 's'}" for what, num in sorted(counts.items())]
    return f"{', '.join(parts)} ({sum(source.num_bytes for source in sources):,} bytes)"


_SPOKEN: dict[Form, str] = {
    "mediawiki": "MediaWiki dump", "tar": "archive", "tex": "LaTeX file", "pdf": "PDF file",
    "jsonl": "JSONL file", "json": "JSON file", "parquet": "Parquet file", "csv": "CSV file",
    "arxiv-atom": "arXiv metadata file", "arxiv-oai": "arXiv metadata file",
    "arxiv-jsonl": "arXiv metadata file", "text": "plain text file", "markdown": "Markdown file",
    "refused": "unread file",
}  # fmt: skip
