"""Stack Exchange dumps: which posts become one document, in what order, with whose names on it."""

import gzip
import json
import pickle
import random
from xml.sax.saxutils import quoteattr

import pyarrow.parquet as pq
import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.corpus import stackexchange
from rpt_core.corpus.clean.licences import licence_name
from rpt_core.corpus.files import parts as parts_of
from rpt_core.corpus.files.datafiles import ALL_COLUMNS
from rpt_core.corpus.files.parts import How
from rpt_core.corpus.ingest import ingest
from rpt_core.corpus.ingest_shards import cut, read_shard
from rpt_core.corpus.readers import describe, find_sources, read_source
from rpt_core.corpus.rows import Document, Dropped
from rpt_core.recipes.corpus import IngestRecipe

HOW = How(10_000, ALL_COLUMNS)
SITE = "math.stackexchange.com"


def row(**values):
    return "  <row " + " ".join(f"{name}={quoteattr(str(value))}" for name, value in values.items()) + " />\n"


def question(number, **values):
    usual = {"Id": number, "PostTypeId": 1, "CreationDate": "2014-01-21T20:26:05.383", "Score": 3,
             "Body": f"<p>What is {number}?</p>\n", "OwnerUserId": 7, "Title": f"Question {number}",
             "Tags": "<algebra><real-numbers>", "LastActivityDate": "2015-02-01T00:00:00.000"}  # fmt: skip
    return row(**{**usual, **values})


def answer(number, parent, score=1, **values):
    usual = {"Id": number, "PostTypeId": 2, "ParentId": parent, "CreationDate": "2014-01-22T00:00:00.000",
             "Score": score, "Body": f"<p>Answer {number}.</p>\n", "OwnerUserId": 9}  # fmt: skip
    return row(**{**usual, **values})


def posts(*rows):
    return ('\ufeff<?xml version="1.0" encoding="utf-8"?>\n<posts>\n' + "".join(rows) + "</posts>").encode()


def read(folder, data, name=f"{SITE}/Posts.xml", how=HOW):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return list(read_source(find_sources(folder)[0], how))


def reasons(rows):
    return [(row.reason, row.native_id) for row in rows if isinstance(row, Dropped)]


def test_a_question_stands_with_its_answers_the_accepted_one_first(tmp_path):
    (document,) = read(
        tmp_path,
        posts(
            question(1, AcceptedAnswerId=5, Body="<p>Is $a &lt; b$?</p>"), answer(2, 1, 4), answer(3, 1, 9),
            answer(5, 1, -2, Body="<p>It <em>is</em>: <code>x&lt;y</code></p>"),
        ),
    )  # fmt: skip
    assert document.text == (
        "Question 1\n\nIs $a < b$?\n\nAccepted answer\n\nIt is: `x<y`\n\n"
        "Answer\n\nAnswer 3.\n\nAnswer\n\nAnswer 2."
    )
    assert (document.source, document.native_id) == ("stackexchange", f"{SITE}/q/1")
    assert (document.title, document.categories) == ("Question 1", ("algebra", "real-numbers"))
    assert document.revision == "2015-02-01T00:00:00.000"


def test_what_is_left_out_has_a_reason_and_its_own_address(tmp_path):
    rows = read(
        tmp_path,
        posts(
            question(1), answer(2, 1, 0), answer(3, 1), question(4), answer(5, 4, 0), answer(6, 99, 5),
            row(Id=7, PostTypeId=5, Score=0, Body="about a tag"), question("x"), question(9, Score="many"),
            row(Id=10, PostTypeId=2, Score=1), question(1, Title="Again"), row(Id=11, Score=1),
        ),
    )  # fmt: skip
    assert [row.native_id for row in rows if isinstance(row, Document)] == [f"{SITE}/q/1"]
    assert sorted(reasons(rows)) == sorted(
        (reason, f"{SITE}/{place}")
        for reason, place in [
            ("unpopular-answer", "a/2"), ("unpopular-answer", "a/5"), ("unanswered", "q/4"),
            ("orphan-answer", "a/6"), ("other-post", "q/7"), ("missing-column", "q/x"),
            ("missing-column", "q/9"), ("missing-column", "a/10"), ("same-id", "q/1"), ("other-post", "q/11"),
        ]
    )  # fmt: skip


