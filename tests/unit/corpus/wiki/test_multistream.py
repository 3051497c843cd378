"""Multistream dumps by their index: the rows of the whole dump, whatever the index says or leaves out."""

import bz2
import codecs
import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rpt_core.corpus.files.datafiles import ALL_COLUMNS
from rpt_core.corpus.files.parts import How
from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.corpus.ingest_shards import cut, read_shard
from rpt_core.corpus.readers import find_sources
from rpt_core.corpus.rows import Document, Dropped
from rpt_core.corpus.wiki import multistream
from rpt_core.corpus.wiki.dump import cut_pages, read_dump
from rpt_core.corpus.wiki.multistream import Run, open_multistream, read_run
from rpt_core.corpus.wiki.parts import run_rows
from rpt_core.sample.dump import FOOTER, HEADER, page_xml

NAME = "samplewiki-20260101-pages-articles-multistream"
PROSE = "The tower was built in 1889 and stands near the river."
HOW = How(10_000, ALL_COLUMNS)


def page(number, wikitext=PROSE):
    return page_xml(f"Tower {number}", number, 70 + number, f"{wikitext} It has {number} windows.")


STREAMS = [
    HEADER,
    *("".join(page(10 * group + place) for place in range(10)) for group in range(6)),
    FOOTER,
]


def packed(parts):
    return [bz2.compress(part if isinstance(part, bytes) else part.encode()) for part in parts]


def begins(streams):
    """Where every stream begins, and where the last one ends."""
    found = [0]
    for stream in streams:
        found.append(found[-1] + len(stream))
    return found


def lines(offsets):
    return "".join(f"{offset}:{number}:A title: with colons\n" * 3 for number, offset in enumerate(offsets))


def write(folder: Path, streams, index: str | bytes | None) -> Path:
    """A dump made of packed streams, and what is told to be its index."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{NAME}.xml.bz2").write_bytes(b"".join(streams))
    if index is not None:
        data = bz2.compress(index.encode()) if isinstance(index, str) else index
        (folder / f"{NAME}-index.txt.bz2").write_bytes(data)
    return folder


def good(folder, parts=STREAMS) -> Path:
    streams = packed(parts)
    return write(folder, streams, lines(begins(streams)[1:-2]))


def dump_rows(folder):
    """Rows of the dump by shards, without the index's own."""
    rows = []
    for shard in cut(find_sources(folder)):
        answer = read_shard(HOW, shard)
        assert answer.rest is None
        rows += [row for row in answer.rows if ".xml" in row.origin]
    return rows


def in_order(folder):
    (dump,) = (source for source in find_sources(folder) if source.form == "mediawiki")
    return list(read_dump(dump, HOW))


def is_used(folder):
    index, dump = sorted(find_sources(folder), key=lambda source: source.form == "mediawiki")
    return open_multistream(dump, index) is not None


def num_runs(folder):
    return sum(getattr(shard.part.read, "func", None) is run_rows for shard in cut(find_sources(folder)))


@pytest.fixture(autouse=True)
def _short_runs(monkeypatch):
    monkeypatch.setattr(multistream, "RUN_BYTES", 600)


def test_a_dump_is_the_same_by_its_index_without_it_and_unpacked(tmp_path):
    by_index = dump_rows(good(tmp_path / "indexed"))
    assert num_runs(tmp_path / "indexed") > 3
    assert [row.title for row in by_index] == [f"Tower {number}" for number in range(60)]
    write(tmp_path / "alone", packed(STREAMS), None)
    assert num_runs(tmp_path / "alone") == 0
    assert dump_rows(tmp_path / "alone") == by_index
    (tmp_path / "plain").mkdir()
    (tmp_path / f"plain/{NAME}.xml").write_text("".join(STREAMS), newline="\n")
    assert [row.text for row in dump_rows(tmp_path / "plain")] == [row.text for row in by_index]


