"""A real Stack Exchange dump: every post is in a document or has a reason, and is credited."""

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from rpt_core.corpus.files.datafiles import ALL_COLUMNS
from rpt_core.corpus.files.parts import How
from rpt_core.corpus.files.streams import open_chunks
from rpt_core.corpus.files.xml_rows import xml_rows
from rpt_core.corpus.readers import find_sources, read_source
from rpt_core.corpus.rows import Document, Dropped

DATA = Path(os.environ.get("RPT_TEST_DATA", "../shared/data")) / "stackexchange"
MARKUP = re.compile(r"</?(?:p|a|em|strong|li|ul|ol|code|pre|img|br|hr|blockquote)\b[^<>]*>|&[a-z]{2,6};")
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"real corpora: {DATA} is absent (RPT_TEST_DATA)"),
]


@pytest.fixture(scope="module")
def dump():
    (source,) = find_sources(DATA)
    return source


@pytest.fixture(scope="module")
def rows(dump):
    return list(read_source(dump, How(4_000_000, ALL_COLUMNS)))


@pytest.fixture(scope="module")
def documents(rows):
    return [row for row in rows if isinstance(row, Document)]


def test_every_post_is_in_one_document_or_has_a_reason(dump, rows, documents):
    posts = [row["Id"] for row in xml_rows(open_chunks(dump.path), "posts")]
    credited = [
        post
        for row in rows
        if isinstance(row, Document)
        for post in re.findall(r"/[qa]/(\d+) by ", row.license)
    ]
    dropped = [row.native_id.rpartition("/")[2] for row in rows if isinstance(row, Dropped)]
    assert sorted(credited + dropped) == sorted(posts)
    reasons = Counter(row.reason for row in rows if isinstance(row, Dropped))
    assert reasons == {"unpopular-answer": 223, "other-post": 119, "unanswered": 26}
    assert len(documents) == 637


def test_posts_of_2014_to_2017_are_under_version_3_and_name_their_authors(documents):
    for row in documents:
        for credit in row.license.split("; "):
            assert re.fullmatch(r"CC BY-SA 3\.0, beer/[qa]/\d+ by (\S.* )?(beer/users/-?\d+|\S+)", credit)


def test_no_mark_up_is_left(documents):
    for row in documents:
        prose = re.sub(r"```.*?```|`[^`\n]*`", "", row.text, flags=re.DOTALL)
        assert not re.search(
            r"</?(?:p|a|em|strong|li|ul|ol|code|pre|img|br|hr|blockquote)\b[^<>]*>|&[a-z]{2,6};", prose
        )
