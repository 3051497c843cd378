"""Broken and hostile files, stage by stage: none stops them, each is counted, named and readable."""

import bz2
import io
import json
import os
import re
import tarfile
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Ref
from rpt_core.corpus.ingest import ingest
from rpt_core.corpus.prepare import prepare
from rpt_core.corpus.reasons import REASONS
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe
from rpt_core.sample.dump import FOOTER, HEADER, page_xml
from rpt_core.sample.eprints import packed, tarred

WORDS = "The tower was built in 1889 and stands near the old river, where people meet in the evening."
MAX_CHARS = 200_000


def page(title="Tower", wikitext=WORDS, **options):
    return page_xml(title, 7, 77, wikitext, **options)


def dump(*pages, header=HEADER, footer=FOOTER):
    return (header + "".join(pages) + footer).encode()


def paper(body, preamble=""):
    return f"\\documentclass{{a}}{preamble}\\begin{{document}}{body}\\end{{document}}".encode()


def member(kind=tarfile.REGTYPE, name="main.tex", data=b"", link=""):
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.size = kind, link, len(data)
        archive.addfile(entry, io.BytesIO(data))
    return held.getvalue()


def parquet(**columns):
    held = io.BytesIO()
    pq.write_table(pa.table(columns), held)
    return held.getvalue()


def flipped(data, at):
    wrong = bytearray(data)
    for i in range(at, at + 8):
        wrong[i] ^= 0xFF
    return bytes(wrong)


def line(value):
    return json.dumps(value).encode() + b"\n"


GOOD = line({"text": WORDS})
LYING = bytearray(tarred({"main.tex": paper(WORDS)}))
LYING[124:136] = b"77777777777\0"
PARQUET = parquet(text=[WORDS] * 3)
TWO_STREAMS = bz2.compress(dump(page("First"), footer="")) + bz2.compress(dump(page("Second"), header=""))

