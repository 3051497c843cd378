import bz2

import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.corpus.files.datafiles import ALL_COLUMNS
from rpt_core.corpus.files.parts import How
from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.corpus.ingest import ingest
from rpt_core.corpus.readers import find_sources
from rpt_core.corpus.rows import Document, Dropped
from rpt_core.corpus.wiki.dump import cut_pages, read_dump
from rpt_core.errors import SourceError
from rpt_core.recipes.corpus import IngestRecipe
from rpt_core.sample.dump import FOOTER, HEADER, page_xml

PROSE = "The tower was built in 1889 and stands near the river."


def page(title="Tower", wikitext=PROSE, page_id=7, **options):
    return page_xml(title, page_id, 70 + page_id, wikitext, **options)


def read(tmp_path, data, name="samplewiki-x.xml", max_chars=10_000):
    (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return list(read_dump(find_sources(tmp_path / name)[0], How(max_chars, ALL_COLUMNS)))


def reasons(rows):
    return [row.reason for row in rows if isinstance(row, Dropped)]


def test_an_article_with_its_provenance(tmp_path):
    (row,) = read(tmp_path, HEADER + page(wikitext=f"'''{PROSE}'''\n[[Category:Towers|T]]") + FOOTER)
    assert (row.source, row.native_id, row.revision, row.title) == (
        "wikipedia",
        "samplewiki:7",
        "77",
        "Tower",
    )
    assert (row.text, row.categories, row.license) == (PROSE, ("Towers",), "CC BY-SA")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"namespace": 1}, "other-namespace"),
        ({"redirect": "Other"}, "redirect"),
        ({"wikitext": "#WEITERLEITUNG [[Turm]]"}, "redirect"),
        ({"wikitext": "#REDIRECT [[Turm]]"}, "redirect"),
        ({"model": "json"}, "not-wikitext"),
        ({"wikitext": "'''Mercury''' may be\n* a planet\n{{disambiguation}}"}, "disambiguation"),
        ({"wikitext": "{{Begriffsklärung}}\n'''Berlin''' ist"}, "disambiguation"),
        ({"title": "Mercury (disambiguation)"}, "disambiguation"),
        ({"wikitext": "   "}, "no-prose"),
        ({"wikitext": "{{Infobox|a=b}}"}, "no-prose"),
        ({"wikitext": PROSE * 300}, "gigantic"),
        ({"wikitext": "[[" * 20_000}, "too-costly"),
    ],
)
def test_pages_that_are_no_articles_are_named(tmp_path, options, reason):
    assert reasons(read(tmp_path, HEADER + page(**options) + FOOTER)) == [reason]


def test_multistream_and_plain_dumps_read_the_same(tmp_path):
    plain = read(tmp_path, HEADER + page() + page("Bridge", page_id=8) + FOOTER)
    streams = b"".join(
        bz2.compress(part.encode()) for part in (HEADER, page(), page("Bridge", page_id=8), FOOTER)
    )
    packed = read(tmp_path, streams, "samplewiki-x.xml.bz2")
    assert [row.doc_id for row in plain] == [row.doc_id for row in packed]


def test_utf_16_dumps_are_read(tmp_path):
    (row,) = read(tmp_path, (HEADER + page("Календар", PROSE) + FOOTER).encode("utf-16"))
    assert row.title == "Календар"


def test_pages_of_two_editions_with_one_number_are_two_documents(tmp_path):
    first, second = (
        read(tmp_path, HEADER + page() + FOOTER, name)[0] for name in ("dewiki-a.xml", "frwiki-a.xml")
    )
    assert first.doc_id != second.doc_id


def test_a_broken_page_takes_no_other_page_with_it(tmp_path):
    broken = page("Broken").replace("</text>", "</txt>")
    rows = read(tmp_path, HEADER + page("A", page_id=1) + broken + page("B", page_id=2) + FOOTER)
    assert [row.title for row in rows if isinstance(row, Document)] == ["A", "B"]
    assert reasons(rows) == ["broken-xml"]


