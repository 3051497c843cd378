"""Ingest in shards: the rows of the sources one by one, however they are cut and whoever reads them."""

import bz2
import gzip
import json
import pickle
import time
from functools import partial

import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.digest import logical_digest
from rpt_core.corpus import ingest_shards
from rpt_core.corpus.arxiv.eprints import member_rows
from rpt_core.corpus.files import parts as parts_of
from rpt_core.corpus.files.datafiles import ALL_COLUMNS
from rpt_core.corpus.files.parts import How
from rpt_core.corpus.files.patience import patient
from rpt_core.corpus.ingest import ingest
from rpt_core.corpus.ingest_shards import ShardRows, cut, read_shard, read_whole
from rpt_core.corpus.readers import find_sources, read_source
from rpt_core.corpus.wiki import multistream
from rpt_core.corpus.wiki import parts as wiki_parts
from rpt_core.corpus.wiki.dump import page_rows
from rpt_core.corpus.wiki.parts import run_rows
from rpt_core.errors import SourceError, Stopped
from rpt_core.recipes.corpus import IngestRecipe
from rpt_core.sample.dump import FOOTER, HEADER, page_xml
from rpt_core.sample.eprints import tarred
from tests.unit.corpus.wiki.test_multistream import STREAMS, good

PROSE = "The tower was built in 1889 and stands near the river, where people meet in the evening."
HOW = How(10_000, ALL_COLUMNS)
MB = 1 << 20


def paper(number):
    body = f"Paper {number} has a theorem. {PROSE}"
    return gzip.compress(f"\\documentclass{{a}}\\begin{{document}}{body}\\end{{document}}".encode())


def article(number, wikitext=PROSE):
    return page_xml(f"Tower {number}", number, number, f"{wikitext} It has {number} windows.")


def write(folder, files):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return folder


def rows(folder):
    """By shards, as a process hands them back."""
    found = []
    for shard in cut(find_sources(folder)):
        answer = read_shard(HOW, pickle.loads(pickle.dumps(shard)))
        assert answer.rest is None
        found += pickle.loads(pickle.dumps(answer)).rows
    return found


def one_by_one(folder):
    return [row for source in find_sources(folder) for row in read_source(source, HOW)]


def parts(folder):
    return [kind_of(shard) for shard in cut(find_sources(folder))]


def kind_of(shard):
    """What reads its pieces."""
    return getattr(shard.part.read, "func", shard.part.read)


def dump(num, footer=FOOTER):
    return (HEADER + "".join(map(article, range(num))) + footer).encode()


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(wiki_parts, "PAGES_BYTES", 2000)
    monkeypatch.setattr(parts_of, "FILES_BYTES", 900)
    monkeypatch.setattr(multistream, "RUN_BYTES", 900)


def test_small_files_share_a_shard_and_keep_their_order(tmp_path):
    write(tmp_path, {f"text/{number:03}.txt": f"{number}: {PROSE}" for number in range(300)})
    (shard,) = cut(find_sources(tmp_path))
    assert shard.num_bytes == sum(source.num_bytes for source in find_sources(tmp_path))
    assert rows(tmp_path) == one_by_one(tmp_path)
    assert len(rows(tmp_path)) == 300


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize(
    "data",
    [
        dump(40),
        dump(40)[:-200],
        bz2.compress(dump(40)),
        bz2.compress(dump(40))[:-50],
        bz2.compress(dump(20, "")) + bz2.compress(dump(20)),
        gzip.compress(dump(40)),
        gzip.compress(dump(40)) + b"junk",
        dump(40).decode().encode("utf-16"),
        dump(40).replace(b"</page>", b"", 1),
        dump(40).replace(b"</title>", b"</ttl>", 7),
        b'<!DOCTYPE m [<!ENTITY a "x">]>' + dump(40),
    ],
    ids=["plain", "cut", "bz2", "cut bz2", "two", "gz", "junk", "utf-16", "unclosed", "no XML", "doctype"],
)
def test_a_dump_without_index_is_cut_here_and_parsed_there(tmp_path, data):
    write(tmp_path, {"samplewiki-x.xml": data})
    assert rows(tmp_path) == one_by_one(tmp_path)
    if len(rows(tmp_path)) > 20:
        assert parts(tmp_path)[1:] == [page_rows] * (len(parts(tmp_path)) - 1)
        assert len(parts(tmp_path)) > 3


