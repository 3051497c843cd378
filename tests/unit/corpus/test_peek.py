"""`rpt plan --peek`: the first rows of a text, read and cleaned as a run would, and nothing built."""

import json

import pytest

from rpt_core.corpus.ingest import ingest
from rpt_core.corpus.peek import look
from rpt_core.corpus.prepare import prepare
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe
from tests.unit.flows.cli.test_copy_and_compare import run, said

SENTENCE = (
    "The {} harbour keeps {} boats because the tide turns late and nobody has counted them since spring."
)


def article(number: int) -> str:
    words = ("old", "new", "north", "stone", "quiet", "narrow", "broad", "far")
    return " ".join(SENTENCE.format(words[(number + i) % 8], number * 7 + i) for i in range(6 + number % 3))


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    rows = [json.dumps({"title": f"t{i}", "text": article(i)}) for i in range(60)]
    (folder / "a.jsonl").write_text("\n".join([*rows, "{broken", json.dumps({"text": "Too short."})]) + "\n")
    (folder / "b.txt").write_text(article(99))
    (folder / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    return folder


def recipes(data):
    read = IngestRecipe(data=str(data))
    return read, PrepareRecipe(documents=read)


def test_of_a_small_text_it_says_what_a_run_says(data, tmp_path):
    from rpt_core.artifacts.build import LocalBuild

    read, clean = recipes(data)
    first, second = look(read, clean, tmp_path / "look", 1000, 2)
    build = LocalBuild({}, tmp_path / "documents", tmp_path / "s")
    whole = ingest(read, build)
    assert first.rows == whole.rows
    assert first.found == whole.summary["found"]
    assert not first.is_part
    cleaned = prepare(clean, LocalBuild({"documents": build.out}, tmp_path / "corpus", tmp_path / "s2"))
    assert second.rows == cleaned.rows
    assert first.rows.dropped == {"bad-json": 1, "unrecognised-format": 1}
    assert "too-short" in second.rows.dropped
    for one in (first, second):
        assert set(one.dropped) == set(one.rows.dropped), "an example of every reason"
        assert all(1 <= len(rows) <= 2 for rows in (one.kept, *one.dropped.values()))
    assert "{broken" in first.dropped["bad-json"][0].text
    assert second.dropped["too-short"][0].text == "Too short."


def test_of_a_large_text_it_reads_the_first_rows_of_every_part(data, tmp_path):
    for number in range(3):
        rows = [json.dumps({"text": article(i)}) for i in range(400)]
        (data / f"large{number}.jsonl").write_text("\n".join(rows) + "\n")
    (first,) = look(IngestRecipe(data=str(data)), None, tmp_path / "look", 100, 1)
    assert first.is_part
    assert first.rows.rows_in <= 100


def test_the_command_builds_nothing_and_shows_examples(data, store, capsys, tmp_path):
    assert run("plan", "tiny_rpt", "-p", f"data={data}", "--peek") == 0
    out = capsys.readouterr().out
    for words in (
        "64 in, 62 kept, 2 dropped",
        "dropped for too-short:",
        "Too short.",
        "c.png",
        "1 JSONL file",
    ):
        assert words in out
    assert list(store.scan().manifests) == []
    assert run("plan", "tiny_rpt", "-p", f"data={data}", "--peek", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["stage"] for one in found] == ["ingest-corpus", "prepare-corpus"]
    assert found[0]["rows"]["rows_in"] == 64


def test_data_that_is_not_there_is_a_sentence(store, capsys):
    assert run("plan", "tiny_rpt", "-p", "data=/no/such/folder", "--peek") == 2
    assert "does not exist" in said(capsys)
