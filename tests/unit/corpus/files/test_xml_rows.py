"""Rows in attributes: cut anywhere, broken anywhere, hostile."""

import codecs

import pytest

from rpt_core.corpus.files import xml_rows as module
from rpt_core.corpus.files.streams import BrokenInput, bounded
from rpt_core.corpus.files.xml_rows import xml_rows

FILE = (
    '<?xml version="1.0" encoding="utf-8"?>\n<posts>\n'
    '  <row Id="1" Body="&lt;p&gt;é &amp;lt; &#xA;&lt;/p&gt;" />\n  <row Id="2" Body=\'a > b\' />\n</posts>\n'
)
ROWS = [{"Id": "1", "Body": "<p>é &lt; \n</p>"}, {"Id": "2", "Body": "a > b"}]


def read(data, size=7):
    """Rows, and reasons in the place of what could not be read."""
    found = []
    chunks = (data[start : start + size] for start in range(0, len(data), size))
    try:
        found.extend(row.reason if isinstance(row, BrokenInput) else row for row in xml_rows(chunks, "posts"))
    except BrokenInput as broken:
        found.append(broken.reason)
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 50, 10_000])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_rows_do_not_depend_on_where_the_chunks_end(size, mark):
    data = mark + FILE.encode() if size >= len(mark) else FILE.encode()
    assert read(data, max(size, len(mark))) == ROWS


def test_rows_may_stand_on_one_line_and_in_utf_16():
    assert read(FILE.replace("\n", "").encode("utf-16"), 1000) == ROWS


def test_a_file_that_ends_early_keeps_what_came_before():
    data = FILE.encode()
    for end in range(data.index(b"<row"), len(data) - len(b"</posts>\n")):
        found = read(data[:end])
        assert found[-1] == "truncated-xml"
        assert found[:-1] == ROWS[: len(found) - 1]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('<row Id="3" Id="3" />', "broken-xml"),
        ('<row Id="3 />', "broken-xml"),
        ('<row Id="&unknown;" />', "broken-xml"),
        ('<row Id="\x01" />', "broken-xml"),
        ('<row Id="3"><row Id="4" />', "broken-xml"),
    ],
)
def test_a_broken_row_costs_itself_and_no_other(row, reason):
    found = read(FILE.replace("<posts>", f"<posts>{row}").encode())
    assert found[0] == reason
    assert found[-2:] == ROWS


def test_a_document_type_ends_the_reading():
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><posts><row Id="&b;" /></posts>'
    assert read(bomb.encode()) == ["entity-declaration"]


def test_a_row_past_the_limit_is_never_held(monkeypatch):
    monkeypatch.setattr(module, "ROW_BYTES_MAX", 1000)
    long = '<row Id="3" Body="' + "x" * 100_000 + '" />'
    assert read(FILE.replace("<posts>", f"<posts>{long}").encode(), 100) == ["gigantic", *ROWS]


def test_a_stream_of_bounded_length_gives_all_up_to_its_bound():
    assert list(bounded([b"ab", b"cd"], 4)) == [b"ab", b"cd"]
    taken = bounded([b"ab", b"cd"], 3)
    assert next(taken) == b"ab"
    with pytest.raises(BrokenInput, match="archive-bomb"):
        next(taken)