@pytest.mark.usefixtures("small_shards")
def test_a_bulk_file_is_unpacked_here_and_converted_there(tmp_path):
    members = {f"2301/2301.{number:05}.gz": paper(number) for number in range(40)}
    bulk = tarred({**members, "2301/2301.00050.pdf": b"%PDF-1.4", "2301/notes.txt": b"none", "../x.gz": b"x"})
    write(tmp_path, {"arXiv_src_2301_001.tar": bulk, "cut/arXiv_src_2301_002.tar": bulk[:9000]})
    assert parts(tmp_path).count(member_rows) > 4
    assert rows(tmp_path) == one_by_one(tmp_path)
    assert {"pdf-only", "unrecognised-format", "archive-path-escape", "broken-archive"} <= {
        row.reason for row in rows(tmp_path) if hasattr(row, "reason")
    }


@pytest.fixture
def everything(tmp_path):
    """A folder with something for every kind of shard."""
    folder = write(
        tmp_path / "data",
        {
            "a/one.txt": PROSE,
            "a/two.txt": PROSE[::-1],
            "b/set.jsonl": "".join(
                json.dumps({"problem": f"What is {n} + {n}?", "answer": str(2 * n)}) + "\n" for n in range(60)
            ),
            "c/samplewiki-x.xml.bz2": bz2.compress(dump(40)),
            "d/arXiv_src_2301_001.tar": tarred(
                {f"2301/2301.{number:05}.gz": paper(number) for number in range(10)}
            ),
            "e/texts.jsonl": json.dumps({"text": PROSE, "title": "A lone \ud800 half"}) + "\n",
            "f/2301.00001.json": json.dumps(
                {
                    "id": "2301.00001",
                    "categories": "math.NT",
                    "license": "https://creativecommons.org/licenses/by/4.0/",
                }
            ),
            "g/junk.bin": b"\0\1\2",
        },
    )
    good(folder / "wiki", STREAMS)
    return folder


def digests(data, out, mapper=map, **options):
    build = LocalBuild({}, out / "out", out / "scratch", mapper=mapper, **options)
    ingest(IngestRecipe(data=str(data)), build)
    return {path.name: logical_digest(path) for path in (out / "out").glob("*.parquet")}


@pytest.fixture
def expected(everything, tmp_path):
    """Of shards as large as they are in earnest."""
    return digests(everything, tmp_path / "expected")


def pickled(function, items):
    """What another process does, in this one."""
    function = pickle.loads(pickle.dumps(function))
    for item in items:
        yield pickle.loads(pickle.dumps(function(pickle.loads(pickle.dumps(item)))))


def sees_no_files(function, items):
    """A process on another machine."""
    for shard in items:
        answer = function(shard)
        yield answer if not shard.part.files else ShardRows(shard.name, shard.num_bytes, [], shard)


@pytest.mark.parametrize("mapper", [map, pickled, sees_no_files])
def test_no_shard_layout_and_no_process_shows_in_the_tables(
    everything, expected, tmp_path, monkeypatch, mapper
):
    monkeypatch.setattr(wiki_parts, "PAGES_BYTES", 2000)
    monkeypatch.setattr(parts_of, "FILES_BYTES", 900)
    monkeypatch.setattr(multistream, "RUN_BYTES", 900)
    assert {*parts(everything)} == {read_whole, page_rows, run_rows, member_rows}
    assert digests(everything, tmp_path, mapper) == expected


@pytest.mark.parametrize("chars", [0, 1000, 9000])
def test_what_does_not_fit_into_an_answer_is_read_by_the_stage(
    everything, expected, tmp_path, monkeypatch, chars
):
    """Whether the first row is too much already, or some of a shard's rows, or only the longest shards."""
    monkeypatch.setattr(ingest_shards, "ANSWER_CHARS", chars)
    answers = []

    def watched(function, items):
        for answer in map(function, items):
            answers.append(answer)
            yield answer

    assert digests(everything, tmp_path, watched) == expected
    assert any(answer.rest and answer.rows for answer in answers)


def test_a_small_file_that_unpacks_to_much_is_answered_in_part(tmp_path):
    row = json.dumps({"text": PROSE + "x" * 9000}) + "\n"
    write(tmp_path, {"rows.jsonl.gz": gzip.compress(row.encode() * 8000)})
    (shard,) = cut(find_sources(tmp_path))
    answer = read_shard(HOW, shard)
    assert shard.fits
    assert answer.rest == shard
    held = sum(len(row.text) for row in answer.rows)
    assert 0.9 * ingest_shards.ANSWER_CHARS < held < ingest_shards.ANSWER_CHARS + 10_000


