"""MediaWiki dumps: pages out of a stream of any length, in bounded memory.

The stream is cut at ``<page>`` and ``</page>`` (page text is escaped, so neither can stand inside one)
and every page is parsed by lxml on its own. Against one ``iterparse`` over the whole dump this costs
nothing measurable, and a page that is not well-formed takes no other page with it; a document type, and with
it every entity attack, never reaches a parser.
"""

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from lxml import etree

from rpt_core.corpus.files.parts import How
from rpt_core.corpus.files.sources import Head, Source
from rpt_core.corpus.files.streams import BrokenInput, as_utf8, open_chunks
from rpt_core.corpus.origins import Origin
from rpt_core.corpus.rows import Document, Dropped, Row, preview
from rpt_core.corpus.wiki.names import REDIRECTS, SiteNames, is_disambiguation
from rpt_core.corpus.wiki.text import categories, to_prose

FORM = "mediawiki"
WIKIPEDIA = Origin("wikipedia", priority=20, licence="CC BY-SA")
PAGE_BYTES_MAX = 64 << 20
"""A longer page is skipped without being held; the longest real articles have about 4 MB."""
MARKUP_FACTOR = 4
"""A page may have this many times the recipe's characters before its mark-up is taken away."""
_HEADER_BYTES_MAX = 1 << 20
OPEN, CLOSE = b"<page>", b"</page>"
_TAG = re.compile(rb"</?page>")
_TITLE = re.compile(r"<title>([^<>]{1,300})</title>")
_NUMBER = re.compile(r"<id>(\d{1,20})</id>")
_SHOWN_BYTES = 2000
_HEAD_BYTES = 200
"""Of a page that is not read, what its row shows: its title stands there."""
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


def is_dump(head: Head) -> bool:
    """Whether MediaWiki's root element stands in it, in one or two bytes a character."""
    return b"<mediawiki" in head.data or "<mediawiki".encode("utf-16-le") in head.data


def read_dump(source: Source, how: How) -> Iterator[Row]:
    """Articles as documents; every other page, and every break, as a dropped row."""
    site, pieces = open_dump(source, open_chunks(source.path))
    for piece in pieces:
        yield from page_rows(site, source, piece, how)


def open_dump(source: Source, chunks: Iterator[bytes]) -> tuple[SiteNames, Iterator[bytes | Dropped]]:
    """The names a dump's header gives, and its pages; what is no page, and a break, as a dropped row."""
    try:
        header, text = read_header(as_utf8(chunks))
    except BrokenInput as broken:
        return SiteNames(), iter((dropped(source, broken),))
    return SiteNames.parse(header), _pieces(source, text)


def _pieces(source: Source, text: Iterator[bytes]) -> Iterator[bytes | Dropped]:
    try:
        found = False
        for piece in cut_pages(text):
            found = True
            yield dropped(source, piece) if isinstance(piece, BrokenInput) else piece
        if not found:
            yield _drop(source, "no-pages", detail="the dump ends without a page", native_id=source.name)
    except BrokenInput as broken:
        yield dropped(source, broken)


def page_rows(site: SiteNames, source: Source, piece: bytes | Dropped, how: How) -> Iterator[Row]:
    """A page as a document or a dropped row; what was dropped before stays so."""
    if isinstance(piece, Dropped):
        yield piece
    else:
        yield from _rows(source, piece, site, how.max_chars)


def dropped(source: Source, broken: BrokenInput, shown: str = "") -> Dropped:
    """A part of a dump that is no page; named by the title and number that stand in it.

    Args:
        source: The dump.
        broken: What is wrong.
        shown: Its text, where the detail does not hold it.
    """
    text = shown or broken.detail
    title, number = _TITLE.search(text), _NUMBER.search(text)
    return _drop(
        source,
        broken.reason,
        detail=broken.detail,
        native_id=number[1] if number else "",
        title=html.unescape(title[1]).strip() if title else "",
    )


def _drop(
    source: Source,
    reason: str,
    page: Page | None = None,
    detail: str = "",
    native_id: str = "",
    title: str = "",
) -> Dropped:
    return Dropped(
        WIKIPEDIA.name,
        source.name,
        reason,
        native_id=page.page_id if page else native_id,
        title=page.title if page else title,
        preview=preview(detail or (page.wikitext if page else "")),
    )