def test_a_page_that_never_closes_is_reported_and_the_next_one_read(tmp_path):
    rows = read(tmp_path, HEADER + page("A").replace("</page>", "") + page("B") + FOOTER)
    assert [row.title for row in rows if isinstance(row, Document)] == ["B"]
    assert reasons(rows) == ["broken-xml"]


@pytest.mark.parametrize("cut", [30, 200, 300])
def test_a_dump_that_ends_inside_a_page(tmp_path, cut):
    rows = read(tmp_path, (HEADER + page("A") + page("B") + FOOTER)[: -len(FOOTER) - cut])
    assert [row.title for row in rows if isinstance(row, Document)] == ["A"]
    assert reasons(rows) == ["truncated-xml"]


def test_a_truncated_bz2_keeps_the_streams_before_the_break(tmp_path):
    data = bz2.compress((HEADER + page("A")).encode()) + bz2.compress(page("B" * 2000).encode())[:-30]
    rows = read(tmp_path, data, "samplewiki-x.xml.bz2")
    assert [row.title for row in rows if isinstance(row, Document)] == ["A"]
    assert reasons(rows) == ["truncated-bz2"]


def test_a_dump_without_header_is_read(tmp_path):
    rows = read(tmp_path, "<mediawiki>" + page("A") + FOOTER)
    assert rows[0].native_id == "samplewiki:7"


def test_entities_never_reach_a_parser(tmp_path):
    bomb = (
        '<!DOCTYPE mediawiki [<!ENTITY a "x"><!ENTITY b "&a;&a;">]>' + HEADER + page(wikitext="&b;") + FOOTER
    )
    assert reasons(read(tmp_path, bomb)) == ["entity-declaration"]
    assert reasons(read(tmp_path, HEADER + page().replace("The tower", "&bomb; tower") + FOOTER)) == [
        "broken-xml"
    ]


def test_a_gigantic_page_is_skipped_without_being_held():
    chunks = [
        HEADER.encode(),
        b"<page>",
        *([b"x" * 10_000] * 200),
        b"</page>",
        page("B").encode(),
        FOOTER.encode(),
    ]
    found = list(cut_pages(chunks, page_bytes_max=100_000))
    assert [type(piece) for piece in found] == [BrokenInput, bytes]
    assert found[0].reason == "gigantic"


def test_control_bytes_in_a_page_are_broken_xml(tmp_path):
    assert reasons(
        read(tmp_path, HEADER.encode() + page().encode().replace(b"tower", b"to\x01wer") + FOOTER.encode())
    ) == ["broken-xml"]


def test_invalid_utf_8_in_one_page_is_broken_xml_of_that_page(tmp_path):
    data = (
        HEADER.encode()
        + page("A").encode().replace(b"tower", b"to\xffwer")
        + page("B").encode()
        + FOOTER.encode()
    )
    rows = read(tmp_path, data)
    assert reasons(rows) == ["broken-xml"]
    assert [row.title for row in rows if isinstance(row, Document)] == ["B"]


def test_the_last_revision_of_a_history_counts(tmp_path):
    old = "<revision><id>1</id><text>Old words that were replaced later on.</text></revision>"
    (row,) = read(tmp_path, HEADER + page().replace("    <revision>", old + "<revision>", 1) + FOOTER)
    assert (row.revision, row.text) == ("77", PROSE)


def test_a_dump_without_pages_is_a_row_of_its_own(tmp_path):
    (row,) = read(tmp_path, HEADER + FOOTER)
    assert (row.reason, row.native_id, row.origin) == ("no-pages", "samplewiki-x.xml", "samplewiki-x.xml")
    (row,) = read(tmp_path, bz2.compress(HEADER.encode()), "samplewiki-y.xml.bz2")
    assert row.reason == "no-pages"


