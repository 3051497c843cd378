"""E-prints as arXiv serves them, one by one or in bulk, and other LaTeX: one file, or a tar of a tree."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from rpt_core.corpus.batches import by_weight
from rpt_core.corpus.files import parts
from rpt_core.corpus.files.archives import Tree, first_name, members, read_tree
from rpt_core.corpus.files.parts import How, Shard
from rpt_core.corpus.files.plain import is_text
from rpt_core.corpus.files.sources import HEAD_BYTES, Head, Source, begins
from rpt_core.corpus.files.streams import (
    BrokenInput,
    Counted,
    decompressed,
    file_chunks,
    open_chunks,
    read_limited,
)
from rpt_core.corpus.latex.convert import to_text
from rpt_core.corpus.latex.encodings import decode_tex
from rpt_core.corpus.latex.tree import TEX_SUFFIXES, WANTED, TreeFacts, main_files, tree_facts
from rpt_core.corpus.origins import Origin, Profile
from rpt_core.corpus.rows import Document, Dropped, Row, preview

ARXIV = Origin("arxiv", priority=0, profile=Profile(letter_share_min=0.5, bullet_share_max=0.95))
"""Each paper's licence is told by arXiv's metadata."""
LATEX = Origin("latex", priority=10, profile=ARXIV.profile)
SINGLE_BYTES_MAX = 10 << 20

_NUMBER = re.compile(r"^(?P<id>\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?[_/]?\d{7})(?:v(?P<version>\d+))?$")
_MEMBER = re.compile(r"(?:^|/)(?:\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?\d{7})(?:v\d+)?\.(?:gz|pdf)$")
"""An e-print within a bulk file."""
_WITHDRAWN = re.compile(
    r"\b(this (paper|article|submission|manuscript|work) (has been|is|was) withdrawn|"
    r"withdrawn by the authors?)\b",
    re.I,
)
_WITHDRAWN_CHARS_MAX = 2000
"""A withdrawal is a note; a paper that mentions one is longer."""


is_pdf = begins(b"%PDF")


def is_tar(head: Head) -> bool:
    """By the mark of its first header."""
    return head.data[257:262] == b"ustar"


def is_tex(head: Head) -> bool:
    """By suffix where it tells; also by its commands, since arXiv serves LaTeX as plain ``ID.gz``."""
    if head.is_named(".tex", ".ltx"):
        return True
    numbered = bool(re.fullmatch(r"\.\d{4,5}(v\d+)?", head.suffix))
    return (numbered or (not head.suffix and head.holds_tex)) and not head.is_binary


def read_pdf(source: Source, how: How) -> Iterator[Row]:
    """An e-print without its LaTeX, which is not read."""
    yield _drop(source, "pdf-only")


def read_tex(source: Source, how: How) -> Iterator[Row]:
    """The document of one LaTeX file, and what could not be read of it."""
    yield from _single(source, how.max_chars, open_chunks(source.path))


def is_chunk(source: Source) -> bool:
    """Whether a tar is one of arXiv's bulk files: its members are e-prints, not the parts of one."""
    return bool(_MEMBER.search(first_name(open_chunks(source.path))))


Member = tuple[str, bytes | Dropped]
"""Of a bulk file: name and bytes, or why it could not be taken out."""


def eprint_shards(source: Source) -> Iterator[Shard] | None:
    """The e-prints of a bulk file in batches; None of any other archive, which is read whole."""
    if not is_chunk(source):
        return None
    file = Counted(file_chunks(source.path))
    members = read_members(source, decompressed(file))
    batches = by_weight(members, lambda member: parts.num_bytes(member[1]), parts.FILES_BYTES)
    return parts.shards_of(source, batches, file, member_rows)


def read_members(source: Source, chunks: Iterator[bytes]) -> Iterator[Member]:
    """The members of a bulk file as they are."""
    for member in members(chunks):
        if isinstance(member, BrokenInput):
            shown = preview(member.detail)
            yield "", Dropped(ARXIV.name, source.name, member.reason, source.name, preview=shown)
        else:
            yield member