def test_the_order_of_the_rows_shows_nowhere(tmp_path):
    rows = [question(n, AcceptedAnswerId=100 + n) for n in range(1, 30)]
    rows += [answer(100 + n, n % 35 + 1, n % 4) for n in range(80)]
    found = read(tmp_path, posts(*rows))
    assert sum(isinstance(row, Document) for row in found) == 29
    random.Random(3).shuffle(rows)
    assert read(tmp_path, posts(*rows)) == found


@pytest.mark.parametrize(
    ("values", "credit"),
    [
        ({"CreationDate": "2011-04-07T23:59:59.000"}, f"CC BY-SA 2.5, https://{SITE}/q/1"),
        ({"CreationDate": "2011-04-08T00:00:00.000"}, f"CC BY-SA 3.0, https://{SITE}/q/1"),
        ({"CreationDate": "2018-05-01T23:59:59.000"}, f"CC BY-SA 3.0, https://{SITE}/q/1"),
        ({"CreationDate": "2018-05-02T00:00:00.000"}, f"CC BY-SA 4.0, https://{SITE}/q/1"),
        ({"ContentLicense": "CC BY-SA 4.0"}, f"CC BY-SA 4.0, https://{SITE}/q/1"),
        ({"ContentLicense": "all mine"}, f"CC BY-SA 3.0, https://{SITE}/q/1"),
        ({"CreationDate": ""}, f"CC BY-SA, https://{SITE}/q/1"),
        ({"OwnerDisplayName": "Ada", "OwnerUserId": 8}, f"by Ada https://{SITE}/users/8;"),
    ],
)
def test_every_post_is_credited_under_the_licence_of_its_day(tmp_path, values, credit):
    (document,) = read(tmp_path, posts(question(1, **values), answer(2, 1)))
    assert credit in document.license
    assert document.license.endswith(f"; CC BY-SA 3.0, https://{SITE}/a/2 by https://{SITE}/users/9")
    assert licence_name(document.license) == "cc-by-sa"


def test_an_author_without_account_is_named_and_one_without_name_is_said_to_be(tmp_path):
    old = row(Id=1, PostTypeId=1, Score=0, Title="T", Body="b", OwnerDisplayName="user1234")
    none = row(Id=2, PostTypeId=2, ParentId=1, Score=1, Body="c")
    (document,) = read(tmp_path, posts(old, none))
    assert [part.rpartition(" by ")[2] for part in document.license.split("; ")] == [
        "user1234", "an unnamed author",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "native_id"),
    [
        ("beer.stackexchange.com-Posts.xml", "beer.stackexchange.com/q/1"),
        ("stackoverflow.com-Posts.xml.gz", "stackoverflow.com/q/1"),
        ("dumps/es.stackoverflow.com/Posts.xml", "es.stackoverflow.com/q/1"),
        ("mathoverflow.net/Posts.xml", "mathoverflow.net/q/1"),
        ("stackexchange/beer-Posts.xml", "beer/q/1"),
        ("Posts.xml", "posts.xml/q/1"),
    ],
)
def test_the_site_is_told_by_the_name_of_the_dump_or_its_folder(tmp_path, name, native_id):
    data = posts(question(1), answer(2, 1))
    (document,) = read(tmp_path, gzip.compress(data) if name.endswith(".gz") else data, name)
    assert document.native_id == native_id
    assert ("https://" in document.license) == ("." in native_id.removeprefix("posts.xml"))


