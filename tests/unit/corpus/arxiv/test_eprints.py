import gzip
import io
import tarfile

import pyarrow.parquet as pq
import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.corpus.files.archives import inner_path, members, read_tree
from rpt_core.corpus.files.datafiles import ALL_COLUMNS
from rpt_core.corpus.files.parts import How
from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.corpus.ingest import ingest
from rpt_core.corpus.readers import find_sources, read_source
from rpt_core.corpus.rows import Document, Dropped, SourceProblem
from rpt_core.recipes.corpus import IngestRecipe
from rpt_core.sample.eprints import packed, tarred

GOOD = (
    b"\\documentclass{article}\\title{A Tower}\\begin{document}The tower stands by the river.\\end{document}"
)


def read(tmp_path, name, data):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(data)
    return list(read_source(find_sources(tmp_path)[0], How(10_000, ALL_COLUMNS)))


def tar_with(kind, name="main.tex", link="/etc/passwd"):
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, link
        archive.addfile(member)
        good = tarfile.TarInfo("good.tex")
        good.size = len(GOOD)
        archive.addfile(good, io.BytesIO(GOOD))
    return held.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("2601.00001v2.gz", packed(GOOD)),
        ("2601.00001v2.tar.gz", packed(tarred({"main.tex": GOOD, "plan.pdf": b"%PDF"}))),
        ("2601.00001v2.tar", tarred({"main.tex": GOOD})),
        ("2601.00001v2.tex", GOOD),
        (
            "2601.00001v2.gz",
            packed(
                tarred(
                    {
                        "sub/main.tex": b"\\documentclass{a}\\title{A Tower}"
                        b"\\begin{document}\\input{x}\\end{document}",
                        "sub/x.tex": b"The tower stands by the river.",
                    }
                )
            ),
        ),
    ],
)
def test_every_form_arxiv_serves(tmp_path, name, data):
    (row,) = read(tmp_path, name, data)
    assert (row.source, row.native_id, row.revision, row.title) == ("arxiv", "2601.00001", "2", "A Tower")
    assert row.text == "The tower stands by the river."


def test_old_numbers_keep_their_archive(tmp_path):
    (row,) = read(tmp_path, "hep-th_9901001.gz", packed(GOOD))
    assert (row.source, row.native_id) == ("arxiv", "hep-th/9901001")


def test_other_latex_is_named_by_its_path(tmp_path):
    (row,) = read(tmp_path, "books/tower.tex", GOOD)
    assert (row.source, row.native_id) == ("latex", "books/tower.tex")


def test_a_supplement_of_the_same_archive_is_a_document_of_its_own(tmp_path):
    supplement = GOOD.replace(b"A Tower", b"More on it").replace(b"stands", b"still stands")
    rows = read(
        tmp_path, "2601.00001.tar.gz", packed(tarred({"main.tex": GOOD, "supplement.tex": supplement}))
    )
    assert [row.native_id for row in rows] == ["2601.00001", "2601.00001/supplement.tex"]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("2601.1.pdf", b"%PDF-1.4", "pdf-only"),
        ("2601.00001.gz", packed(b"%PDF-1.4"), "pdf-only"),
        ("2601.00001.tar.gz", packed(tarred({"paper.pdf": b"%PDF"})), "pdf-only"),
        ("2601.00001.tar.gz", packed(tarred({"figure.eps": b"x"})), "no-tex"),
        ("2601.00001.tar.gz", packed(tarred({"main.tex": b""})), "no-prose"),
        (
            "2601.00001.gz",
            packed(b"\\documentclass{a}\\begin{document}This paper has been withdrawn.\\end{document}"),
            "withdrawn",
        ),
        (
            "2601.00001.gz",
            packed(b"\\documentclass{a}\\begin{document}" + b"word " * 3000 + b"\\end{document}"),
            "gigantic",
        ),
        ("2601.00001.gz", packed(GOOD)[:-15], "truncated-gzip"),
        ("2601.00001.gz", packed(GOOD)[:25] + b"\xff" * 40, "broken-gzip"),
        ("2601.00001.tar.gz", packed(tarred({"main.tex": GOOD})[:600]), "broken-archive"),
        ("2601.00001.tar.gz", packed(b"\0" * 257 + b"ustar" + b"\xff" * 3000), "broken-archive"),
        ("2601.00001.gz", packed(b"% nothing but a comment\n"), "no-prose"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, data, reason):
    rows = read(tmp_path, name, data)
    assert [row.reason for row in rows if isinstance(row, Dropped)] == [reason]
    assert not [row for row in rows if isinstance(row, Document)]


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("../x.tex", "archive-path-escape"),
        ("/etc/x.tex", "archive-path-escape"),
        ("a/../../x.tex", "archive-path-escape"),
        ("C:\\x.tex", "archive-path-escape"),
    ],
)
def test_members_that_lead_out_are_reported_and_the_rest_is_read(tmp_path, member, reason):
    rows = read(tmp_path, "2601.00001.tar.gz", packed(tarred({member: GOOD, "main.tex": GOOD})))
    assert [row.reason for row in rows if isinstance(row, Dropped)] == [reason]
    assert [row.title for row in rows if isinstance(row, Document)] == ["A Tower"]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_never_followed(tmp_path, kind):
    rows = read(tmp_path, "2601.00001.tar.gz", packed(tar_with(kind)))
    assert [row.reason for row in rows if isinstance(row, Dropped)] == ["archive-link"]
    assert [row.title for row in rows if isinstance(row, Document)] == ["A Tower"]


