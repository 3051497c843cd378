import pytest

from rpt_core.corpus.files.datafiles import ALL_COLUMNS
from rpt_core.corpus.files.parts import How
from rpt_core.corpus.files.plain import unwrap
from rpt_core.corpus.readers import find_sources, read_source
from rpt_core.corpus.rows import Document


def read(tmp_path, name, data, max_chars=100_000):
    (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return list(read_source(find_sources(tmp_path)[0], How(max_chars, ALL_COLUMNS)))


def test_a_gutenberg_book_without_its_packing(tmp_path):
    book = (
        "Title: The Tower\n\n*** START OF THIS PROJECT GUTENBERG EBOOK ***\n\nOnce.\n\n"
        "*** END OF THIS PROJECT GUTENBERG EBOOK ***\nlicence"
    )
    (row,) = read(tmp_path, "pg1.txt", book.replace("\n", "\r\n"))
    assert (row.title, row.text) == ("The Tower", "Once.")


def test_a_wikitext_file_is_its_articles(tmp_path):
    data = (
        " = Tower = \n\n The tower @-@ house , built 1 @,@ 200 years ago ( or so ) . \n"
        " = = Use = = \n\n It 's used . \n = Bridge = \n\n Words . \n"
    )
    rows = read(tmp_path, "wiki.txt", data)
    assert [row.title for row in rows] == ["Tower", "Bridge"]
    assert rows[0].text == "The tower-house, built 1,200 years ago (or so).\n\nUse\n\nIt's used."


def test_markdown_takes_its_title_from_its_first_heading(tmp_path):
    (row,) = read(tmp_path, "page.md", "Intro.\n\n# The Tower #\n\nText.")
    assert row.title == "The Tower"
    (row,) = read(tmp_path, "page.md", "# Learn C#  \n\nText.")
    assert row.title == "Learn C#"


def test_wrapped_prose_is_joined_and_verse_is_not():
    prose = "\n".join(["the quick brown fox jumps over the lazy dog and then goes home to"] * 4 + ["sleep."])
    verse = "\n".join(["Shall I compare thee", "to a summer's day?"])
    assert unwrap(f"{prose}\n\n{verse}") == f"{prose.replace(chr(10), ' ')}\n\n{verse}"
    assert unwrap(verse) == verse


def test_sentences_that_come_again_are_left_for_the_filter_to_count():
    again = "\n".join(["the committee met in the hall and talked about the bridge for a while."] * 12)
    assert unwrap(again) == again


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"caf\xe9 au lait", "not-utf-8"),
        (b"\n \n", "no-prose"),
        (b"x" * 90_000, "gigantic"),
        (b"x" * 400_000, "gigantic"),
    ],
)
def test_files_that_are_no_text(tmp_path, data, reason):
    (row,) = read(tmp_path, "a.txt", data, max_chars=50_000)
    assert row.reason == reason


def test_utf_16_text_is_read(tmp_path):
    (row,) = read(tmp_path, "a.txt", "Once upon a time".encode("utf-16"))
    assert isinstance(row, Document)
    assert row.text == "Once upon a time"


@pytest.mark.parametrize(
    ("text", "title", "shown"),
    [
        ("---\ntitle: My Note\ntags: [a, b]\n---\n\n# Head\n\nProse.", "My Note", "# Head\n\nProse."),
        ('---\ntitle: "Two: parts"\nauthors:\n  - Ann\n---\nProse.', "Two: parts", "Prose."),
        ("+++\ntitle = 'By TOML'\n[extra]\nx = 1\n+++\nProse.", "By TOML", "Prose."),
        ("---\ndate: 2020-01-01\n...\n# Head\n\nProse.", "Head", "# Head\n\nProse."),
        ("---\nNo field stands\nhere.\n---\nProse.", "page", "---\nNo field stands\nhere.\n---\nProse."),
        ("Prose.\n\n---\ntitle: no\n---\n", "page", "Prose.\n\n---\ntitle: no\n---"),
        ("---\ntitle: open\nProse goes on.", "page", "---\ntitle: open\nProse goes on."),
    ],
)  # fmt: skip
def test_front_matter_is_no_text_and_tells_the_title(tmp_path, text, title, shown):
    (row,) = read(tmp_path, "page.md", text)
    assert (row.title, row.text) == (title, shown)


def test_front_matter_of_a_plain_text_file_is_text(tmp_path):
    (row,) = read(tmp_path, "page.txt", "---\ntitle: x\n---\nProse.")
    assert row.text.startswith("---")
