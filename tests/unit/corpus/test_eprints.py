import gzip
import io
import tarfile

import pytest

from rpt_core.corpus.archives import inner_path, read_tree
from rpt_core.corpus.readers import read_source
from rpt_core.corpus.rows import Document, Dropped, Problem
from rpt_core.corpus.sources import find_sources
from rpt_core.sample.eprints import packed, tarred

GOOD = (
    b"\\documentclass{article}\\title{A Tower}\\begin{document}The tower stands by the river.\\end{document}"
)


def read(tmp_path, name, data):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(data)
    return list(read_source(find_sources(tmp_path)[0], 10_000))


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
    monkeypatch.setattr("rpt_core.corpus.archives.STREAM_BYTES_MAX", 100_000)
    tree = read_tree(iter([tarred({"figure.eps": b"\0" * 400_000, "main.tex": GOOD})]), (".tex",))
    assert [broken.reason for broken in tree.refused] == ["archive-bomb"]
    monkeypatch.setattr("rpt_core.corpus.archives.MEMBER_BYTES_MAX", 10)
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
    assert isinstance(row, Problem)
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
