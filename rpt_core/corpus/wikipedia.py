"""MediaWiki dumps: pages out of a stream of any length, in bounded memory.

The stream is cut at ``<page>`` and ``</page>`` (page text is escaped, so neither can stand inside one)
and every page is parsed by lxml on its own. Against one ``iterparse`` over the whole dump this costs
nothing measurable, and a page that is not well-formed takes no other page with it; a document type, and with
it every entity attack, never reaches a parser.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from lxml import etree

from rpt_core.corpus.rows import Document, Dropped, Row, preview
from rpt_core.corpus.sources import Source
from rpt_core.corpus.streams import Broken, as_utf8, open_chunks
from rpt_core.corpus.wiki_names import SiteNames, is_disambiguation
from rpt_core.corpus.wikitext import categories, to_text

SOURCE = "wikipedia"
LICENSE = "CC BY-SA"
PAGE_BYTES_MAX = 64 << 20
"""A longer page is skipped without being held; the longest real articles have about 4 MB."""
MARKUP_FACTOR = 4
"""A page may have this many times the recipe's characters before its mark-up is taken away."""
_HEADER_BYTES_MAX = 1 << 20
_OPEN, _CLOSE = b"<page>", b"</page>"
_FORBIDDEN = re.compile(rb"<!(DOCTYPE|ENTITY)")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a dump, latest revision."""

    title: str
    namespace: str
    page_id: str
    revision_id: str
    model: str
    is_redirect: bool
    wikitext: str


def read_dump(source: Source, max_chars: int) -> Iterator[Row]:
    """Articles as documents; every other page, and every break, as a dropped row."""
    site = SiteNames()
    try:
        for piece in split_pages(as_utf8(open_chunks(source.path))):
            if isinstance(piece, Header):
                site = SiteNames.parse(piece.xml)
            elif isinstance(piece, Broken):
                yield _drop(source, piece.reason, detail=piece.detail)
            else:
                yield _row(source, piece, site, max_chars)
    except Broken as broken:
        yield _drop(source, broken.reason, detail=broken.detail)


def _drop(source: Source, reason: str, page: Page | None = None, detail: str = "") -> Dropped:
    return Dropped(
        SOURCE,
        source.name,
        reason,
        native_id=page.page_id if page else "",
        title=page.title if page else "",
        preview=preview(detail or (page.wikitext if page else "")),
    )


def _row(source: Source, fragment: bytes, site: SiteNames, max_chars: int) -> Row:
    try:
        page = parse_page(fragment)
    except Broken as broken:
        return _drop(source, broken.reason, detail=broken.detail)
    reason = refusal(page)
    if reason:
        return _drop(source, reason, page)
    if len(page.wikitext) > MARKUP_FACTOR * max_chars:
        return _drop(source, "gigantic", page)
    try:
        text = to_text(page.wikitext, site)
    except Broken as broken:
        return _drop(source, broken.reason, page, broken.detail)
    if not text or len(text) > max_chars:
        return _drop(source, "gigantic" if text else "no-prose", page)
    return Document(
        SOURCE,
        native_id=f"{site.database(source.path.name)}:{page.page_id}",
        revision=page.revision_id,
        title=page.title,
        text=text,
        origin=source.name,
        categories=categories(page.wikitext, site),
        license=LICENSE,
    )


def refusal(page: Page) -> str:
    """Why a page is no article, or nothing."""
    if page.namespace != "0":
        return "other-namespace"
    if page.is_redirect:
        return "redirect"
    if page.model not in ("", "wikitext"):
        return "not-wikitext"
    if is_disambiguation(page.title, page.wikitext):
        return "disambiguation"
    return "" if page.wikitext.strip() else "no-prose"


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the first page: site name, namespaces."""

    xml: bytes


def split_pages(
    chunks: Iterable[bytes], page_bytes_max: int = PAGE_BYTES_MAX
) -> Iterator[Header | bytes | Broken]:
    """Cut a dump into its header and its pages; what cannot be a page comes as :class:`Broken`.

    Holds one page and one chunk. Concatenated dumps read as one; a later header is ignored.

    Raises:
        Broken: whatever the stream itself raises, after the pages before it; a document type.
    """
    held, searched, skipping, headed = bytearray(), 0, False, False
    for chunk in chunks:
        held += chunk
        if not headed and (_OPEN in held or len(held) > _HEADER_BYTES_MAX):
            headed = True
            yield _header(bytes(held[: max(held.find(_OPEN), 0)]))
        while (end := held.find(_CLOSE, max(0, searched - len(_CLOSE)))) >= 0:
            if not skipping:
                yield from _cut(bytes(held[: end + len(_CLOSE)]))
            del held[: end + len(_CLOSE)]
            searched, skipping = 0, False
        searched = len(held)
        if len(held) > page_bytes_max:
            if not skipping:
                yield Broken("gigantic", f"a page of more than {page_bytes_max} bytes")
            skipping = True
            del held[: -len(_CLOSE)]
            searched = 0
    if not headed:
        yield _header(bytes(held))
    if _OPEN in held:
        yield Broken("truncated-xml", held[held.find(_OPEN) :][:200].decode("utf-8", "replace"))


def _header(xml: bytes) -> Header:
    if _FORBIDDEN.search(xml):
        raise Broken("entity-declaration", "a document type stands before the first page")
    return Header(xml)


def _cut(piece: bytes) -> Iterator[bytes | Broken]:
    """The page at the end of ``piece``; an unclosed one before it is reported, not lost."""
    starts = [match.start() for match in re.finditer(_OPEN, piece)]
    for start, following in pairwise(starts):
        yield Broken("broken-xml", piece[start : min(following, start + 200)].decode("utf-8", "replace"))
    if starts:
        yield piece[starts[-1] :]
    else:
        yield Broken("broken-xml", piece[-200:].decode("utf-8", "replace"))


def parse_page(fragment: bytes) -> Page:
    """Read one ``<page>`` element.

    Raises:
        Broken: it is not well-formed, or has no title or revision.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
    try:
        root = etree.fromstring(fragment, parser)
    except etree.XMLSyntaxError as error:
        raise Broken("broken-xml", str(error)) from None
    revisions = root.findall("revision")
    title = (root.findtext("title") or "").strip()
    if not revisions or not title:
        raise Broken("broken-xml", f"page {title!r} has {len(revisions)} revisions")
    last = revisions[-1]
    return Page(
        title=title,
        namespace=(root.findtext("ns") or "0").strip(),
        page_id=(root.findtext("id") or "").strip(),
        revision_id=(last.findtext("id") or "").strip(),
        model=(last.findtext("model") or "").strip(),
        is_redirect=root.find("redirect") is not None or _is_redirect(last.findtext("text") or ""),
        wikitext=last.findtext("text") or "",
    )


_REDIRECT = re.compile(r"\s*#\s*[^\W\d_]{4,20}\s*:?\s*\[\[", re.UNICODE)


def _is_redirect(wikitext: str) -> bool:
    """``#REDIRECT [[..]]`` in any language: a hash, one word, a link, and nothing else worth reading."""
    return bool(_REDIRECT.match(wikitext)) and len(wikitext) < 500
