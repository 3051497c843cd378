"""What arXiv says about its papers: number, categories, licence, from any of the forms it says it in.

Atom replies of the query API, OAI-PMH replies (prefix ``arXiv``), and the JSON-lines snapshot of the whole
archive read into one record. A catalogue on disk joins them to the papers of an ingest, so that memory
does not grow with the two and a half million papers there are.
"""

import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from lxml import etree

from rpt_core.corpus.files.json_rows import Record, json_lines
from rpt_core.corpus.files.sources import Head
from rpt_core.corpus.files.streams import BrokenInput, open_chunks, read_limited
from rpt_core.corpus.rows import Document

XML_BYTES_MAX = 256 << 20
_ATOM = "{http://www.w3.org/2005/Atom}"
_SEARCH = "{http://a9.com/-/spec/opensearch/1.1/}"
_OAI = "{http://www.openarchives.org/OAI/2.0/}"
_VERSION = re.compile(r"v(\d+)$")


@dataclass(frozen=True, slots=True)
class Paper:
    """One paper, as its archive describes it."""

    number: str
    """``2102.00007`` or ``hep-th/9901001``, without a version."""
    title: str = ""
    categories: tuple[str, ...] = ()
    license: str = ""
    """Address of the licence; empty where the reply does not say (Atom never does)."""
    updated: str = ""

    def as_json(self) -> str:
        """One line in the shape of arXiv's own snapshot."""
        return json.dumps(
            {
                "id": self.number, "title": self.title, "categories": " ".join(self.categories),
                "license": self.license or None, "update_date": self.updated,
            },
            ensure_ascii=False,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ListingPage:
    """One reply of many: its papers, and how to ask for the next ones."""

    papers: tuple[Paper, ...]
    token: str = ""
    """OAI-PMH's resumption token; empty on the last page."""
    total: int = 0
    """Papers in all, where the reply tells."""


def _parsed(data: bytes) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise BrokenInput("broken-xml", str(error)) from None


def _text(element: etree._Element, tag: str) -> str:
    return " ".join((element.findtext(tag) or "").split())


def parse_atom(data: bytes) -> ListingPage:
    """A reply of the query API.

    Raises:
        Broken: it is no XML, or an error in the shape of an entry; the detail is the server's sentence.
    """
    root = _parsed(data)
    papers = []
    for entry in root.iter(f"{_ATOM}entry"):
        address = _text(entry, f"{_ATOM}id")
        if "/api/errors" in address:
            raise BrokenInput("bad-reply", _text(entry, f"{_ATOM}summary") or address)
        categories = (found.get("term", "") for found in entry.iter(f"{_ATOM}category"))
        papers.append(
            Paper(
                _VERSION.sub("", address.rpartition("/abs/")[2]),
                _text(entry, f"{_ATOM}title"),
                tuple(dict.fromkeys(name for name in categories if name)),
                updated=_text(entry, f"{_ATOM}updated")[:10],
            )
        )
    total = _text(root, f"{_SEARCH}totalResults")
    return ListingPage(tuple(papers), total=int(total) if total.isdecimal() else 0)


def parse_oai(data: bytes) -> ListingPage:
    """A reply to ``ListRecords`` or ``GetRecord`` with the prefix ``arXiv``; deleted records are left out.

    Raises:
        Broken: it is no XML, or one of the protocol's errors but ``noRecordsMatch``, which is an empty page.
    """
    root = _parsed(data)
    error = root.find(f"{_OAI}error")
    if error is not None and error.get("code") != "noRecordsMatch":
        raise BrokenInput("bad-reply", f"{error.get('code')}: {' '.join((error.text or '').split())}")
    papers = []
    for record in root.iter("{*}arXiv"):
        number = _text(record, "{*}id")
        if number:
            papers.append(
                Paper(
                    number,
                    _text(record, "{*}title"),
                    tuple(_text(record, "{*}categories").split()),
                    _text(record, "{*}license"),
                    _text(record, "{*}updated") or _text(record, "{*}created"),
                )
            )
    token = next(root.iter(f"{_OAI}resumptionToken"), None)
    if token is None:
        return ListingPage(tuple(papers))
    size = token.get("completeListSize", "")
    return ListingPage(tuple(papers), (token.text or "").strip(), int(size) if size.isdecimal() else 0)


def parse_row(record: Mapping[str, Any]) -> Paper:
    """One row of the snapshot, or of :meth:`Paper.as_json`.

    Raises:
        Broken: it names no paper.
    """
    number = record.get("id")
    if not isinstance(number, str) or not number:
        raise BrokenInput("missing-column", f"id: {number!r}")
    categories = record.get("categories") or ""
    listed = categories if isinstance(categories, list) else str(categories).split()
    return Paper(
        _VERSION.sub("", number),
        " ".join(str(record.get("title") or "").split()),
        tuple(map(str, listed)),
        str(record.get("license") or ""),
        str(record.get("update_date") or ""),
    )


@dataclass(frozen=True, slots=True)
class Chunk:
    """One tar of the bulk archive."""

    filename: str
    """Key within the bucket."""
    md5: str
    num_bytes: int
    month: str
    """``yymm``."""


def parse_manifest(data: bytes) -> list[Chunk]:
    """The chunks a bulk manifest lists, in its order.

    Raises:
        Broken: it is no XML, or no manifest.

    Example:
        >>> xml = b"<arXivSRC><file><filename>src/a.tar</filename><md5sum>0f</md5sum><size>5</size>"
        >>> parse_manifest(xml + b"<yymm>0001</yymm></file></arXivSRC>")
        [Chunk(filename='src/a.tar', md5='0f', num_bytes=5, month='0001')]
    """
    root = _parsed(data)
    if root.tag not in ("arXivSRC", "arXivPDF"):
        raise BrokenInput("unrecognised-format", f"<{root.tag}> is no manifest of arXiv's bulk files")
    return [
        Chunk(
            _text(file, "filename"), _text(file, "md5sum"), int(_text(file, "size") or 0), _text(file, "yymm")
        )
        for file in root.iter("file")
    ]


def is_oai(head: Head) -> bool:
    """Whether it is a reply of arXiv's OAI-PMH server."""
    return b"<OAI-PMH" in head.data[:2000] and b"arxiv" in head.data.lower()


def is_atom(head: Head) -> bool:
    """Whether it is a reply of the query API."""
    return b"<feed" in head.data[:2000] and b"http://arxiv.org/schemas/atom" in head.data


def is_snapshot(head: Head) -> bool:
    """Whether it holds lines of the snapshot, which describe papers and have no text of them."""
    first = head.data.partition(b"\n")[0]
    named = all(name in first for name in (b'"id"', b'"categories"', b'"license"'))
    return first.startswith(b"{") and named and b'"text"' not in first


def _reply(parse: Callable[[bytes], ListingPage], path: Path) -> Iterator[Paper | BrokenInput]:
    """The papers a server's reply describes, or why it cannot be read."""
    try:
        yield from parse(read_limited(open_chunks(path), XML_BYTES_MAX)).papers
    except BrokenInput as broken:
        yield broken


atom_papers, oai_papers = partial(_reply, parse_atom), partial(_reply, parse_oai)


def snapshot_papers(path: Path) -> Iterator[Paper | BrokenInput]:
    """The papers of the snapshot, and lines that cannot be read in their place."""
    try:
        yield from map(_row, json_lines(open_chunks(path)))
    except BrokenInput as broken:
        yield broken


def _row(record: Record | BrokenInput) -> Paper | BrokenInput:
    if isinstance(record, BrokenInput):
        return record
    try:
        return parse_row(record)
    except BrokenInput as broken:
        return broken


class Catalogue:
    """Papers by number, on disk."""

    def __init__(self, path: Path) -> None:
        self._base = sqlite3.connect(path)
        self._base.execute("pragma synchronous = off")
        self._base.execute(
            "create table if not exists paper "
            "(number text primary key, title text, categories text, license text)"
        )
        self.num_papers = 0

    def add(self, papers: Iterable[Paper]) -> None:
        """Take papers in; of several descriptions of one, what the later says replaces what it says."""
        rows = [(paper.number, paper.title, " ".join(paper.categories), paper.license) for paper in papers]
        self._base.executemany(
            "insert into paper values (?, ?, ?, ?) on conflict (number) do update set "
            "title = coalesce(nullif(excluded.title, ''), title), "
            "categories = coalesce(nullif(excluded.categories, ''), categories), "
            "license = coalesce(nullif(excluded.license, ''), license)",
            rows,
        )
        self.num_papers += len(rows)

    def described(self, document: Document) -> Document:
        """The document with its paper's categories and licence, where the catalogue knows it."""
        if not self.num_papers or document.source != "arxiv":
            return document
        found = self._base.execute(
            "select categories, license from paper where number = ?", (_bare(document.native_id),)
        ).fetchone()
        if found is None:
            return document
        return Document(
            document.source, document.native_id, document.revision, document.title, document.text,
            document.origin, tuple(found[0].split()), found[1],
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()


def _bare(native_id: str) -> str:
    """The paper's number of a document that may be a supplement of it.

    Example:
        >>> _bare("2601.00001/more.tex"), _bare("hep-th/9901001")
        ('2601.00001', 'hep-th/9901001')
    """
    match = re.match(r"\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?/\d{7}", native_id)
    return match[0] if match else native_id
