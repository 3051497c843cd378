"""Articles as a MediaWiki export: multistream bz2 with its index, dressed in mark-up that must fall away."""

import bz2
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from rpt_core.sample.truth import Truth

PAGES_PER_STREAM = 100
HEADER = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">\n'
    "  <siteinfo>\n    <sitename>Samplepedia</sitename>\n    <dbname>samplewiki</dbname>\n    <namespaces>\n"
    '      <namespace key="0" case="first-letter" />\n'
    '      <namespace key="1" case="first-letter">Talk</namespace>\n'
    '      <namespace key="6" case="first-letter">File</namespace>\n'
    '      <namespace key="14" case="first-letter">Category</namespace>\n    </namespaces>\n  </siteinfo>\n'
)
FOOTER = "</mediawiki>\n"
_SPECIAL = re.compile(r"[\[\]{}<>|&~_]|''|^[=*#:; ]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Article:
    """One page of the main namespace."""

    title: str
    paragraphs: tuple[str, ...]
    page_id: int
    revision: int


def literal(text: str) -> str:
    """Prose as wikitext that reads as the same prose."""
    return f"<nowiki>{escape(text)}</nowiki>" if _SPECIAL.search(text) else text


def dressed(article: Article) -> str:
    """Wikitext of an article: a box, a picture, citations, links, a closing section, all to vanish."""
    first, *others = (literal(paragraph) for paragraph in article.paragraphs)
    number = article.page_id
    if number % 3 == 0:
        first = f"{{{{Infobox sample\n| name = {article.title}\n| image = Plan.svg\n}}}}\n{first}"
    if number % 4 == 0:
        first = f"[[File:Map {number}.png|thumb|right|A map of the [[region]]]]\n{first}"
    if number % 2 == 0:
        first += f'<ref name="a{number}">{{{{cite book|title=Annals|page={number}}}}}</ref>'
    if number % 5 == 0 and "<nowiki>" not in first:
        first = re.sub(r"\b(coach|garden|robot|clock|tram|farm|coins)\b", r"[[\1]]", first, count=1)
    body = "\n\n".join([first, *others])
    if number % 6 == 0:
        body += "\n\n== See also ==\n* [[Another place]]\n"
    return f"{body}\n\n[[Category:Sample places]]\n[[Category:Letter {article.title[0]}]]"


def page_xml(
    title: str,
    page_id: int,
    revision: int,
    wikitext: str,
    namespace: int = 0,
    model: str = "wikitext",
    redirect: str = "",
) -> str:
    """One ``<page>`` element."""
    to = f'    <redirect title="{escape(redirect)}" />\n' if redirect else ""
    return (
        f"  <page>\n    <title>{escape(title)}</title>\n    <ns>{namespace}</ns>\n    "
        f"<id>{page_id}</id>\n{to}"
        f"    <revision>\n      <id>{revision}</id>\n      <timestamp>2026-01-01T00:00:00Z</timestamp>\n"
        f"      <model>{model}</model>\n      <format>text/x-wiki</format>\n"
        f'      <text bytes="{len(wikitext.encode())}" xml:space="preserve">{escape(wikitext)}</text>\n'
        "    </revision>\n  </page>\n"
    )


def article_xml(article: Article) -> str:
    """The page of an article."""
    return page_xml(article.title, article.page_id, article.revision, dressed(article))


def _other_pages(origin: str, truth: Truth) -> Iterator[tuple[int, str, str]]:
    """Pages every real dump has and no corpus wants."""
    pages: tuple[tuple[int, str, str, dict[str, Any], str], ...] = (
        (11, "Talk:Clocks", "other-namespace", {"namespace": 1}, "Should this be merged?"),
        (12, "Category:Sample places", "other-namespace", {"namespace": 14}, "[[Category:Places]]"),
        (13, "Old name", "redirect", {"redirect": "Clocks"}, "#REDIRECT [[Clocks]]"),
        (
            14,
            "Mercury",
            "disambiguation",
            {},
            "'''Mercury''' may be:\n* [[Mercury (planet)]]\n{{disambiguation}}",
        ),
        (15, "Settings.json", "not-wikitext", {"model": "json"}, '{"a": 1}'),
        (16, "Box only", "no-prose", {}, "{{Infobox sample|name=Nothing}}\n[[Category:Empty]]"),
    )
    for page_id, title, reason, options, wikitext in pages:
        truth.drop("ingest", origin, reason, title)
        yield page_id, title, page_xml(title, page_id, page_id, wikitext, **options)


def write_dump(path: Path, articles: Iterable[Article], truth: Truth) -> None:
    """Streams of a hundred pages each, and the index that tells where they start."""
    path.parent.mkdir(parents=True, exist_ok=True)
    origin = f"{path.parent.name}/{path.name}"
    pages = list(_other_pages(origin, truth))
    pages += [(article.page_id, article.title, article_xml(article)) for article in articles]
    index: list[str] = []
    with path.open("wb") as stream:
        stream.write(bz2.compress(HEADER.encode()))
        for start in range(0, len(pages), PAGES_PER_STREAM):
            group = pages[start : start + PAGES_PER_STREAM]
            offset = stream.tell()
            index += [f"{offset}:{page_id}:{title}\n" for page_id, title, _ in group]
            stream.write(bz2.compress("".join(xml for _, _, xml in group).encode()))
        stream.write(bz2.compress(FOOTER.encode()))
    index_path = path.with_name(path.name.replace(".xml.bz2", "-index.txt.bz2"))
    index_path.write_bytes(bz2.compress("".join(index).encode()))
    truth.drop("ingest", f"{path.parent.name}/{index_path.name}", "companion-file")