@pytest.mark.parametrize("member", ["Posts.xml", "beer/Posts.xml"])
def test_a_7z_of_a_site_gives_what_its_posts_give(tmp_path, member):
    py7zr = pytest.importorskip("py7zr", reason="py7zr is not installed: pip install -e '.[7z]'")
    data = posts(*(question(n) + answer(1000 + n, n) for n in range(1, 200)))
    with py7zr.SevenZipFile(tmp_path / f"{SITE}.7z", "w") as archive:
        archive.writestr("<users />", "Users.xml")
        archive.writestr(data, member)
    sources = find_sources(tmp_path)
    assert describe(sources).startswith("1 Stack Exchange dump (")
    found = list(read_source(sources[0], HOW))
    assert [row.native_id for row in found] == [f"{SITE}/q/{n}" for n in range(1, 200)]
    unpacked = read(tmp_path / "unpacked", data)
    assert [row.text for row in found] == [row.text for row in unpacked]


def test_breaks_and_bombs_end_in_reasons_and_keep_what_came_before(tmp_path):
    whole = posts(*(question(n) + answer(1000 + n, n) for n in range(1, 300)))
    for end in range(2000, len(whole), 7919):
        rows = read(tmp_path, whole[:end])
        assert reasons(rows)[0] == ("truncated-xml", SITE)
        assert {reason for reason, _ in reasons(rows)} <= {"truncated-xml", "unanswered"}
    rows = read(tmp_path, gzip.compress(whole)[:-2000], f"{SITE}/Posts.xml")
    assert reasons(rows)[0][0] == "truncated-gzip"
    assert any(isinstance(row, Document) for row in rows)
    entities = b'<?xml version="1.0"?><!DOCTYPE p [<!ENTITY a "b">]><posts><row Id="&a;" /></posts>'
    assert reasons(read(tmp_path, entities)) == [("entity-declaration", SITE)]
    bomb = gzip.compress(posts(*[answer(1, 1)] * 100_000))
    assert ("archive-bomb", SITE) in reasons(read(tmp_path, bomb))


def test_a_thread_longer_than_allowed_is_dropped_and_never_held(tmp_path, monkeypatch):
    long = answer(2, 1, Body="<p>" + "word " * 3000 + "</p>")
    assert reasons(read(tmp_path, posts(question(1), long))) == [("gigantic", f"{SITE}/q/1")]
    monkeypatch.setattr(stackexchange, "THREAD_CHARS_MAX", 50)
    rows = read(tmp_path, posts(question(1), *(answer(n, 1) for n in range(2, 9))))
    assert reasons(rows) == [("gigantic", f"{SITE}/a/{n}") for n in range(4, 9)]
    assert rows[-1].text.count("Answer ") == 2


def test_a_large_dump_is_cut_into_shards_that_give_the_same_rows(tmp_path, monkeypatch):
    rows = [question(n) + answer(5000 + n, n, n % 3) for n in range(1, 200)]
    whole = read(tmp_path, posts(*rows))
    monkeypatch.setattr(parts_of, "FILES_BYTES", 1000)
    monkeypatch.setattr(stackexchange, "BATCH_CHARS", 5000)
    shards = [pickle.loads(pickle.dumps(shard)) for shard in cut(find_sources(tmp_path))]
    assert len(shards) > 5
    assert [row for shard in shards for row in read_shard(HOW, shard).rows] == whole
    assert sum(shard.num_bytes for shard in shards) == (tmp_path / SITE / "Posts.xml").stat().st_size


def test_a_corpus_of_posts_balances(tmp_path):
    (tmp_path / "data" / SITE).mkdir(parents=True)
    rows = [question(n) + answer(5000 + n, n, n % 3) for n in range(1, 40)]
    (tmp_path / "data" / SITE / "Posts.xml").write_bytes(posts(*rows))
    build = LocalBuild({}, tmp_path / "out", tmp_path / "scratch")
    outcome = ingest(IngestRecipe(data=str(tmp_path / "data")), build)
    counts = outcome.rows.by_source["stackexchange"]
    assert (counts.kept, counts.dropped) == (26, {"unanswered": 13, "unpopular-answer": 13})
    assert pq.read_table(tmp_path / "out/documents.parquet").num_rows == 26
    assert json.loads((tmp_path / "out/card.json").read_text())["files"].startswith("1 Stack Exchange dump")