def test_many_rows_without_text_fill_an_answer_too(tmp_path):
    page = b"<page></page>\n" * 150_000
    write(tmp_path, {"samplewiki-x.xml.bz2": bz2.compress(HEADER.encode() + page + FOOTER.encode())})
    (shard,) = cut(find_sources(tmp_path))
    answer = read_shard(HOW, shard)
    assert answer.rest == shard
    assert len(answer.rows) < ingest_shards.ANSWER_CHARS / ingest_shards.ROW_CHARS + 2


def test_a_large_data_file_is_left_to_the_stage(tmp_path):
    row = json.dumps({"text": PROSE}) + "\n"
    write(tmp_path, {"rows.jsonl": row * (1 + MB // len(row))})
    (shard,) = cut(find_sources(tmp_path))
    assert (read_shard(HOW, shard).rows, read_shard(HOW, shard).rest) == ([], shard)


@pytest.mark.parametrize("harm", ["gone", "longer"])
@pytest.mark.parametrize("kind", [read_whole, run_rows])
def test_a_process_that_sees_no_file_or_another_one_hands_the_shard_back(tmp_path, harm, kind):
    write(tmp_path, {"tale.txt": PROSE}) if kind is read_whole else good(tmp_path)
    shard = next(shard for shard in cut(find_sources(tmp_path)) if kind_of(shard) is kind)
    assert read_shard(HOW, shard).rest is None
    for source in shard.part.files:
        source.path.write_bytes(source.path.read_bytes() + b"more")
        if harm == "gone":
            source.path.unlink()
    assert read_shard(HOW, shard) == ShardRows(shard.name, shard.num_bytes, [], shard)


@pytest.mark.usefixtures("small_shards")
def test_a_stage_that_is_stopped_starts_again_and_ends_the_same(everything, expected, tmp_path):
    build = LocalBuild({}, tmp_path / "first/out", tmp_path / "first/scratch")

    def stops(function, items):
        for number, item in enumerate(items):
            build.stop = number == 3
            yield function(item)

    build.mapper = stops
    with pytest.raises(Stopped, match="rerun to read from the start"):
        ingest(IngestRecipe(data=str(everything)), build)
    assert digests(everything, tmp_path / "second") == expected


@pytest.mark.usefixtures("small_shards")
def test_progress_goes_from_nothing_to_all(everything, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(
        LocalBuild, "progress", lambda _, done, total, note="": told.append((done / total, note))
    )
    digests(everything, tmp_path)
    done = [share for share, note in told if not note.startswith("found")]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(1)
    assert len(set(done)) > 6
    assert "c/samplewiki-x.xml.bz2" in {note for _, note in told}


def test_shards_are_made_as_they_are_taken(tmp_path, monkeypatch):
    """A dump of any length is never cut ahead of who parses it."""
    monkeypatch.setattr(wiki_parts, "PAGES_BYTES", 2000)
    pages = b"".join(article(number).encode() for number in range(4000))
    write(tmp_path, {"samplewiki-x.xml": HEADER.encode() + pages + FOOTER.encode()})
    taken = 0
    original = wiki_parts.open_dump

    def counted(source, chunks):
        site, pieces = original(source, chunks)

        def each():
            nonlocal taken
            for piece in pieces:
                taken += 1
                yield piece

        return site, each()

    monkeypatch.setattr(wiki_parts, "open_dump", counted)
    answers = map(partial(read_shard, HOW), cut(find_sources(tmp_path)))
    first = next(answers)
    assert len(first.rows) == taken < 10


def test_an_error_of_ours_names_the_file(tmp_path, monkeypatch):
    def wrong(*_):
        raise ZeroDivisionError("ours")

    write(tmp_path, {"tale.txt": PROSE})
    monkeypatch.setattr(ingest_shards, "read_source", wrong)
    with pytest.raises(ZeroDivisionError) as raised:
        rows(tmp_path)
    assert raised.value.__notes__ == ["while reading tale.txt"]


def test_a_file_that_hangs_is_named_and_not_its_shard(tmp_path, monkeypatch):
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / name).write_text(PROSE)
    (shard,) = cut(find_sources(tmp_path))

    def hangs(source, how):
        end = time.process_time() + (5 if source.name == "b.txt" else 0)
        while time.process_time() < end:
            pass
        yield from read_source(source, how)

    monkeypatch.setattr(ingest_shards, "read_source", hangs)
    monkeypatch.setattr(parts_of, "patient", partial(patient, seconds=0.4))
    with pytest.raises(SourceError, match=r"^b\.txt gave no row"):
        read_shard(HOW, shard)
