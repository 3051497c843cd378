"""The table of a real model: what is asked, and how a row is told."""

from types import SimpleNamespace

from rpt_core.evaluation.benchmarks.packs.reading import find_folder, read_folder
from rpt_core.evaluation.benchmarks.packs.registry import PACKS
from rpt_core.recipes.benchmark_evaluation import BenchmarkOptions
from tests.benchmarks.model_table import ROWS, articles, lines, processor_seconds


def test_every_row_is_a_benchmark_with_settings_that_rpt_eval_takes():
    assert len({row.name for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert row.benchmark in PACKS
        BenchmarkOptions(**row.options)


def test_articles_begin_at_their_titles_and_not_at_headings(tmp_path):
    (tmp_path / "text").mkdir()
    text = " \n = One = \n\n first , here\n\n = = Part = = \n\n more\n\n = Two thirds = \n\n second\n"
    (tmp_path / "text" / "wikitext-2-valid.txt").write_text(text)
    folder = articles(tmp_path, tmp_path / "home")
    place = find_folder(PACKS["next_token"], folder)
    assert place is not None
    texts = [item.question for item in read_folder(PACKS["next_token"], place).items]
    assert [one.splitlines()[0].strip() for one in texts] == ["= One =", "= Two thirds ="]
    assert "more" in texts[0]


def test_a_row_says_what_was_seen_how_it_was_asked_and_what_was_unread(tmp_path):
    (row,) = (one for one in ROWS if one.name == "gsm8k")
    accuracy = {"all": {"value": 0.25, "low": 0.1, "high": 0.4, "num_items": 8}}
    scores = {
        "is_training_file": True, "prompt": "chat", "answered": 6, "unread": 2,
        "modes": {"reasoning": {"accuracy": accuracy}},
    }  # fmt: skip
    manifest = SimpleNamespace(attempts=[SimpleNamespace(seconds=3.0), SimpleNamespace(seconds=4.0)])
    assert list(lines(row, manifest, scores, 5.0)) == [
        "| GSM8K, *training file, seen* | reasoning, chat | 8 | 25.0 [10.0, 40.0] | 6 | 2 | 7 | 5 |"
    ]
    (tmp_path / "cpu.jsonl").write_text('["gsm8k", 9.0]\n["gsm8k", 5.0]\n')
    assert processor_seconds(tmp_path) == {"gsm8k": 5.0}
    assert processor_seconds(tmp_path / "nowhere") == {}