def test_every_run_knows_the_header(tmp_path):
    rows = dump_rows(good(tmp_path, [HEADER.replace("samplewiki", "otherwiki"), *STREAMS[1:]]))
    assert {row.native_id.partition(":")[0] for row in rows} == {"samplewiki"}, "the file's name says it"
    header = HEADER.replace(">Category<", ">Schublade<")
    rows = dump_rows(
        good(tmp_path, [header, *(part.replace(PROSE, f"{PROSE}[[Schublade:A]]") for part in STREAMS[1:])])
    )
    assert {row.categories for row in rows} == {("A",)}


def test_parts_of_a_dump_have_an_index_each(tmp_path):
    good(tmp_path)
    part = "samplewiki-20260101-pages-articles-multistream"
    for old, new in (
        (f"{NAME}.xml.bz2", f"{part}2.xml-p41243p151573.bz2"),
        (f"{NAME}-index.txt.bz2", f"{part}-index2.txt-p41243p151573.bz2"),
    ):
        (tmp_path / old).rename(tmp_path / new)
    assert num_runs(tmp_path) > 3


def another_dumps(streams):
    return lines(begins(packed([part + part for part in STREAMS]))[1:-2])


def two_blocks(streams):
    """An index whose first half can be read when the second cannot."""
    offsets = begins(streams)[1:-2]
    return [bytearray(bz2.compress(lines(half).encode())) for half in (offsets[:3], offsets[3:])]


def cut_off(streams):
    return b"".join(two_blocks(streams))[:-20]


def garbled(streams):
    first, second = two_blocks(streams)
    second[40] ^= 0xFF
    return bytes(first + second)


def garbled_at_its_head(streams):
    first, second = two_blocks(streams)
    first[40] ^= 0xFF
    return bytes(first + second)