def test_bombs_stop_at_their_limit(monkeypatch):
    monkeypatch.setattr("rpt_core.corpus.files.archives.STREAM_BYTES_MAX", 100_000)
    tree = read_tree(iter([tarred({"figure.eps": b"\0" * 400_000, "main.tex": GOOD})]), (".tex",))
    assert [broken.reason for broken in tree.refused] == ["archive-bomb"]
    monkeypatch.setattr("rpt_core.corpus.files.archives.MEMBER_BYTES_MAX", 10)
    tree = read_tree(iter([tarred({"main.tex": GOOD, "b.tex": b"short"})]), (".tex",))
    assert [broken.reason for broken in tree.refused] == ["archive-bomb"]
    assert list(tree.files) == ["b.tex"]


def test_a_size_that_lies_is_a_broken_archive():
    data = bytearray(tarred({"main.tex": GOOD}))
    data[124:136] = b"77777777777\0"
    tree = read_tree(iter([bytes(data)]), (".tex",))
    assert [broken.reason for broken in tree.refused] == ["broken-archive"]


def test_an_archive_of_tables_is_a_problem_set(tmp_path):
    table = b"question,choice0,choice1,answer\nOne and one?,2,3,0\n"
    (row,) = read(tmp_path, "mmlu/mmlu_test.tar.gz", packed(tarred({"a/sums_test.csv": table})))
    assert isinstance(row, SourceProblem)
    assert (row.problem, row.answer, row.benchmark, row.domain) == (
        "One and one?\nA. 2\nB. 3",
        "A",
        "mmlu",
        "sums_test",
    )


@pytest.mark.parametrize("name", ["a.tex", "./a.tex", "a/b.tex", "a//b.tex"])
def test_plain_members_stay_inside(name):
    assert inner_path(name)


def test_gzip_of_gzip_is_not_unpacked_twice(tmp_path):
    rows = read(tmp_path, "2601.00001.gz", gzip.compress(gzip.compress(GOOD)))
    assert not [row for row in rows if isinstance(row, Document)]


BULK = {
    "0001/astro-ph0001001.gz": packed(GOOD),
    "0001/2601.00002.gz": packed(tarred({"ms.tex": GOOD.replace(b"tower", b"bridge")})),
    "0001/hep-th0001003.pdf": b"%PDF-1.4",
    "0001/hep-th0001004.gz": packed(GOOD)[:-15],
    "0001/hep-th0001005.gz": packed(b"\\documentclass{a}\\begin{document}{\\bf open\\end{document}"),
    "0001/hep-th0001006.gz": packed(b""),
    "0001/hep-th0001007.gz": packed(tarred({"../up.tex": GOOD})),
    "0001/hep-th0001008.gz": b"\x1f\x8bbroken",
    "0001/notes.txt": b"not a paper",
    "../0001/hep-th0001009.gz": packed(GOOD),
    "0001/hep-th0001010.gz": packed(packed(GOOD)),
}
ENDS = {
    "hep-th/0001003": "pdf-only",
    "hep-th/0001004": "truncated-gzip",
    "hep-th/0001005": "latex-unbalanced",
    "hep-th/0001006": "empty-file",
    "hep-th/0001007": "archive-path-escape",
    "hep-th/0001008": "broken-gzip",
    "hep-th/0001010": "unrecognised-format",
}


def test_a_bulk_file_is_its_papers(tmp_path):
    rows = read(tmp_path, "arXiv_src_0001_001.tar", tarred(BULK))
    documents = {row.native_id: row for row in rows if isinstance(row, Document)}
    assert documents["astro-ph/0001001"].text == "The tower stands by the river."
    assert documents["2601.00002"].text == "The bridge stands by the river."
    assert documents["2601.00002"].origin == "arXiv_src_0001_001.tar/0001/2601.00002.gz"
    dropped = [(row.native_id, row.reason) for row in rows if isinstance(row, Dropped)]
    assert ENDS.items() <= dict(dropped).items()
    assert {"unrecognised-format", "archive-path-escape"} <= {reason for _, reason in dropped}
    assert len(rows) == len(BULK)


def test_a_bulk_file_that_breaks_off_keeps_its_first_papers(tmp_path):
    whole = tarred({name: BULK[name] for name in ("0001/astro-ph0001001.gz", "0001/2601.00002.gz")})
    rows = read(tmp_path, "arXiv_src_0001_001.tar", whole[:1700])
    assert [row.title for row in rows if isinstance(row, Document)] == ["A Tower"]
    assert [row.reason for row in rows if isinstance(row, Dropped)] == ["broken-archive"]


