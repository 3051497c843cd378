import gzip
import os

import pytest

from rpt_core.corpus.files.sources import Head
from rpt_core.corpus.readers import find_sources, sniff
from rpt_core.errors import SourceError


@pytest.mark.parametrize(
    ("head", "name", "form"),
    [
        (b"<mediawiki xmlns='x'>", "anything.bin", "mediawiki"),
        ("<mediawiki>".encode("utf-16"), "dump.xml.bz2", "mediawiki"),
        (b"PAR1....", "rows", "parquet"),
        (b"%PDF-1.5", "paper.gz", "pdf"),
        (b"\0" * 257 + b"ustar", "1234.5678.tar.gz", "tar"),
        (b"\\documentclass{article}", "1406.3020.gz", "tex"),
        (b"% only a comment", "1406.3020.gz", "tex"),
        (b"\\section{A}", "notes", "tex"),
        (b'{"problem": "see \\\\section{1}"}', "rows.jsonl", "jsonl"),
        (b"[1, 2]", "rows.json.gz", "json"),
        (b"a,b\n1,2", "table.csv", "csv"),
        (b"# Title", "page.md", "markdown"),
        (b"Once upon a time", "tale.txt", "text"),
        (b"Once upon a time", "tale", "text"),
    ],
)
def test_forms_by_content_first_and_name_second(head, name, form):
    assert sniff(Head(head, name)) == (form, "")


@pytest.mark.parametrize(
    ("head", "name", "reason"),
    [
        (b"", "empty.txt", "empty-file"),
        (b"#version: 0.2\nh e\n", "merges.txt", "unrecognised-format"),
        (b"\x89PNG\r\n", "picture.txt", "unrecognised-format"),
        (b"key: value", "settings.yaml", "unrecognised-format"),
        (b"MIT License", "LICENSE", "licence-or-readme"),
        (b"MIT License", "owner__repo__LICENSE.md", "licence-or-readme"),
        (b"600:10:AccessibleComputing\n600:12:Anarchism\n", "index.txt", "companion-file"),
    ],
)
def test_what_is_no_source_has_a_reason(head, name, reason):
    assert sniff(Head(head, name)) == ("refused", reason)


def test_a_folder_is_walked_in_order_of_names_and_hidden_files_are_left_out(tmp_path):
    for name in ("b/two.txt", "a/one.md", ".hidden/x.txt", ".dot.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    assert [source.name for source in find_sources(tmp_path)] == ["a/one.md", "b/two.txt"]


def test_one_file_is_a_source_by_itself(tmp_path):
    (tmp_path / "tale.txt.gz").write_bytes(gzip.compress(b"Once upon a time"))
    (found,) = find_sources(tmp_path / "tale.txt.gz")
    assert (found.form, found.name, found.packed, found.stem) == ("text", "tale.txt.gz", True, "tale")


def test_pipes_and_dangling_links_are_named_and_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "link.txt").symlink_to(tmp_path / "nowhere")
    assert [source.reason for source in find_sources(tmp_path)] == ["not-a-regular-file"] * 2


@pytest.mark.parametrize("make", [False, True])
def test_nothing_there_is_one_clear_sentence(tmp_path, make):
    if make:
        (tmp_path / "data").mkdir()
    with pytest.raises(SourceError, match=r"data=.*data: (there is no such|the folder holds no)"):
        find_sources(tmp_path / "data")


@pytest.mark.parametrize(
    "head",
    [
        b"\\magnification=1200\n\\centerline{On it}\nWords.",
        b"\\input harvmac\n\\Title{X}{Y}",
        b"\\def\\bf{}\nWords $x$ \\bye",
        b"\\font\\big=cmr10\nWords",
        b"\\nopagenumbers Words",
        b"\\overfullrule=0pt Words",
    ],
)
def test_plain_tex_is_an_e_print(head):
    assert sniff(Head(head, "hep-th9901003.gz")) == ("tex", "")
