"""One member of a 7z archive as a stream, whole, broken or left half-way."""

import sys
import threading
import time

import pytest

from rpt_core.corpus.files.seven_zip import MAGIC, member_chunks
from rpt_core.corpus.files.streams import CHUNK, BrokenInput
from rpt_core.errors import RecipeError


@pytest.fixture
def py7zr():
    return pytest.importorskip("py7zr", reason="py7zr is not installed: pip install -e '.[7z]'")


def packed(py7zr, path, members, **options):
    with py7zr.SevenZipFile(path, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(data, name)
    return path


def outcome(path):
    try:
        return sum(map(len, member_chunks(path, "posts.xml")))
    except BrokenInput as broken:
        return broken.reason


@pytest.mark.parametrize("method", ["FILTER_LZMA2", "FILTER_BZIP2", "FILTER_PPMD"])
def test_a_member_is_found_in_any_folder_and_comes_whole(py7zr, tmp_path, method):
    data = b"".join(b"<row Id='%d' />" % number for number in range(60_000))
    more = {"order": 6, "mem": 24} if method == "FILTER_PPMD" else {}
    path = packed(
        py7zr, tmp_path / "a.7z", {"x/Users.xml": b"u" * 9999, "x/Posts.xml": data, "Votes.xml": b"v"},
        filters=[{"id": getattr(py7zr, method), **more}],
    )  # fmt: skip
    assert path.read_bytes().startswith(MAGIC)
    chunks = list(member_chunks(path, "posts.xml"))
    assert b"".join(chunks) == data
    assert max(map(len, chunks)) <= CHUNK


def test_an_archive_without_the_member_is_no_known_format(py7zr, tmp_path):
    path = packed(py7zr, tmp_path / "a.7z", {"Users.xml": b"u"})
    with pytest.raises(BrokenInput, match=r"unrecognised-format: the archive holds no posts\.xml"):
        list(member_chunks(path, "posts.xml"))


def test_wrong_bytes_anywhere_end_in_one_reason(py7zr, tmp_path):
    whole = packed(py7zr, tmp_path / "a.7z", {"Posts.xml": b"<row />" * 10_000}).read_bytes()
    path = tmp_path / "b.7z"
    for start in range(0, len(whole), 7):
        path.write_bytes(whole[:start] + bytes([whole[start] ^ 0x55]) + whole[start + 1 :])
        assert outcome(path) in (70_000, "broken-archive", "unrecognised-format")
        path.write_bytes(whole[:start])
        with pytest.raises(BrokenInput, match="broken-archive"):
            list(member_chunks(path, "posts.xml"))


def test_a_reader_that_leaves_takes_the_thread_with_it(py7zr, tmp_path):
    path = packed(py7zr, tmp_path / "a.7z", {"Posts.xml": bytes(32 * CHUNK)})
    before = threading.active_count()
    chunks = member_chunks(path, "posts.xml")
    next(chunks)
    assert threading.active_count() == before + 1
    chunks.close()
    deadline = time.monotonic() + 20
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() == before


def test_without_py7zr_the_sentence_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "py7zr", None)
    with pytest.raises(RecipeError, match=r"a\.7z is a 7z archive, and py7zr.*pip install"):
        next(member_chunks(tmp_path / "a.7z", "posts.xml"))