BROKEN: dict[str, tuple[bytes, dict[str, int], int]] = {
    # dumps
    "d/cut.xml.bz2": (TWO_STREAMS[:-40], {"truncated-bz2": 1}, 1),
    "d/cut-early.xml.bz2": (bz2.compress(dump(page()))[:60], {"truncated-bz2": 1}, 0),
    "d/wrong.xml.bz2": (flipped(TWO_STREAMS, len(TWO_STREAMS) - 80), {"broken-bz2": 1}, 1),
    "d/nothing.xml.bz2": (bz2.compress(b""), {"empty-file": 1}, 0),
    "d/noise.xml.bz2": (b"BZh9" + bytes(range(200)), {"broken-bz2": 1}, 0),
    "d/after.xml.bz2": (bz2.compress(dump(page())) + b"junk after the stream", {"broken-bz2": 1}, 1),
    "d/bomb.xml": (dump(header='<!DOCTYPE m [<!ENTITY a "aa">]>' + HEADER), {"entity-declaration": 1}, 0),
    "d/outside.xml": (
        dump(header='<!DOCTYPE m [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + HEADER),
        {"entity-declaration": 1},
        0,
    ),
    "d/unknown-entity.xml": (dump(page(wikitext="x").replace(">x<", ">&a;<")), {"broken-xml": 1}, 0),
    "d/tag.xml": (dump(page().replace("</title>", "</ttl>"), page("B")), {"broken-xml": 1}, 1),
    "d/unclosed-page.xml": (dump(page().replace("</page>", ""), page("B")), {"broken-xml": 1}, 1),
    "d/ends-inside.xml": (dump(page("B"), page(), footer="")[:-60], {"truncated-xml": 1}, 1),
    "d/no-title.xml": (dump(page(title="")), {"broken-xml": 1}, 0),
    "d/control.xml": (dump(page()).replace(b"tower", b"to\x01wer"), {"broken-xml": 1}, 0),
    "d/latin1.xml": (dump(page()).replace(b"tower", b"t\xfcrm"), {"broken-xml": 1}, 0),
    "d/utf16.xml": (dump(page()).decode().encode("utf-16")[:-61], {"not-utf-8": 1}, 0),
    "d/huge.xml": (dump(page(wikitext=WORDS * 4000)), {"gigantic": 1}, 0),
    "d/deep.xml": (dump(page(wikitext="{{a|" * 20_000)), {"too-costly": 1}, 0),
    "d/links.xml": (dump(page(wikitext="[[" * 20_000)), {"too-costly": 1}, 0),
    "d/pages.xml": (
        dump(
            page("A", namespace=10),
            page("B", redirect="C"),
            page("D", model="json"),
            page("E", wikitext="'''E''' may be\n* a\n{{disambiguation}}"),
            page("F", wikitext="{{Infobox}}"),
            page("G", wikitext=""),
        ),
        {"other-namespace": 1, "redirect": 1, "not-wikitext": 1, "disambiguation": 1, "no-prose": 2},
        0,
    ),
    # LaTeX
    "arxiv/2601.00001.gz": (packed(paper("Here {\\bf it never closes.")), {"latex-unbalanced": 1}, 0),
    "arxiv/2601.00002.gz": (packed(paper("A } too many.")), {"latex-unbalanced": 1}, 0),
    "arxiv/2601.00003.gz": (packed(paper("A formula $x\n\nNext.")), {"latex-unbalanced": 1}, 0),
    "arxiv/2601.00004.gz": (packed(paper("\\[ x")), {"latex-unbalanced": 1}, 0),
    "arxiv/2601.00005.gz": (packed(paper("\\begin{quote} x")), {"latex-unbalanced": 1}, 0),
    "arxiv/2601.00006.gz": (packed(paper("\\a", "\\def\\a{\\a\\a}")), {"latex-explosion": 1}, 0),
    "arxiv/2601.00007.gz": (
        packed(paper("\\a{" * 40 + "x" + "}" * 40, "\\def\\a#1{#1#1}")),
        {"latex-explosion": 1},
        0,
    ),
    "arxiv/2601.00008.tar.gz": (
        packed(tarred({"main.tex": paper("\\input{a}"), "a.tex": b"\\input{main}"})),
        {"latex-explosion": 1},
        0,
    ),
    "arxiv/2601.00009.gz": (
        packed(paper("\\textsuperscript{" * 500 + "}" * 500)),
        {"latex-unbalanced": 1},
        0,
    ),
    "arxiv/2601.00010.gz": (packed(paper("This paper has been withdrawn.")), {"withdrawn": 1}, 0),
    "arxiv/2601.00011.gz": (packed(paper(WORDS * 4000)), {"gigantic": 1}, 0),
    "arxiv/2601.00012.gz": (packed(paper("")), {"no-prose": 1}, 0),
    "arxiv/2601.00013.gz": (packed(paper(WORDS))[:-12], {"truncated-gzip": 1}, 0),
    "arxiv/2601.00014.gz": (flipped(packed(paper(WORDS)), 30), {"broken-gzip": 1}, 0),
    "arxiv/2601.00015.gz": (packed(paper("x" * (40 << 20))), {"archive-bomb": 1}, 0),
    "arxiv/2601.00016.gz": (packed(b"\0" * (8 << 20)), {"unrecognised-format": 1}, 0),
    "arxiv/2601.00017.tar.gz": (
        packed(tarred({"../../up.tex": paper(WORDS)})),
        {"archive-path-escape": 1},
        0,
    ),
    "arxiv/2601.00018.tar.gz": (packed(tarred({"/etc/up.tex": paper(WORDS)})), {"archive-path-escape": 1}, 0),
    "arxiv/2601.00019.tar.gz": (packed(member(tarfile.SYMTYPE, link="/etc/passwd")), {"archive-link": 1}, 0),
    "arxiv/2601.00020.tar.gz": (packed(member(tarfile.CHRTYPE)), {"archive-link": 1}, 0),
    "arxiv/2601.00021.tar.gz": (packed(bytes(LYING)), {"broken-archive": 1}, 0),
    "arxiv/2601.00022.tar.gz": (packed(tarred({"main.tex": paper(WORDS)})[:600]), {"broken-archive": 1}, 0),
    "arxiv/2601.00023.tar.gz": (packed(tarred({"a.tex": paper("x" * (40 << 20))})), {"archive-bomb": 1}, 0),
    "arxiv/2601.00024.tar.gz": (packed(tarred({"p.pdf": b"%PDF-1.4"})), {"pdf-only": 1}, 0),
    "arxiv/2601.00025.tar.gz": (packed(tarred({"p.eps": b"x"})), {"no-tex": 1}, 0),
    "arxiv/2601.00026.pdf": (b"%PDF-1.4", {"pdf-only": 1}, 0),
    "arxiv/2601.00027.gz": (b"", {"empty-file": 1}, 0),
    # rows
    "r/lines.jsonl": (
        GOOD
        + b'{"text": "cut\n{"text": NaN}\n{"text": 1e999}\n{"text": "a", "text": "b"}\n[1]\n"x"\nnull\n\n'
        + b"[" * 50_000 + b"\n"
        + b'{"text": "\xff"}\n{"text": "half \\ud800 a pair"}\n{"text": 5}\n{"other": 1}\n{"text": " "}\n'
        + line({"text": "x" * 300_000})
        + GOOD.replace(b"1889", b"1890"),
        {"bad-json": 6, "not-utf-8": 2, "retyped-column": 3,
         "missing-column": 1, "no-prose": 1, "gigantic": 1},
        2,
    ),
    "r/long-line.jsonl.gz": (packed(b'{"text": "' + b"x" * (65 << 20) + b'"}\n' + GOOD), {"gigantic": 1}, 1),
    "r/cut.jsonl.gz": (packed(GOOD + os.urandom(4000).hex().encode())[:-9], {"truncated-gzip": 1}, 1),
    "r/array.json": (b'[{"text": "' + WORDS.encode() + b'"}, {"text"', {"bad-json": 1}, 1),
    "r/object.json": (json.dumps({"a": {"b": 1}}, indent=1).encode(), {"unrecognised-columns": 1}, 0),
    "r/odd-first.jsonl": (
        line({"text": None}) + line({"text": 5}) + line({"other": 1}) + GOOD.replace(b"1889", b"1891"),
        {"missing-column": 2, "retyped-column": 1},
        1,
    ),
    "r/colours.jsonl": (line({"colour": 1}) * 50, {"unrecognised-columns": 1}, 0),
    "r/footer.parquet": (PARQUET[:-20], {"bad-parquet": 1}, 0),
    "r/middle.parquet": (flipped(PARQUET, 4), {"bad-parquet": 1}, 0),
    "r/retyped.parquet": (parquet(text=[1, 2]), {"unrecognised-columns": 1}, 0),
    "r/missing.parquet": (parquet(text=[WORDS, None]), {"missing-column": 1}, 1),
    "r/quotes.csv": (b'text\n"one"x\n', {"bad-csv": 1}, 0),
    "r/zero.csv": (b"text\nwords \0 here\n", {}, 1),
    "s/rows.jsonl": (
        line({"problem": "", "answer": "3"}) + line({"problem": "Q?", "answer": {"a": 1}})
        + line({"problem": "Q?"})
        + line({"problem": "\x1b[2J", "answer": {"\x1b[2J": 1}})
        + line({"problem": "One and one?", "answer": "2"}),
        {"missing-column": 2, "retyped-column": 2},
        1,
    ),
    # texts
    "t/latin1.txt": ("Der Bürgermeister grüßt.".encode("latin-1"), {"not-utf-8": 1}, 0),
    "t/half.txt": ("words".encode("utf-16")[:-1], {"not-utf-8": 1}, 0),
    "t/blank.txt": (b" \n\n\t", {"no-prose": 1}, 0),
    "t/empty.txt": (b"", {"empty-file": 1}, 0),
    "t/bomb.txt.gz": (packed(b"a " * (8 << 20)), {"gigantic": 1}, 0),
    "t/zipped.txt": (b"PK\x03\x04" + b"\0" * 60, {"unrecognised-format": 1}, 0),
    "t/picture.png": (b"\x89PNG\r\n" + bytes(range(256)), {"unrecognised-format": 1}, 0),
    "t/LICENSE": (b"Permission is hereby granted", {"licence-or-readme": 1}, 0),
    "t/index.txt": (b"600:10:Anarchism\n600:12:Autism\n", {"companion-file": 1}, 0),
}  # fmt: skip
"""File -> its bytes, reason -> rows dropped for it, rows kept of it."""


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Everything above in one folder, with a pipe and a dangling link, ingested once."""
    folder = tmp_path_factory.mktemp("malformed")
    for name, (data, _, _) in BROKEN.items():
        (folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "data" / name).write_bytes(data)
    os.mkfifo(folder / "data/t/pipe.txt")
    (folder / "data/t/link.txt").symlink_to(folder / "nowhere")
    build = LocalBuild({}, folder / "documents", folder / "scratch")
    outcome = ingest(IngestRecipe(data=str(folder / "data"), max_document_chars=MAX_CHARS), build)
    tables = {path.stem: pq.read_table(path).to_pylist() for path in (folder / "documents").glob("*.parquet")}
    return folder, outcome, tables


@pytest.mark.parametrize("name", BROKEN)
def test_each_file_ends_as_it_should(read, name):
    _, _, tables = read
    _, reasons, kept = BROKEN[name]
    assert Counter(row["reason"] for row in tables["dropped"] if row["origin"] == name) == reasons
    rows = [row for table in ("documents", "problems") for row in tables[table] if row["origin"] == name]
    assert len(rows) == kept


def test_pipes_and_dangling_links_are_rows_too(read):
    _, _, tables = read
    found = {row["origin"]: row["reason"] for row in tables["dropped"]}
    assert found["t/pipe.txt"] == found["t/link.txt"] == "not-a-regular-file"


def test_the_balance_closes_and_the_table_holds_every_dropped_row(read):
    _, outcome, tables = read
    rows = outcome.rows
    assert rows.rows_in == rows.kept + sum(rows.dropped.values())
    assert Counter(row["reason"] for row in tables["dropped"]) == rows.dropped
    assert rows.kept == sum(len(tables[name]) for name in ("documents", "problems", "benchmarks", "traces"))
    for source, part in rows.by_source.items():
        found = Counter(row["reason"] for row in tables["dropped"] if row["source"] == source)
        assert found == part.dropped


def test_every_dropped_row_names_its_file_and_says_why(read):
    _, _, tables = read
    for row in tables["dropped"]:
        assert row["origin"]
        assert row["source"]
        assert row["reason"] in REASONS
        assert row["step"] == "ingest"
        assert len(row["preview"]) <= 200
        assert not re.search("[\x00-\x1f\x7f-\x9f]", row["preview"] + row["title"] + row["native_id"])


def test_what_is_left_goes_through_prepare_with_a_closed_balance(read):
    folder, outcome, _ = read
    build = LocalBuild({"documents": folder / "documents"}, folder / "corpus", folder / "scratch2")
    made = prepare(PrepareRecipe(documents=Ref(ref="x"), min_words=5), build)
    dropped = pq.read_table(folder / "corpus/dropped.parquet").to_pylist()
    assert made.rows.rows_in == outcome.rows.kept == made.rows.kept + len(dropped)
    assert Counter(row["reason"] for row in dropped) == made.rows.dropped
    assert made.summary["documents"] >= 1


def test_sixty_and_more():
    assert sum(sum(reasons.values()) for _, reasons, _ in BROKEN.values()) >= 60