def test_no_member_of_a_bulk_file_is_read_beyond_its_limit(monkeypatch):
    monkeypatch.setattr("rpt_core.corpus.files.archives.PACKED_BYTES_MAX", 100)
    found = list(members(iter([tarred({"a.gz": b"x" * 101, "b.gz": b"x"})])))
    assert isinstance(found[0], BrokenInput)
    assert (found[0].reason, found[1]) == ("archive-bomb", ("b.gz", b"x"))


def test_descriptions_lying_beside_papers_are_joined_to_them(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/2601.00001v3.gz").write_bytes(packed(GOOD))
    (tmp_path / "data/2601.00002.gz").write_bytes(packed(GOOD.replace(b"tower", b"bridge")))
    (tmp_path / "data/zz-snapshot.jsonl").write_text(
        '{"id": "2601.00001", "title": "T", "categories": "math.AP cs.LG", "license": "http://x/by/4.0/"}\n'
        '{"id": "2601.00001", "title": "T", "categories": "", "license": null}\n'
        '{"id": 7, "categories": "x", "license": ""}\n'
        "not json\n"
    )
    outcome = ingest(
        IngestRecipe(data=str(tmp_path / "data")), LocalBuild({}, tmp_path / "o", tmp_path / "s")
    )
    rows = {row["native_id"]: row for row in pq.read_table(tmp_path / "o/documents.parquet").to_pylist()}
    assert rows["2601.00001"]["categories"] == ["math.AP", "cs.LG"]
    assert rows["2601.00001"]["license"] == "http://x/by/4.0/"
    assert (rows["2601.00002"]["categories"], rows["2601.00002"]["license"]) == ([], "")
    assert outcome.rows.dropped == {"bad-json": 1, "companion-file": 1, "missing-column": 1}


@pytest.mark.parametrize(
    ("data", "form", "reason"),
    [
        (b'<?xml version="1.0"?><arXivSRC><file/></arXivSRC>', "refused", "companion-file"),
        (b'<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/"><arXiv', "arxiv-oai", ""),
        (
            b'<feed xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns="http://www.w3.org/2005/Atom">',
            "arxiv-atom",
            "",
        ),
    ],
)
def test_what_arxiv_says_of_papers_is_known_by_its_first_bytes(tmp_path, data, form, reason):
    (tmp_path / "file.xml").write_bytes(data)
    (source,) = find_sources(tmp_path)
    assert (source.form, source.reason) == (form, reason)
    assert all(isinstance(row, Dropped) for row in read_source(source, How(1000, ALL_COLUMNS)))


def test_a_part_that_the_archive_lacks_is_a_row_beside_the_document(tmp_path):
    main = GOOD.replace(b"The tower", b"\\input{intro}The tower")
    document, lost = read(tmp_path, "2601.00001.tar.gz", packed(tarred({"main.tex": main})))
    assert isinstance(document, Document)
    assert document.text == "The tower stands by the river."
    assert (lost.reason, lost.native_id, lost.preview) == ("missing-input", "2601.00001", "intro")


def test_words_in_an_encoding_nobody_declares_are_a_row_and_no_text(tmp_path):
    data = GOOD.replace(b"stands", "стоит".encode("koi8-r"))
    (row,) = read(tmp_path, "hep-th9901002.gz", packed(data))
    assert (row.reason, row.native_id) == ("not-utf-8", "hep-th/9901002")


def test_plain_tex_alone_is_an_e_print(tmp_path):
    data = b"\\magnification=1200\n\\centerline{\\bf On Towers}\nA tower stands. \\bye"
    (row,) = read(tmp_path, "eprints/hep-th9901005.gz", packed(data))
    assert (row.source, row.native_id, row.text) == ("arxiv", "hep-th/9901005", "On Towers A tower stands.")


def test_documents_of_one_archive_share_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr("rpt_core.corpus.latex.tree.TREE_CHARS_MAX", 3 * len(GOOD))
    documents = {f"{letter}.tex": GOOD.replace(b"Tower", letter.encode()) for letter in "abcde"}
    rows = read(tmp_path, "2601.00001.tar.gz", packed(tarred(documents)))
    read_, dropped = [r for r in rows if isinstance(r, Document)], [r for r in rows if isinstance(r, Dropped)]
    assert len(read_) == 3
    assert [row.reason for row in dropped] == ["too-much-work"] * 2


@pytest.mark.parametrize("size", [5 << 30, 1 << 62, 1 << 63])
def test_a_member_longer_than_any_archive_ends_the_reading_at_once(size):
    member = tarfile.TarInfo("b.tex")
    member.size = size
    head = member.tobuf(tarfile.GNU_FORMAT)
    tree = read_tree(iter([tarred({"a.tex": GOOD})[: 2 * tarfile.BLOCKSIZE], head]), (".tex",))
    assert tree.files == {"a.tex": GOOD}
    assert [broken.reason for broken in tree.refused] == ["archive-bomb"]