LIES = {
    "unsorted": lambda streams: lines(random.Random(1).sample(begins(streams)[1:-2], 6)),
    "falling at its end": lambda streams: lines([*begins(streams)[1:-2], begins(streams)[1]]),
    "beyond the end": lambda streams: lines([*begins(streams)[1:-2], 10**9]),
    "at the end": lambda streams: lines(begins(streams)[1:]),
    "beyond any file": lambda streams: lines([*begins(streams)[1:-2], 10**30]),
    "in mid-stream": lambda streams: lines([begins(streams)[1], begins(streams)[2] + 40]),
    "by one byte": lambda streams: lines([offset + 1 for offset in begins(streams)[1:-2]]),
    "negative": lambda streams: "-5:1:A\n" + lines(begins(streams)[1:-2]),
    "another dump's": another_dumps,
    "cut off": cut_off,
    "garbled": garbled,
    "garbled at its head": garbled_at_its_head,
    "a line that is none": lambda streams: lines(begins(streams)[1:-2]) + "see also\n",
    "a line without end": lambda streams: lines(begins(streams)[1:-2]) + "9" * (1 << 17),
    "the header only": lambda streams: lines([0]),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_index_that_does_not_fit_is_not_used(tmp_path, lie):
    streams = packed(STREAMS)
    write(tmp_path, streams, LIES[lie](streams))
    assert not is_used(tmp_path)
    assert num_runs(tmp_path) == 0
    assert dump_rows(tmp_path) == in_order(tmp_path)


@pytest.mark.parametrize("kept", [[1], [3], [2, 5], [6]])
def test_an_index_that_leaves_out_streams_loses_none(tmp_path, kept):
    streams = packed(STREAMS)
    write(tmp_path, streams, lines(begins(streams)[number] for number in kept))
    assert is_used(tmp_path)
    assert dump_rows(tmp_path) == in_order(tmp_path)


def test_an_index_that_leaves_out_nearly_all_is_not_used(tmp_path, monkeypatch):
    streams = packed(STREAMS)
    write(tmp_path, streams, lines([begins(streams)[1]]))
    monkeypatch.setattr(multistream, "STREAM_BYTES_MAX", len(b"".join(streams)) // 2)
    assert not is_used(tmp_path)
    good(tmp_path)
    assert is_used(tmp_path)


@pytest.mark.parametrize(
    ("lie", "reason"), [(None, "companion-file"), ("unsorted", "unfit-index"), ("cut off", "unfit-index")]
)
def test_the_index_itself_is_accounted_for(tmp_path, lie, reason):
    streams = packed(STREAMS)
    write(tmp_path, streams, LIES[lie](streams) if lie else lines(begins(streams)[1:-2]))
    rows = [row for shard in cut(find_sources(tmp_path)) for row in read_shard(HOW, shard).rows]
    assert [(row.origin, row.reason) for row in rows if isinstance(row, Dropped)] == [
        (f"{NAME}-index.txt.bz2", reason)
    ]


def test_an_index_without_its_dump_is_a_companion(tmp_path):
    good(tmp_path)
    (tmp_path / f"{NAME}.xml.bz2").unlink()
    ((row,),) = (read_shard(HOW, shard).rows for shard in cut(find_sources(tmp_path)))
    assert row.reason == "companion-file"


def test_a_dump_in_utf_16_is_read_without_its_index(tmp_path):
    parts = [codecs.BOM_UTF16_LE, *(part.encode("utf-16-le") for part in STREAMS)]
    good(tmp_path, [parts[0] + parts[1], *parts[2:]])
    assert not is_used(tmp_path)
    assert [row.title for row in dump_rows(tmp_path)] == [f"Tower {number}" for number in range(60)]


def test_a_document_type_is_refused_by_the_index_too(tmp_path):
    good(tmp_path, ['<!DOCTYPE mediawiki [<!ENTITY a "x">]>' + HEADER, *STREAMS[1:]])
    assert [row.reason for row in dump_rows(tmp_path)] == ["entity-declaration"]


def test_a_page_that_spans_streams_is_one_page(tmp_path):
    """Cut inside its text, inside its tags, and over three streams; true begins of streams, all of them."""
    text = "".join(STREAMS)
    inside = [text.index(f"Tower {number}<") for number in (4, 17, 40)]
    places = [
        text.index("<page>"),
        inside[0],
        text.index("<page>", inside[0]) + 3,
        text.index("</page>", inside[1]) + 4,
        inside[2],
        inside[2] + 30,
        inside[2] + 60,
        len(text),
    ]
    good(tmp_path, [text[start:end] for start, end in pairwise([0, *places])])
    assert is_used(tmp_path)
    rows = dump_rows(tmp_path)
    assert rows == in_order(tmp_path)
    assert [row.title for row in rows] == [f"Tower {number}" for number in range(60)]


@pytest.mark.parametrize("run_bytes", [1, 600, 1 << 20])
@pytest.mark.parametrize("harm", ["flip", "zero"])
def test_a_broken_stream_loses_its_own_pages_only(tmp_path, monkeypatch, run_bytes, harm):
    monkeypatch.setattr(multistream, "RUN_BYTES", run_bytes)
    streams = packed(STREAMS)
    offsets = begins(streams)
    wrong = bytearray(streams[3])
    for place in range(30, 60):
        wrong[place] = wrong[place] ^ 0xFF if harm == "flip" else 0
    streams[3] = bytes(wrong)
    write(tmp_path, streams, lines(offsets[1:-2]))
    rows = dump_rows(tmp_path)
    assert [row.title for row in rows if isinstance(row, Document)] == [
        f"Tower {number}" for number in range(60) if number // 10 != 2
    ]
    (lost,) = (row for row in rows if isinstance(row, Dropped))
    assert lost.reason == "broken-bz2"
    assert lost.preview.startswith(f"the stream at byte {offsets[3]}: ")
    assert rows.index(lost) == 20


def test_a_dump_that_was_cut_off_is_read_without_the_index_of_the_whole(tmp_path):
    streams = packed(STREAMS)
    whole = b"".join(streams)
    write(tmp_path, [whole[: begins(streams)[4] + 50]], lines(begins(streams)[1:-2]))
    assert not is_used(tmp_path)
    rows = dump_rows(tmp_path)
    assert rows == in_order(tmp_path)
    assert rows[-1].reason == "truncated-bz2"


PARTS = st.sampled_from(
    [
        b"<page>",
        b"</page>",
        b"<page>a</page>",
        b"<pa",
        b"ge>",
        b"</pa",
        b"/page>",
        b"<",
        b"x",
        b"\n",
        b"<page>b",
    ]
)
TEXTS = st.lists(st.lists(PARTS, max_size=5).map(b"".join), min_size=1, max_size=8)


def pieces(found):
    return [(piece.reason, piece.detail) if isinstance(piece, BrokenInput) else piece for piece in found]


def runs_of(offsets, cuts):
    """The streams in runs that end where ``cuts`` say."""
    ends = [*(place for place, ends_here in enumerate(cuts, 1) if ends_here), len(offsets) - 1]
    return [Run(tuple(offsets[first : last + 1])) for first, last in pairwise(dict.fromkeys([0, *ends]))]


@given(parts=TEXTS, cuts=st.lists(st.booleans(), max_size=7))
@example(parts=[b"<page>a</page>", b"<pa", b"ge>b</page>"], cuts=[True, True])
@example(parts=[b"", b"", b"", b"<pa", b"ge>"], cuts=[False, False, True, True])
@example(parts=[b"<page>a</page>", b"x<p", b"ag", b"e>b</page><page>c</page>"], cuts=[True, True, True])
def test_any_text_in_any_streams_in_any_runs_has_the_pages_of_the_whole(tmp_path_factory, parts, cuts):
    streams = packed(parts)
    path = tmp_path_factory.mktemp("run") / "x.bz2"
    path.write_bytes(b"".join(streams))
    runs = runs_of(begins(streams), cuts[: len(parts) - 1])
    assert pieces(piece for run in runs for piece in read_run(path, run)) == pieces(cut_pages(parts))


HARM = st.sampled_from(["", "in it", "after it"])


@given(parts=TEXTS, cuts=st.lists(st.booleans(), max_size=7), harm=st.lists(HARM, min_size=8, max_size=8))
@example(parts=[b"<page>b", b"</page>"], cuts=[True], harm=["", "after it"])
@example(parts=[b"<page>b", b"x"], cuts=[True], harm=["after it", ""])
@example(parts=[b"<page>a</page>", b"<pa", b"ge>b</page>"], cuts=[True, True], harm=["", "", "in it"])
@example(parts=[b"<page>a", b"<pa", b"ge>b</page>"], cuts=[True, True], harm=["", "after it", ""])
def test_what_breaks_depends_on_no_run_either(tmp_path_factory, parts, cuts, harm):
    spoil = {
        "": lambda data: data,
        "in it": lambda data: data[:-3] + b"???",
        "after it": lambda data: data + b"?",
    }
    streams = [spoil[how](stream) for how, stream in zip(harm, packed(parts), strict=False)]
    path = tmp_path_factory.mktemp("run") / "x.bz2"
    path.write_bytes(b"".join(streams))
    offsets = begins(streams)
    in_one = pieces(read_run(path, Run(tuple(offsets))))
    runs = runs_of(offsets, cuts[: len(parts) - 1])
    assert pieces(piece for run in runs for piece in read_run(path, run)) == in_one
    breaks = sum(isinstance(piece, tuple) and piece[0].endswith("-bz2") for piece in in_one)
    assert breaks == sum(map(bool, harm[: len(parts)]))


@given(
    parts=st.lists(PARTS, max_size=12),
    sizes=st.lists(st.integers(1, 9), min_size=1),
    longest=st.integers(9, 40),
)
@example(parts=[b"<page>", b"<page>"], sizes=[1], longest=9)
def test_pages_do_not_depend_on_how_their_bytes_arrive(parts, sizes, longest):
    text = b"".join(parts)
    chunks, place = [], 0
    for number in range(len(text)):
        chunks.append(text[place : place + sizes[number % len(sizes)]])
        place += len(chunks[-1])
    assert b"".join(chunks) == text
    assert pieces(cut_pages(chunks, longest)) == pieces(cut_pages([text], longest))
