"""The leaderboard's page: places, clean scores, and columns that never mix what was asked otherwise."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.manifest import RowCounts
from rpt_core.artifacts.recipe import Artifact
from rpt_core.errors import RecipeError
from rpt_core.evaluation.benchmarks.suite.table import as_outcomes, write_outcomes
from rpt_core.evaluation.harness.table import item_ids, rows_of_record, scores_of
from rpt_core.evaluation.items import as_table, write_items
from rpt_core.recipes.reports.leaderboard import Entry, LeaderboardRecipe
from rpt_core.report.study import write_report
from tests.unit.evaluation.tables import AFTER, BEFORE, Planted, manifest_of, write_evaluation
from tests.unit.evaluation.test_contamination import QUESTIONS, corpus
from tests.unit.evaluation.test_items import item
from tests.unit.report.test_report import Page


def address(name: str) -> Artifact:
    return Artifact(kind="evaluation", fingerprint=name * 8, digest=name * 8)


def quiz(folder: Path, right: str, **recipe) -> Path:
    """An evaluation of the four questions, those named answered right."""
    folder.mkdir()
    write_items([as_table([item(name, right=name in right.split()) for name in QUESTIONS])], folder)
    manifest = manifest_of("benchmark", folder.name) | {"recipe": {"stage": "evaluate-pack", **recipe}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def board(
    folder: Path, evaluations: dict[str, list[Path]], corpora: dict[str, dict[str, list[Path]]] | None = None
):
    """The leaderboard of some folders, made."""
    inputs, entries = {}, []
    for name, folders in evaluations.items():
        more = (corpora or {}).get(name, {})
        given = {"evaluations": folders, **more}
        for what, paths in given.items():
            inputs |= {f"entries.{name}.{what}.{number}": path for number, path in enumerate(paths)}
        addresses = {what: tuple(address(path.name) for path in paths) for what, paths in given.items()}
        entries.append(Entry(name=name, **addresses))
    recipe = LeaderboardRecipe(entries=tuple(entries))
    assert recipe.inputs().keys() == inputs.keys()
    build = LocalBuild(inputs, folder / "out", folder / "scratch")
    outcome = write_report(LeaderboardRecipe.parse(recipe.model_dump(mode="json")), build)
    return build.out, json.loads((build.out / "report.json").read_text()), outcome


def rows_of(page: dict, title: str) -> dict[str, dict]:
    section = next(one for one in page["sections"] if one["title"] == title)
    table = next(block for block in section["blocks"] if isinstance(block, dict))
    return {row[0]: dict(zip(table["head"], row, strict=True)) for row in table["rows"]}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    root = tmp_path_factory.mktemp("board")
    questions = Planted(30, 4)
    start = write_evaluation(root / "a", BEFORE, planted=questions, problems=0.2)
    twin = write_evaluation(root / "b", BEFORE, seed=1, planted=questions, problems=0.25)
    trained = write_evaluation(root / "c", AFTER, seed=2, planted=questions, problems=0.8)
    return board(root, {"start": [start], "twin": [twin], "trained": [trained]})


def test_the_best_is_first_and_what_cannot_be_told_apart_shares_a_place(planted):
    _, page, outcome = planted
    rows = rows_of(page, "problems")
    assert list(rows) == ["trained", *sorted(("start", "twin"), key=lambda n: -rows[n]["accuracy"]["value"])]
    assert [row["place"] for row in rows.values()] == ["1", "2–3", "2–3"]
    for row in rows.values():
        assert row["accuracy"]["low"] < row["accuracy"]["value"] < row["accuracy"]["high"]
    assert rows["start"]["less the first"]["value"] == pytest.approx(
        rows["start"]["accuracy"]["value"] - rows["trained"]["accuracy"]["value"]
    )
    assert rows["start"]["p, adjusted"] < 0.05
    assert outcome.summary["first: problems"] == "trained"
    thinking = rows_of(page, "next token, thinking")
    assert thinking["trained"]["place"] == "1"
    assert "pass@8" in thinking["trained"]


def test_the_overview_has_a_row_a_checkpoint_and_a_column_a_benchmark(planted):
    out, page, outcome = planted
    overview = rows_of(page, "Leaderboard")
    assert overview.keys() == {"start", "twin", "trained"}
    assert next(iter(overview)) == "trained"
    names = {"next token, plain", "next token, thinking", "next token, made to think", "problems"}
    assert names <= overview["start"].keys()
    assert {f"first: {name}" for name in names} <= outcome.summary.keys()
    html = Page((out / "report.html").read_text())
    assert html.open == []
    text = " ".join("".join(html.text).split())
    assert "place 2–3" in text
    assert "What start, trained, twin read is not known" in text
    assert "| trained |" in (out / "report.md").read_text()
    assert pq.read_table(out / "touched.parquet").num_rows == 0


def test_a_clean_score_stands_beside_each_one(tmp_path):
    asked = corpus(tmp_path / "asked", {}, QUESTIONS)
    read = corpus(tmp_path / "read", {"d0": f"An exercise. {QUESTIONS['q0']} It was given."})
    other = corpus(tmp_path / "other", {"d0": "Some words on rivers, on trains, and on what lives there."})
    one, two = quiz(tmp_path / "one", "q0 q1"), quiz(tmp_path / "two", "q1 q2")
    out, page, _ = board(
        tmp_path,
        {"reader": [one], "other": [two]},
        {
            "reader": {"trained_on": [read, other], "asked_from": [asked]},
            "other": {"trained_on": [other], "asked_from": [asked]},
        },
    )
    rows = rows_of(page, "mmlu")
    assert rows["reader"]["clean / touched / ?"] == [2, 1, 1]
    assert rows["other"]["clean / touched / ?"] == [3, 0, 1]
    assert rows["reader"]["accuracy"]["value"] == 0.5
    assert rows["reader"]["accuracy clean"]["value"] == 0.5
    assert rows["other"]["accuracy clean"]["value"] == pytest.approx(2 / 3)
    (example,) = rows_of(page, "Questions that training text touches").values()
    assert (example["question"], example["training row"]) == ("q0", "d0 web")
    assert example["shared words"] == " ".join(QUESTIONS["q0"].split()[:13])
    assert pq.read_table(out / "touched.parquet")["row_id"].to_pylist() == ["d0"]
    assert any("reader has read 1 questions of mmlu" in sentence for sentence in page["short"])


def test_other_settings_and_other_questions_are_other_columns(tmp_path):
    hot, cold = quiz(tmp_path / "hot", "q0", temperature=1.0), quiz(tmp_path / "cold", "q1", temperature=0.5)
    few = tmp_path / "few"
    few.mkdir()
    write_items([as_table([item("q0", right=True)])], few)
    _, page, _ = board(tmp_path, {"a": [hot], "b": [cold], "c": [few]})
    titles = [section["title"] for section in page["sections"]]
    assert titles[1:] == ["mmlu, temperature 0.5", "mmlu, temperature 1.0", "mmlu, temperature null"]
    assert any("mmlu stand in several columns" in sentence for sentence in page["short"])
    assert any("Only a was asked mmlu, temperature 1.0 so" in sentence for sentence in page["short"])
    same = {name: [quiz(tmp_path / name, "q0", temperature=1.0)] for name in ("x", "y")}
    assert len(rows_of(board(tmp_path / "again", same)[1], "mmlu")) == 2


def test_a_limit_says_which_claim_an_interval_is_about(tmp_path):
    """Four of sixteen questions, asked greedily: the sixteen are known better than questions like them."""
    folder = quiz(tmp_path / "limited", "q0 q1 q2", temperature=0)
    scores = {"items": {"rows_in": 20, "kept": 4, "dropped": {"not-drawn": 12, "unread": 4}}}
    (folder / "scores.json").write_text(json.dumps(scores | {"is_training_file": True}))
    _, page, _ = board(tmp_path, {"a": [folder]})
    row = rows_of(page, "mmlu")["a"]
    assert row["on all 16"]["standard_error"] == pytest.approx(
        row["accuracy"]["standard_error"] * (12 / 16) ** 0.5
    )
    lead = page["sections"][1]["blocks"][0]
    assert lead.startswith("4 of 16 questions in 4 clusters, 1 answer each.")
    assert "those on all 16 are about this benchmark" in lead
    assert any("asked from its training file" in sentence for sentence in page["short"])


def test_two_checkpoints_of_one_name_are_refused():
    entry = Entry(name="a", evaluations=(address("e"),))
    with pytest.raises(RecipeError, match="the name 'a' stands twice"):
        LeaderboardRecipe.parse({"entries": [entry.model_dump(), entry.model_dump()]})


def harnessed(folder: Path, right: int, limit: int = 0) -> Path:
    """An evaluation by a task of lm-evaluation-harness, the first ``right`` of six problems right."""
    folder.mkdir()
    records = [
        {
            "task": "gsm8k_cot", "doc_id": at, "filter": filtered, "doc": {"question": f"q{at}"},
            "target": "7", "prompt": "p", "prompt_digest": "0" * 64, "continuations": None,
            "resps": [["so 7"]], "filtered": ["7"], "tokens": 3,
            "metrics": {"exact_match": float(at < right)},
        }
        for at in range(limit or 6) for filtered in ("strict-match", "flexible-extract")
    ]  # fmt: skip
    names = item_ids(records)
    rows = [row for one in records for row in rows_of_record(one, names[one["task"], one["doc_id"]])]
    table = write_outcomes([as_outcomes(rows, ("torch", "2"))], folder)
    balance = RowCounts(rows_in=6, kept=limit or 6, dropped={"not-drawn": 6 - limit} if limit else {})
    scores = scores_of("gsm8k_cot", table, balance, {}, is_training_file=False)
    (folder / "scores.json").write_text(json.dumps(scores))
    recipe = {"stage": "evaluate-harness", "benchmark": "gsm8k_cot", "options": {"limit": limit}}
    manifest = manifest_of("harness-evaluation", folder.name) | {"recipe": recipe}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_tasks_of_the_harness_stand_in_columns_of_their_metrics(tmp_path):
    some = {name: [harnessed(tmp_path / name, right)] for name, right in (("a", 5), ("b", 2))}
    _, page, _ = board(tmp_path, some)
    for filtered in ("strict-match", "flexible-extract"):
        rows = rows_of(page, f"gsm8k_cot, exact_match, {filtered}")
        assert set(rows) == {"a", "b"}
    few = {"a": [tmp_path / "a"], "c": [harnessed(tmp_path / "c", 2, limit=3)]}
    (tmp_path / "few").mkdir()
    _, other, _ = board(tmp_path / "few", few)
    columns = [one["title"] for one in other["sections"] if one["title"].startswith("gsm8k_cot")]
    assert len(columns) == 4  # other questions, another column