def test_a_dump_without_pages_beside_others_is_counted(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/awiki-x.xml").write_text(HEADER + FOOTER)
    with pytest.raises(SourceError, match=r"'no-pages': 1"):
        ingest(IngestRecipe(data=str(tmp_path / "data")), LocalBuild({}, tmp_path / "a", tmp_path / "b"))
    (tmp_path / "data/bwiki-x.xml").write_text(HEADER + page() + FOOTER)
    outcome = ingest(
        IngestRecipe(data=str(tmp_path / "data")), LocalBuild({}, tmp_path / "c", tmp_path / "d")
    )
    assert (outcome.rows.rows_in, outcome.rows.kept, outcome.rows.dropped) == (2, 1, {"no-pages": 1})


BROKEN = page("Old & new", page_id=12)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BROKEN.replace("</revision>", ""), "broken-xml"),
        (BROKEN.replace("The tower", "The \x01 tower"), "broken-xml"),
        (BROKEN.replace("</page>", "") + page("Next", page_id=13), "broken-xml"),
        (BROKEN.replace("<revision>", "<x>").replace("</revision>", "</x>"), "broken-xml"),
        (BROKEN[: len(BROKEN) // 2], "truncated-xml"),
    ],
)
def test_a_page_that_cannot_be_read_is_named_by_its_title_and_number(tmp_path, text, reason):
    lost = [row for row in read(tmp_path, HEADER + text + FOOTER) if isinstance(row, Dropped)]
    assert [(row.reason, row.title, row.native_id) for row in lost] == [(reason, "Old & new", "12")]


@pytest.mark.parametrize("size", [1, 64, 1 << 16])
def test_a_gigantic_page_keeps_its_title(size):
    text = (page("Big one", wikitext="x" * 5000) + page("Small", page_id=8)).encode()
    big, small = cut_pages((text[at : at + size] for at in range(0, len(text), size)), 2000)
    assert isinstance(big, BrokenInput)
    assert "<title>Big one</title>" in big.detail
    assert b"Small" in small


@pytest.mark.parametrize(
    "wikitext",
    [
        "#転送 [[目標]]", "#リダイレクト[[目標]]", "#重定向 [[目标]]", "#REDIRECT[[x]]",
        "#เปลี่ยนทาง [[x]]", "#넘겨주기 [[x]]",
        "#تحويل [[x]]", "#перенаправление [[x]]", "#ПЕРЕНАПР [[x]]",
        "#đổi [[x]]", "#Tam [[x]]", "#PATRZ: [[x]]",
        "#अनुप्रेषित [[x]]", "#הפניה [[x]]", "#OMDIRIGERING [[x]]",
        "\n #redirección [[x#y|z]] {{R from move}}", "#виж [[x]]",
    ],
)  # fmt: skip
def test_redirects_without_their_element_in_the_words_of_every_edition(tmp_path, wikitext):
    assert reasons(read(tmp_path, HEADER + page(wikitext=wikitext) + FOOTER)) == ["redirect"]


@pytest.mark.parametrize(
    "wikitext", ["# [[One]] is a tower.\n# [[Two]]", "#1 [[Tower]] of the town.", "# of [[x]]"]
)
def test_lists_are_no_redirects(tmp_path, wikitext):
    assert reasons(read(tmp_path, HEADER + page(wikitext=wikitext) + FOOTER)) == []


def test_sentences_left_out_of_a_page_are_a_row_beside_it(tmp_path):
    wikitext = f"{PROSE} It has {{{{Metadaten Einwohnerzahl DE-BE|Tower}}}} people."
    kept, lost = read(tmp_path, HEADER + page(wikitext=wikitext) + FOOTER)
    assert kept.text == PROSE
    assert (lost.reason, lost.title, lost.native_id) == ("value-elsewhere", "Tower", "7")
    assert lost.preview == "1 sentences, the first: It has people."


@pytest.mark.parametrize(
    ("name", "shown"), [("dewiki-x.xml", "1.234.567"), ("frwiki-x.xml", "1 234 567"), ("x.xml", "1,234,567")]
)
def test_the_file_s_name_tells_the_edition(tmp_path, name, shown):
    (row,) = read(tmp_path, HEADER + page(wikitext="It has {{formatnum:1234567}} people.") + FOOTER, name)
    assert row.text == f"It has {shown} people."
