"""Multiple choice: what is an item, how options are ranked, and what chance would give."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from rpt_core.artifacts.build import LocalBuild
from rpt_core.corpus.files.problems import parse_problem
from rpt_core.corpus.tables import BENCHMARKS, TableWriter
from rpt_core.errors import StarvedError
from rpt_core.evaluation.answers import ModelUnderTest
from rpt_core.evaluation.benchmarks.choice import CONTEXT, Choice, letters, split_options
from rpt_core.evaluation.benchmarks.protocol import Setting
from rpt_core.evaluation.evaluate import evaluate
from rpt_core.evaluation.items import read_items
from rpt_core.policy.codec import Codec
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.load import load_policy
from tests.unit.evaluation.folders import write_corpus, write_model
from tests.unit.evaluation.test_evaluate import RECIPE

ROWS = {
    "arc": {"question": "It shows {n}?", "choices": {"text": ["the clock", "noon", "it moves back on and on"],
            "label": ["A", "B", "C"]}, "answerKey": "B"},
    "mmlu": {"question": "Is it {n}?", "choices": ["three clock", "on", "it", "the"], "answer": 2},
}  # fmt: skip
ASKED = RECIPE.model_copy(update={"modes": ("choice", "choice-boxed"), "num_problems": 30})


def written(name: str, number: int) -> dict[str, object]:
    """A row as a data file has it, through ingest's own reader."""
    row = {**ROWS[name], "question": ROWS[name]["question"].format(n=number)}
    columns = {"problem": ("question",), "answer": ("answer", "answerKey"), "options": ("choices",)}
    others = dict.fromkeys(("solution", "difficulty", "domain", "context"), ())
    found = parse_problem(row, name, "file", name, columns | others)
    return {
        "problem_id": found.problem_id, "problem": found.problem, "answer": found.answer, "benchmark": name,
    }  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("choice")
    codec = write_model(root / "model" / "model")
    write_corpus(root / "corpus", codec)
    plain = {"problem_id": "p", "problem": "it shows 3. then?", "answer": "A", "benchmark": "arc"}
    with TableWriter(root / "corpus" / "benchmarks.parquet", BENCHMARKS) as writer:
        for row in [*(written(name, n) for name in ROWS for n in range(9)), plain]:
            writer.add(row)
    return {"corpus": root / "corpus", "difficulty": root / "corpus", "model": root / "model"}


@pytest.fixture(scope="module")
def codec(folders) -> Codec:
    return load_policy(folders["model"] / "model").codec


@pytest.fixture(scope="module")
def done(folders, tmp_path_factory):
    root = tmp_path_factory.mktemp("done")
    build = LocalBuild(folders, root / "out", root / "scratch")
    outcome = evaluate(ASKED, build)
    return outcome, read_items(build.out).to_pylist(), json.loads((build.out / "scores.json").read_text())


@pytest.mark.parametrize("name", ROWS)
def test_what_ingest_writes_is_read_again(name):
    row = written(name, 7)
    stem, options = split_options(row["problem"])
    given = ROWS[name]["choices"]
    assert stem == ROWS[name]["question"].format(n=7)
    assert options == (given["text"] if isinstance(given, dict) else given)
    assert row["answer"] == {"arc": "B", "mmlu": "C"}[name]


@pytest.mark.parametrize(
    ("problem", "options"),
    [
        ("Which?\n(A) red\n(B) blue", ["red", "blue"]),
        ("A. Smith asks:\nwhich?\nA. red\nB. blue", ["red", "blue"]),
        ("Which?\nA) red\nC) blue", []),
        ("Which?\nA. red", []),
        ("B. red\nA. blue", []),
        ("no options", []),
    ],
)
def test_options_are_found_only_where_they_stand_in_order(problem, options):
    assert split_options(problem)[1] == options


def test_items_without_options_are_counted(folders, codec):
    one = Choice.open(Setting(ASKED, folders, codec))
    assert (one.balance.rows_in, one.balance.kept) == (18 + 1 + 3, 18)
    assert one.balance.dropped == {"no-options": 4}


def test_the_likeliest_option_is_that_of_the_unmodified_model(folders, codec, done):
    _, items, _ = done
    model = AutoModelForCausalLM.from_pretrained(folders["model"] / "model").eval()
    rows = [written(name, number) for name in ROWS for number in range(9)]
    problems = {f"{row['benchmark']}:{row['problem_id']}": row["problem"] for row in rows}
    chosen = {"choice": set(), "choice-normalised": set()}
    for item in items:
        if item["mode"] not in chosen:
            continue
        stem, options = split_options(problems[item["item_id"]])
        context = [*codec.begin_ids, *codec.encode(CONTEXT.format(stem=stem))]
        nats = []
        for option in options:
            ids = codec.encode(f" {option}")
            with torch.no_grad():
                logp = model(torch.tensor([context + ids])).logits[0].log_softmax(1)
            places = range(len(context) - 1, len(context) + len(ids) - 1)
            total = sum(float(logp[place, token]) for place, token in zip(places, ids, strict=True))
            nats.append(total / (len(f" {option}".encode()) if item["mode"] == "choice-normalised" else 1))
        assert item["prediction"] == letters(options)[int(np.argmax(nats))]
        assert item["verdict"] == ("correct" if item["prediction"] == item["truth"] else "wrong")
        chosen[item["mode"]].add((item["item_id"], item["prediction"]))
    assert [len(some) for some in chosen.values()] == [18, 18]
    assert chosen["choice"] != chosen["choice-normalised"]  # short options lose their advantage


def test_scores_stand_beside_chance_with_intervals_by_item(done):
    outcome, items, scores = done
    for mode in ("choice", "choice-normalised", "choice-boxed"):
        told = scores["modes"][mode]
        rows = [item for item in items if item["mode"] == mode]
        assert told["accuracy"]["all"]["value"] == pytest.approx(np.mean([row["score"] for row in rows]))
        assert told["accuracy"]["all"]["num_clusters"] == 18
        assert told["accuracy"]["all"]["low"] < told["accuracy"]["all"]["high"]
        assert told["chance"] == pytest.approx({"all": (1 / 3 + 1 / 4) / 2, "arc": 1 / 3, "mmlu": 1 / 4})
        assert outcome.summary[f"{mode}_all"] == told["accuracy"]["all"]["value"]
    assert scores["choices"]["kept"] == 18
    assert sum(scores["modes"]["choice-boxed"]["verdicts"].values()) == 18 * ASKED.samples
    assert "verdicts" not in scores["modes"]["choice"]


def test_a_score_that_is_no_number_is_unread_and_never_wrong(folders, codec):
    policy = load_policy(folders["model"] / "model")
    one = Choice.open(Setting(ASKED, folders, codec))
    with torch.no_grad():
        policy.model.get_input_embeddings().weight[:] = torch.nan
    answers = [a for some in one.answers("choice", ModelUnderTest(policy, TorchEngine(policy))) for a in some]
    assert len(answers) == 18
    assert {(answer.verdict.verdict, answer.verdict.score) for answer in answers} == {("unparsed", 0.0)}


def test_a_corpus_without_options_is_told_by_name(folders, tmp_path):
    recipe = ASKED.model_copy(update={"num_problems": 30, "context_tokens": 16})
    with pytest.raises(StarvedError, match=r"22 choices were looked at.*4 no-options.*18 problem-too-long"):
        evaluate(recipe, LocalBuild(folders, tmp_path / "out", tmp_path / "scratch"))
