"""What the corpus benchmarks judge by: truth by brute force, targets met or not, shards that lose no line."""

import itertools
import subprocess
import sys

import pytest

from rpt_core.recipes.corpus import SampleWorld
from rpt_core.sample.files import write_sample
from tests.benchmarks import table as tables
from tests.benchmarks.corpus.cleanup import STEPS, clean_up
from tests.benchmarks.corpus.planted import chance, jaccard, texts, write
from tests.benchmarks.corpus.whole import removed, scores
from tests.benchmarks.resident import peak_bytes
from tests.benchmarks.table import Row, Table
from tests.conftest import ROOT


def test_jaccard_is_that_of_the_sets_of_word_5_grams():
    documents = [
        *texts(12),
        "one two three four five six",
        "two three four five six",
        "one two three four five six",
        "",
    ]
    grams = [
        {tuple(words[i : i + 5]) for i in range(len(words) - 4)}
        for words in (text.split() for text in documents)
    ]
    wanted = {
        (a, b): len(grams[a] & grams[b]) / len(grams[a] | grams[b])
        for b, a in itertools.combinations(range(len(documents)), 2)
        if grams[a] & grams[b]
    }
    assert jaccard(documents) == wanted
    assert wanted[14, 12] == 1.0
    assert wanted[13, 12] == 0.5


def test_bands_find_what_their_equation_says():
    assert chance(1.0) == 1.0
    assert chance(0.0) == 0.0
    assert chance(0.8) == pytest.approx(0.9235, abs=1e-4)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (Row("m", "", "", 5.0, 5), 0),
        (Row("m", "", "", 4.9, 5), tables.MISSED),
        (Row("m", "", "", 0.2, 0.2, at_most=True), 0),
        (Row("m", "", "", 0.3, 0.2, at_most=True), tables.MISSED),
    ],
)
def test_a_target_is_a_bound_of_one_side(row, code, capsys):
    table = Table()
    table.add(row)
    assert table.end() == code
    assert ("missed: m" in capsys.readouterr().out) == bool(code)


def test_what_did_not_run_is_no_pass_and_what_is_unequal_weighs_more(capsys):
    assert Table(not_run=["a race"]).end() == tables.NOT_RUN
    assert Table(not_run=["a race"], unequal=["recall"]).end() == tables.MISSED
    assert Table(missed=["memory"]).end() == tables.MISSED
    assert "not run: a race" in capsys.readouterr().out


def test_scores_count_pairs_left_whole_and_removals_without_a_twin():
    alike = [(1, 0), (2, 1), (4, 3)]
    assert scores({1, 4, 5}, alike) == (1.0, 2 / 3)
    assert scores({0}, alike) == (1 / 3, 1.0)


def test_what_is_written_twice_is_an_error(tmp_path):
    write(["a b c", "d", "e f"], tmp_path / "out", 2)
    assert removed(tmp_path / "out", 5) == {3, 4}
    (tmp_path / "out" / "again.jsonl").write_text('{"id": "1", "text": "d"}\n')
    with pytest.raises(AssertionError, match="twice"):
        removed(tmp_path / "out", 5)


@pytest.mark.parametrize("size", [1, 40, 1 << 20])
def test_shards_hold_every_line_once_and_in_order(tmp_path, monkeypatch, size):
    from tests.benchmarks.corpus import whole_side

    monkeypatch.setattr(whole_side, "SHARD_BYTES", size)
    write([f"text {number} \u2028 \x85 ü" for number in range(20)], tmp_path / "given", 3)
    (tmp_path / "given" / "99999.jsonl").write_bytes(b"")
    found = list(whole_side.shards(tmp_path / "given"))
    lines = [line for shard in found for line in shard.lines()]
    wanted = [p.read_bytes() for p in sorted((tmp_path / "given").iterdir())]
    assert b"".join(lines) == b"".join(wanted)
    assert len(lines) == 20
    assert len(found) == (20 if size == 1 else 3 if size > 1000 else len(found))


def test_a_childs_peak_is_its_own_and_not_its_parents():
    held = bytearray(b"x") * (200 << 20)
    program = "from tests.benchmarks.resident import peak_bytes; print(peak_bytes())"
    child = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert peak_bytes() > len(held) > 2 * int(child.stdout)


def test_the_clean_up_charges_every_step_it_names(tmp_path):
    data = (
        write_sample(SampleWorld(seed=1, num_documents=40, num_problems=10), tmp_path / "sample")
        / "wikipedia"
    )
    (data / "samplewiki-truncated.xml.bz2").unlink()  # the size of the input is that of whole files
    megabytes_a_second, seconds = clean_up(data, tmp_path)
    assert megabytes_a_second > 0
    assert set(seconds) == {step for _, _, step in STEPS}