def _rows(source: Source, fragment: bytes, site: SiteNames, max_chars: int) -> Iterator[Row]:
    """One page's row; and one more when sentences of it were left out."""
    try:
        page = parse_page(fragment)
    except BrokenInput as broken:
        yield dropped(source, broken, fragment[:_SHOWN_BYTES].decode("utf-8", "replace"))
        return
    reason = refusal(page)
    if reason:
        yield _drop(source, reason, page)
        return
    if len(page.wikitext) > MARKUP_FACTOR * max_chars:
        yield _drop(source, "gigantic", page)
        return
    try:
        prose = to_prose(page.wikitext, site, site.language(source.path.name), page.title)
    except BrokenInput as broken:
        yield _drop(source, broken.reason, page, broken.detail)
        return
    if not prose.text or len(prose.text) > max_chars:
        yield _drop(source, "gigantic" if prose.text else "no-prose", page)
        return
    yield Document(
        WIKIPEDIA.name,
        native_id=f"{site.database(source.path.name)}:{page.page_id}",
        revision=page.revision_id,
        title=page.title,
        text=prose.text,
        origin=source.name,
        categories=categories(page.wikitext, site),
        license=WIKIPEDIA.licence,
    )
    if prose.lost:
        yield _drop(
            source, "value-elsewhere", page, f"{len(prose.lost)} sentences, the first: {prose.lost[0]}"
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


def read_header(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """What stands before the first page (site name, namespaces), and the text with it still there.

    Raises:
        Broken: the stream breaks before the first page; a document type stands there.
    """
    head = bytearray()
    for chunk in chunks:
        head += chunk
        if OPEN in head or len(head) > _HEADER_BYTES_MAX:
            break
    begin = head.find(OPEN)
    xml = bytes(head[:begin] if begin >= 0 else head)
    if _FORBIDDEN.search(xml):
        raise BrokenInput("entity-declaration", "a document type stands before the first page")
    return xml, chain([bytes(head)], chunks)


def cut_pages(chunks: Iterable[bytes], page_bytes_max: int = PAGE_BYTES_MAX) -> Iterator[bytes | BrokenInput]:
    """The pages of a text, from ``<page>`` to ``</page>``; what else they enclose is :class:`BrokenInput`.

    What stands between pages is passed over, so concatenated dumps read as one. The text is cut at every
    tag, so what comes out of a part that begins with ``<page>`` depends on nothing before it: a dump may be
    cut at any of them and read in parts. Holds one page and one chunk.

    Raises:
        Broken: whatever the stream itself raises, after the pages before it.
    """
    held, searched, skipped, opened, head = bytearray(), 0, 0, False, b""
    shown = min(_HEAD_BYTES, page_bytes_max)
    for chunk in chunks:
        held += chunk
        start = 0
        for tag in _TAG.finditer(held, searched):
            closes = tag.end() - tag.start() == len(CLOSE)
            end = tag.end() if closes else tag.start()
            if skipped + end - start > page_bytes_max:
                yield _gigantic(page_bytes_max, head or bytes(held[start : start + shown]))
            elif closes and opened:
                yield bytes(held[start:end])
            elif closes:
                yield _broken_xml(held[max(start, end - 200) : end])
            elif opened:
                yield _broken_xml(held[start : min(end, start + 200)])
            start, skipped, opened, head = end, 0, not closes, b""
        del held[:start]
        searched = max(len(held) - len(CLOSE) + 1, len(OPEN) if opened and not skipped else 0)
        if skipped + searched > page_bytes_max:
            head = head or bytes(held[:shown])
            skipped += searched
            del held[:searched]
            searched = 0
    if skipped + len(held) > page_bytes_max:
        yield _gigantic(page_bytes_max, head or bytes(held[:shown]))
    elif opened:
        yield BrokenInput("truncated-xml", held[:_HEAD_BYTES].decode("utf-8", "replace"))


def _gigantic(page_bytes_max: int, head: bytes) -> BrokenInput:
    return BrokenInput(
        "gigantic", f"a page of more than {page_bytes_max} bytes: {head.decode('utf-8', 'replace')}"
    )


def _broken_xml(shown: bytearray) -> BrokenInput:
    return BrokenInput("broken-xml", shown.decode("utf-8", "replace"))


def parse_page(fragment: bytes) -> Page:
    """Read one ``<page>`` element.

    Raises:
        Broken: it is not well-formed, or has no title or revision.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
    try:
        root = etree.fromstring(fragment, parser)
    except etree.XMLSyntaxError as error:
        raise BrokenInput("broken-xml", str(error)) from None
    revisions = root.findall("revision")
    title = (root.findtext("title") or "").strip()
    if not revisions or not title:
        raise BrokenInput("broken-xml", f"page {title!r} has {len(revisions)} revisions")
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


_REDIRECT = re.compile(
    rf"\s{{0,100}}#\s?(?:[^\W\d_]{{4,20}}|(?:{'|'.join(map(re.escape, REDIRECTS))}))\s?[:：]?\s?\[\[",
    re.IGNORECASE,
)


def _is_redirect(wikitext: str) -> bool:
    """``#REDIRECT [[..]]`` in any language: a hash, one word, a link, and nothing else worth reading."""
    return bool(_REDIRECT.match(wikitext)) and len(wikitext) < 500
