import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Ref
from rpt_core.corpus.clean.quality import broken_rules, measure
from rpt_core.corpus.ingest import ingest
from rpt_core.corpus.prepare import prepare
from rpt_core.corpus.readers import origin_of
from rpt_core.corpus.text.shield import without
from rpt_core.corpus.text.words import split_words
from rpt_core.errors import SourceError, Stopped
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe

PLACES = ("river", "garden", "castle", "market", "bridge", "harbour", "library", "station", "tower", "mill")


def tale(number):
    """A text of some sixty words, unlike every other."""
    first, second = PLACES[number % 10], PLACES[(number // 10 + number) % 10]
    return (
        f"The {first} of town {number} was built in {1200 + 7 * number} beside the {second}. "
        f"Some {3 * number + 5} people worked there for {number % 9 + 2} years and {number * 31 % 97} days. "
        f"When house {number * 17 % 211} burnt in {1300 + 5 * number}, they moved the {second} to hill "
        f"{number * 13 % 89}. Its bell of {40 + number * 3 % 71} pounds is still rung on day "
        f"{number % 28 + 1} of month {number % 12 + 1}."
    )


def write(folder: Path, name: str, rows) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def run(tmp_path, **options):
    """Both stages over ``tmp_path/data``; returns the outcome and the tables by name."""
    first = LocalBuild({}, tmp_path / "documents", tmp_path / "scratch1")
    ingest(IngestRecipe(data=str(tmp_path / "data")), first)
    second = LocalBuild({"documents": tmp_path / "documents"}, tmp_path / "corpus", tmp_path / "scratch2")
    outcome = prepare(PrepareRecipe(documents=Ref(ref="x"), **options), second)
    tables = {path.stem: pq.read_table(path).to_pylist() for path in (tmp_path / "corpus").glob("*.parquet")}
    return outcome, tables


@pytest.fixture
def data(tmp_path):
    write(
        tmp_path / "data",
        "tales.jsonl",
        [{"id": i, "title": f"Tale {i}", "text": tale(i)} for i in range(60)],
    )
    return tmp_path


def test_every_row_is_kept_or_has_a_reason(data):
    write(
        data / "data",
        "more.jsonl",
        [{"id": 99, "title": "Copy", "text": tale(0)}, {"title": "Short", "text": "Too short."}],
    )
    outcome, tables = run(data)
    assert (outcome.rows.rows_in, outcome.rows.kept) == (62, 60)
    assert outcome.rows.dropped == {"exact-duplicate": 1, "too-short": 1}
    assert {row["reason"] for row in tables["dropped"]} == {"exact-duplicate", "too-short"}
    assert len(tables["documents"]) == 60


def test_spans_put_together_are_the_text(data):
    _, tables = run(data, min_segment_chars=1)
    texts = {row["doc_id"]: row["text"] for row in tables["documents"]}
    joined = dict.fromkeys(texts, "")
    for row in tables["segments"]:
        joined[row["doc_id"]] += texts[row["doc_id"]][row["start"] : row["end"]]
    assert joined == texts
    assert all(len([row for row in tables["segments"] if row["doc_id"] == doc]) == 4 for doc in texts)


def test_splits_depend_on_the_seed_and_on_nothing_else(data):
    first = {row["doc_id"]: row["split"] for row in run(data, eval_share=0.3)[1]["documents"]}
    write(
        data / "data",
        "more.jsonl",
        [{"id": 500 + i, "title": f"New {i}", "text": tale(500 + i)} for i in range(20)],
    )
    again = {row["doc_id"]: row["split"] for row in run(data, eval_share=0.3)[1]["documents"]}
    other = {row["doc_id"]: row["split"] for row in run(data, eval_share=0.3, seed=1)[1]["documents"]}
    assert first.items() <= again.items()
    assert other != again
    assert 5 <= list(first.values()).count("eval") <= 35


def test_held_out_problems_are_kept_out_of_documents_and_training_problems(data):
    problems = [
        {
            "problem": f"In the old mill {i} sacks of {i * 7} pounds each were weighed by {i % 5 + 2} men "
            "who took turns every hour of the day",
            "answer": str(i),
        }
        for i in range(80)
    ]
    write(data / "data/sums", "train.jsonl", problems)
    _, tables = run(data, eval_share=0.3)
    held_out = [row for row in tables["problems"] if row["split"] == "eval"]
    assert held_out
    write(
        data / "data", "leak.jsonl", [{"title": "Leak", "text": f"{tale(900)}\n\n{held_out[0]['problem']}"}]
    )
    outcome, tables = run(data, eval_share=0.3)
    assert outcome.rows.by_source["text"].dropped == {"benchmark-leak": 1}
    assert [row["removed"] for row in tables["hits"]] == [True]


def test_benchmarks_are_passed_on_and_never_split(data):
    write(
        data / "data/aime24",
        "test.jsonl",
        [{"problem": "Find all primes below ten.", "answer": "2, 3, 5, 7"}],
    )
    _, tables = run(data)
    assert [row["benchmark"] for row in tables["benchmarks"]] == ["aime24"]
    assert tables["problems"] == []


def test_traces_stand_at_their_place_in_the_cleaned_text(data):
    text = tale(3)
    at = text.index(" people")
    rows = [
        {"title": "Tale 3", "before": text[:at], "thought": " hm", "answer": " people", "kind": "k"},
        {"title": "Tale 3", "before": "absent", "thought": " hm", "answer": " people", "kind": "k"},
        {"title": "Tale 3", "before": "", "thought": " hm", "answer": " people", "kind": "k"},
        {"title": "Tale 3", "before": " the", "thought": " hm", "answer": " ", "kind": "k"},
        {"title": "Nowhere", "before": "x", "thought": " hm", "answer": "y", "kind": "k"},
    ]
    write(data / "data", "traces.jsonl", rows)
    outcome, tables = run(data)
    (trace,) = tables["traces"]
    (document,) = [row for row in tables["documents"] if row["doc_id"] == trace["doc_id"]]
    assert document["text"][: trace["char_offset"]] == text[:at]
    assert document["text"][trace["char_offset"] :].startswith(" people")
    assert outcome.rows.by_source["traces"].dropped == {"ambiguous": 1, "no-document": 1, "not-found": 1}


def test_personal_data_is_masked_and_never_shown_among_the_dropped(data):
    write(
        data / "data",
        "people.jsonl",
        [
            {"title": "P", "text": f"{tale(901)} Write to ada@example.org."},
            {"title": "S", "text": "ada@example.org"},
        ],
    )
    _, tables = run(data)
    (row,) = [row for row in tables["documents"] if row["title"] == "P"]
    assert row["text"].endswith("Write to <EMAIL>.")
    assert json.loads(row["pii"]) == {"EMAIL": 1}
    assert not [row for row in tables["dropped"] if "ada@" in row["preview"]]


def test_a_language_filter(data):
    german = (
        "Die Würde des Menschen ist unantastbar. Sie zu achten und zu schützen ist die Verpflichtung "
        "aller staatlichen Gewalt. Das Volk bekennt sich darum zu den Rechten."
    )
    write(data / "data", "german.jsonl", [{"title": "G", "text": german}])
    outcome, tables = run(data, languages=("en",))
    assert outcome.rows.dropped == {"language": 1}
    assert {row["lang"] for row in tables["documents"]} == {"en"}


def test_the_card_tells_what_happened(data):
    outcome, _ = run(data)
    report = json.loads((data / "corpus/report.json").read_text())
    assert report["rows"]["kept"] == outcome.rows.kept == 60
    assert report["languages"] == {"en": 60}
    assert "| text | 60 | 60 | - |" in (data / "corpus/card.md").read_text()


def test_two_runs_write_the_same_tables(data):
    first = run(data)[1]
    assert run(data)[1] == first


def test_nothing_kept_and_nothing_readable_are_named(tmp_path):
    write(tmp_path / "data", "short.jsonl", [{"text": "Too short."}])
    with pytest.raises(SourceError, match="none was kept"):
        run(tmp_path)
    write(tmp_path / "data", "short.jsonl", [{"colour": 1}])
    with pytest.raises(SourceError, match="not one document, problem or trace"):
        run(tmp_path)


def test_a_stop_is_heeded(data):
    with pytest.raises(Stopped):
        ingest(IngestRecipe(data=str(data / "data")), LocalBuild({}, data / "a", data / "b", stop=True))
    run(data)
    with pytest.raises(Stopped):
        prepare(
            PrepareRecipe(documents=Ref(ref="x")),
            LocalBuild({"documents": data / "documents"}, data / "c", data / "d", stop=True),
        )


def test_a_lone_surrogate_is_a_dropped_row(data):
    (data / "data/odd.jsonl").write_text('{"title": "t", "text": "half \\ud800 a pair"}\n')
    run(data)
    dropped = pq.read_table(data / "documents/dropped.parquet").to_pylist()
    assert [row["reason"] for row in dropped] == ["not-utf-8"]


def judge(text, source="text", lang="en", min_words=5):
    prose = without(text)
    metrics = measure(text, prose, split_words([prose]), 0)
    broken = broken_rules(metrics, prose, origin_of(source).profile, lang, min_words, rules=True)
    return broken[0].reason if broken else ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A short but proper sentence of some words.", ""),
        ("Too short.", "too-short"),
        ("$" + ", ".join(["x + y = z"] * 20) + "$ holds.", ""),
        ("Let $a$ be $b$. " * 5 + "Then " + "$$" + "\\frac{a}{b} + " * 30 + "c$$", ""),
        ("1066 1215 1492 1588 1666 1776 1789 1815 1848 1914", "few-letters"),
        ("# # # # a b c d e f g words here", "word-length"),
        ("word #word #word #word #word #word.", "symbols"),
        ("\n".join(f"- item number {i} of it." for i in range(20)), "list-like"),
        ("\n".join(f"and so on and so forth until we come to number {i}..." for i in range(20)), "list-like"),
        ("\n".join(f"menu entry number {i} of it" for i in range(20)), "list-like"),
        ("The committee met again today.\n" * 10, "line-repetition"),
        ("buy now " * 150 + ".", "ngram-repetition"),
        (" ".join(f"buy{i} cheap{i}" for i in range(150)) + ".", "few-stop-words"),
        ("Lorem ipsum dolor sit amet, consectetur elit.", "boilerplate"),
        (
            "Donaudampfschifffahrtsgesellschaft Rindfleischetikettierung Kraftfahrzeughaftpflicht "
            "Lebensversicherung Eins.",
            "word-length",
        ),
    ],
)
def test_quality_rules(text, reason):
    assert judge(text) == reason