def member_rows(source: Source, member: Member, how: How) -> Iterator[Row]:
    """The documents of one e-print of a bulk file."""
    name, data = member
    if isinstance(data, Dropped):
        yield data
        return
    inner = Source(Path(name), f"{source.name}/{name}", "tar", len(data), packed=True)
    if not _MEMBER.search(name):
        yield Dropped(ARXIV.name, inner.name, "unrecognised-format", inner.name)
        return
    try:
        first = next(decompressed(iter([data])), b"")
    except BrokenInput as broken:
        yield _drop(inner, broken.reason, broken.detail)
        return
    head = Head(first[:HEAD_BYTES], inner.path.name)
    if not head.refusal and is_tar(head):
        yield from read_papers(inner, read_tree(decompressed(iter([data])), WANTED), how.max_chars)
    elif not (head.refusal or head.is_binary or is_pdf(head)) and (is_tex(head) or is_text(head)):
        yield from _single(inner, how.max_chars, decompressed(iter([data])))
    else:
        yield _drop(inner, head.refusal or ("pdf-only" if is_pdf(head) else "unrecognised-format"))


def read_papers(source: Source, tree: Tree, max_chars: int) -> Iterator[Row]:
    """The documents of an archive already read."""
    for broken in tree.refused:
        yield _drop(source, broken.reason, broken.detail)
    if not any(path.lower().endswith(TEX_SUFFIXES) for path in tree.files):
        if not tree.refused:
            yield _drop(source, "pdf-only" if tree.has_pdf else "no-tex")
        return
    facts = tree_facts(tree.files)
    for number, main in enumerate(main_files(tree.files)):
        yield from _document(source, tree.files, main, "" if number == 0 else main, max_chars, facts)


def _single(source: Source, max_chars: int, chunks: Iterator[bytes]) -> Iterator[Row]:
    try:
        data = read_limited(chunks, SINGLE_BYTES_MAX)
    except BrokenInput as broken:
        yield _drop(source, broken.reason, broken.detail)
        return
    files = {"main.tex": data}
    yield from _document(source, files, "main.tex", "", max_chars, tree_facts(files))


def _document(
    source: Source, files: Mapping[str, bytes], main: str, inner: str, max_chars: int, facts: TreeFacts
) -> Iterator[Row]:
    """One document of a tree and what it lacks; ``inner`` names it when it is not the tree's main one."""
    name = _source_name(source)
    native_id, version = _identity(source)
    native_id = f"{native_id}/{inner}" if inner else native_id

    def drop(reason: str, detail: str, title: str = "") -> Dropped:
        return Dropped(name, source.name, reason, native_id, title, preview(detail))

    try:
        latex = to_text(files, main, facts)
    except BrokenInput as broken:
        yield drop(broken.reason, broken.detail)
        return
    if len(latex.text) < _WITHDRAWN_CHARS_MAX and _WITHDRAWN.search(latex.text):
        yield drop("withdrawn", latex.text, latex.title)
    elif not latex.text:
        yield drop("no-prose", decode_tex(files[main], facts.encoding))
    elif len(latex.text) > max_chars:
        yield drop("gigantic", latex.text, latex.title)
    else:
        title = latex.title or _stem(main if inner else source.stem)
        yield Document(name, native_id, version, title, latex.text, origin=source.name)
        if latex.missing:
            yield drop("missing-input", ", ".join(latex.missing), title)


def _drop(source: Source, reason: str, detail: str = "") -> Dropped:
    return Dropped(_source_name(source), source.name, reason, _identity(source)[0], preview=preview(detail))


def _stem(path: str) -> str:
    return re.sub(r"\.(tex|ltx|latex)$", "", path.rsplit("/", 1)[-1]).replace("_", " ").replace("-", " ")


def _identity(source: Source) -> tuple[str, str]:
    """Number and version of an e-print from its file name; other LaTeX is named by its path.

    Example:
        >>> from pathlib import Path
        >>> _identity(Source(Path("1202.3665v2.tar.gz"), "x/1202.3665v2.tar.gz", "tar", 1))
        ('1202.3665', '2')
    """
    match = _NUMBER.match(source.stem)
    if match:
        # Bulk files write astro-ph0001001 for what everybody calls astro-ph/0001001.
        number = re.sub(r"^([a-z-]+(?:\.[A-Z]{2})?)[_/]?(\d{7})$", r"\1/\2", match["id"])
        return number, match["version"] or ""
    return source.name, ""


def _source_name(source: Source) -> str:
    """``arxiv`` for e-prints by number, and in folders that say so; ``latex`` for books and notes."""
    if (
        _NUMBER.match(source.stem)
        or "arxiv" in source.name.lower()
        or "eprint" in source.name.lower().replace("-", "")
    ):
        return ARXIV.name
    return LATEX.name
