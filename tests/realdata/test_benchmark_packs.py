"""Packs on published files: every row accounted for, every known answer right in its own form."""

import os
from pathlib import Path

import pytest

from infra.storage.store import Store
from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.placement import Placement
from rpt_core.evaluation.benchmarks.packs.item import Item
from rpt_core.evaluation.benchmarks.packs.reading import find_folder, read_folder
from rpt_core.evaluation.benchmarks.packs.registry import PACKS
from rpt_core.evaluation.benchmarks.suite.stage import evaluate_benchmark
from rpt_core.evaluation.items import read_items
from rpt_core.recipes.benchmark_evaluation import BenchmarkOptions
from tasks.commands.benchmarks import benchmark_recipe, benchmarks_at_hand
from tasks.inputs.models import find_model
from tests.unit.evaluation.folders import write_model

DATA = Path(os.environ.get("RPT_TEST_DATA", "../shared/data"))
HELD = {
    "mmlu": (9889, 0), "mmlu_pro": (8617, 3), "kor_bench": (1000, 0), "math500": (500, 0), "amc23": (40, 0),
    "minerva": (224, 0), "aime24": (30, 0), "olympiadbench": (675, 0), "gsm8k": (7473, 0),
    "omni_math": (2123, 63), "next_token": (2186, 0),
}  # fmt: skip
"""Items, and rows left out."""
GRADED = [name for name in HELD if name not in ("next_token", "mmlu", "mmlu_pro", "gsm8k")]
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"benchmarks: {DATA} is absent (RPT_TEST_DATA)"),
]


def found(name: str):
    folder = find_folder(PACKS[name], DATA)
    assert folder is not None
    return read_folder(PACKS[name], folder)


@pytest.mark.parametrize("name", HELD)
def test_every_row_is_an_item_or_left_out_for_a_reason(name):
    held = found(name)
    assert (len(held.items), sum(held.refused.values())) == HELD[name]
    assert held.rows_in == sum(HELD[name])
    assert held.is_training_file == (name == "gsm8k")
    assert len({item.item_id for item in held.items}) == len(held.items)
    assert all(item.answer in item.letters for item in held.items if item.choices)


def in_form(item: Item) -> str:
    return (
        item.answer
        if item.topic in ("cipher", "counterfactual", "logic", "operation")
        else boxed(item.answer)
    )


def boxed(answer: str) -> str:
    return f"so it is \\boxed{{{answer}}}."


@pytest.mark.parametrize("name", GRADED)
def test_known_answers_are_right_in_the_form_that_is_asked_for(name):
    pack, items = PACKS[name], found(name).items
    said = [pack.said(in_form(item), item, "reasoning", in_thought=False) for item in items]
    read = [(words, item) for words, item in zip(said, items, strict=True) if words is not None]
    grades = [grade.match for grade in pack.grades(read)]
    assert "wrong" not in grades
    assert len(read) >= 0.99 * len(items)
    assert grades.count("correct") >= 0.97 * len(items)


def test_examples_of_a_subject_stand_before_its_own_questions():
    held, pack = found("mmlu"), PACKS["mmlu"]
    assert len(held.shots) == 5 * 57
    for item in held.items[:: len(held.items) // 40]:
        shots = pack.shots_for(item, held.shots, 5)
        assert len(shots) == 5
        words = pack.message(item, "few-shot", shots).text
        assert words.count("\nAnswer:") == 6
        about = item.topic.replace("_", " ")
        assert words.startswith(f"The following are multiple choice questions (with answers) about {about}.")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_rpt_eval_accounts_for_every_item_of_every_file(tmp_path, monkeypatch):
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "home"))
    write_model(tmp_path / "model")
    store, placement = Store(str(tmp_path / "store"), tmp_path / "cache"), Placement(gpus=0)
    options = BenchmarkOptions(samples=2, limit=2, max_new_tokens=4)
    model, told = find_model(str(tmp_path / "model"), store).source, {}
    for held in benchmarks_at_hand(("all",), str(DATA)):
        recipe = benchmark_recipe(model, held, options, placement, store)
        build = LocalBuild({}, tmp_path / recipe.benchmark, tmp_path / f"{recipe.benchmark}-scratch")
        told[recipe.benchmark] = evaluate_benchmark(recipe, build).rows
        rows = read_items(build.out)
        answers = 2 if recipe.mode == "reasoning" else 1
        assert len(rows) >= 2 * answers
        assert len(set(rows["doc_id"].to_pylist())) == 2
    assert set(told) == set(HELD)
    for name, balance in told.items():
        assert balance.rows_in == sum(HELD[name])
        assert balance.kept == 2
        assert balance.dropped["not-drawn"] == HELD[name][0] - 2