def test_solutions_become_documents_only_where_asked(data):
    problems = [
        {"problem": f"What is {n} times {n + 3}, as counted on the {PLACES[n % 10]}?",
         "answer": str(n * (n + 3)),
         "solution": f"Take {n} rows of {n + 3}. Together they make {n * (n + 3)} stones." if n % 4 else ""}
        for n in range(2, 40)
    ]  # fmt: skip
    write(data / "data", "sums.jsonl", problems)
    plain, without_them = run(data)
    assert "context_chars" not in without_them["documents"][0]
    outcome, tables = run(data, solutions_as_documents=True)
    assert outcome.rows == plain.rows
    rows = {row["doc_id"]: row for row in tables["documents"] if row["context_chars"]}
    solved = [problem for problem in tables["problems"] if problem["solution"]]
    assert len(rows) == len(solved) > 20
    for problem in solved:
        row = rows[problem["problem_id"]]
        assert row["text"][: row["context_chars"]] == problem["problem"] + "\n\n"
        assert row["text"][row["context_chars"] :] == problem["solution"]
        assert row["split"] == problem["split"]
        spans = [s for s in tables["segments"] if s["doc_id"] == row["doc_id"]]
        assert "".join(row["text"][s["start"] : s["end"]] for s in spans) == row["text"]
    others = [row for row in tables["documents"] if not row["context_chars"]]
    assert [row["doc_id"] for row in others] == [row["doc_id"] for row in without_them["documents"]]
