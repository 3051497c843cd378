"""RPT's own comparisons: their arms, their claims by planted truth, headroom and drift to stubs."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.recipes import over_arms
from flows.recipes.named import tiny_rpt
from flows.recipes.rpt import ARMS, REWARDS, compared
from flows.recipes.trees import walk
from rpt_core.artifacts.build import LocalBuild
from rpt_core.errors import RecipeError
from rpt_core.evaluation.items import as_table, from_table, read_items, write_items
from rpt_core.evaluation.scores import outcomes
from rpt_core.recipes.reports.report import ALWAYS_THINKS, START, ArmsRecipe, StudyModel
from rpt_core.report.headroom import share_closed
from rpt_core.report.study import write_report
from tests.unit.evaluation.tables import AFTER, BEFORE, Planted, write_evaluation
from tests.unit.report.test_report import NOWHERE

TABLE_ONE = {
    "NTP alone": {"thinking": 0.0, "right_direct": 0.3},
    "RPT": {"thinking": 1.0, "right_thinking": 0.9},
    "RPT from always": {"thinking": 1.0, "right_thinking": 0.9},
}
BASELINES = {
    "base model": {"thinking": 0.0, "right_direct": 0.1},
    ALWAYS_THINKS: {"thinking": 1.0, "right_thinking": 0.8},
}


def write_training(folder: Path, *, stubs: bool) -> Path:
    folder.mkdir(parents=True)
    rows = [{"step": 0, "eval/accuracy": 0.1}]
    for step in range(1, 21):
        one = 0.5 + (0.02 * step if stubs else 0)
        rows.append(
            {"step": step, "tokens_total": 100 * step, "gflops_total": 2.0 * step,
             "questions_total": 32 * step, "kept_fraction": 1 - 0.03 * step,
             "prediction_share/1": one, "prediction_share/2": 1 - one,
             "prediction_share/3": 0.0, "prediction_share/4+": 0.0}
        )  # fmt: skip
    (folder / "metrics.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return folder


def with_places(folder: Path) -> Path:
    """The items at known places of their documents."""
    items = from_table(read_items(folder))
    write_items([as_table([replace(item, char_offset=item.position) for item in items])], folder)
    return folder


def write_traces(folder: Path, planted: Planted) -> Path:
    """Every place a derived value: odd ones of one step, even ones of three."""
    folder.mkdir()
    thoughts = (" Monday 1 day Tuesday 2 days Thursday 1 day Friday", " Monday 1 day Tuesday")
    rows = [
        {
            "doc_id": f"doc{d:03d}",
            "char_offset": place * 11 + 7,
            "thought": thoughts[place % 2],
            "kind": "week",
        }
        for d in range(planted.num_documents)
        for place in range(planted.per_document)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "traces.parquet")
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    planted = Planted(60, 4)
    start = {**BEFORE, "right_direct": 0.2}
    begun = with_places(write_evaluation(root / "start", start, planted=planted))
    folders = {f"models.{START}.evaluations.0": begun}
    for number, (name, model) in enumerate(TABLE_ONE.items()):
        folder = write_evaluation(root / f"arm{number}", {**AFTER, **model}, planted=planted, seed=5 + number)
        folders[f"models.{name}.evaluations.0"] = with_places(folder)
        training = write_training(root / f"training{number}", stubs=name == "RPT")
        folders[f"models.{name}.trainings.0"] = training
    for number, (name, model) in enumerate(BASELINES.items()):
        folder = write_evaluation(
            root / f"base{number}", {**AFTER, **model}, planted=planted, seed=20 + number
        )
        folders[f"models.{name}.evaluations.0"] = with_places(folder)
    folders["corpora.0"] = write_traces(root / "corpus", planted)
    one = (NOWHERE,)
    arms = [StudyModel(name=name, evaluations=one, trainings=one) for name in TABLE_ONE]
    others = [StudyModel(name=name, evaluations=one) for name in (START, *BASELINES)]
    models = (others[0], *arms, *others[1:])
    recipe = ArmsRecipe(study="table-1", seeds=(100,), models=models, corpora=one)
    build = LocalBuild(folders, root / "out", root / "scratch")
    return write_report(recipe, build), (build.out / "report.md").read_text()


def test_table_one_ends_by_the_planted_truth(written):
    ends = {k.removeprefix("claim: "): v for k, v in written[0].summary.items() if k.startswith("claim")}
    assert ends == {
        "RPT reasoning beats the start model's plain prediction": "holds",
        "RPT reasoning beats the start model's reasoning": "holds",
        "RPT brings more than the habit of thinking": "holds",
        "RPT reasoning beats NTP alone's plain prediction, at equal tokens": "holds",
        "RPT reasoning beats NTP alone's reasoning, at equal tokens": "holds",
        "RPT improves a start that always thinks": "holds",
    }


def test_the_page_shows_every_model_in_every_mode(written):
    text = written[1]
    table = text.partition("## Plain and reasoning, by tier")[2].partition("##")[0]
    for name in ("start model", *BASELINES, *TABLE_ONE):
        assert table.count(f"| {name} | next token |") == 1
        assert table.count(f"| {name} | reasoning |") == 1
    assert "in the paper, mean of tiers" not in text


def test_nothing_is_said_of_checkpoints_that_were_not_evaluated(written):
    assert "Tokens and compute to reach" not in written[1]
    assert "## By seed" in written[1]


def test_a_drift_to_stubs_is_said(written):
    assert "Predictions drift to stubs under RPT." in written[1]
    assert "| RPT | 59 → 83 % | 41 → 17 % | 0 → 0 % | 0 → 0 % |" in written[1]


def test_kept_groups_are_read_off_the_training(written):
    assert "| RPT | 68.5 % | 86.5 % | 50.5 % | 640 |" in written[1]


def test_headroom_is_a_share_of_the_way_between_the_bounds(written):
    table = written[1].partition("## Headroom closed")[2].partition("##")[0]
    assert "240 of 240 questions ask for a derived value" in table
    assert "| RPT | reasoning |" in table
    found = outcomes(as_table(Planted(30, 2).answers("reasoning", **AFTER, seed=1)), "reasoning")
    right = found.score / found.samples
    none, whole = np.zeros(len(found)), np.ones(len(found))
    assert share_closed(found, none, whole).value == pytest.approx(right.mean())
    assert share_closed(found, right, whole).value == pytest.approx(0, abs=1e-12)
    assert share_closed(found, 2 * right - 1, whole).value == pytest.approx(0.5)


@pytest.mark.parametrize("study", ARMS)
def test_arms_differ_where_they_should_and_nowhere_else(study):
    recipe = compared([tiny_rpt(seed=9)], (9,), study)
    trainings = [arm.trainings[0].model_dump() for arm in recipe.arms]
    assert len({json.dumps(training, sort_keys=True) for training in trainings}) == len(recipe.arms)
    assert {training["max_tokens"] for training in trainings} == {330_000}
    asked = {
        json.dumps(
            [e.tiers_nats, e.seed, e.num_positions, e.objective.reward, e.objective.entropy_floor_nats]
        )
        for e in (model.evaluations[0] for model in recipe.models)
    }
    assert len(asked) == 1
    assert '"prefix"' in asked.pop()
    assert walk(recipe)[-1] == recipe


def test_rewards_meet_both_templates():
    recipe = compared([tiny_rpt(seed=9)], (9,), "rewards")
    trainings = [arm.trainings[0] for arm in recipe.arms]
    pairs = {(t.objective.reward, t.objective.prompt, t.start.prompt) for t in trainings}
    assert len(pairs) == 8
    assert {reward for reward, _, _ in pairs} == set(REWARDS)
    for arm, training in zip(recipe.arms, trainings, strict=True):
        evaluation = arm.evaluations[0]
        assert evaluation.objective.prompt == training.objective.prompt


def test_unknown_studies_and_arms_are_refused():
    from flows.recipes import Overrides

    with pytest.raises(RecipeError, match="no study is about 'everything'"):
        over_arms("tiny_rpt", (1,), (), Overrides(), "everything")
    with pytest.raises(RecipeError, match="has no arm 'x'"):
        over_arms("tiny_rpt", (1,), ("x",), Overrides(), "rewards")
    with pytest.raises(RecipeError, match="changes to RPT"):
        over_arms("tiny_rmt", (1,), (), Overrides(), "rewards")
    for study in ("table-1", "rewards"):
        with pytest.raises(RecipeError, match="compares with a cold-start model"):
            over_arms("rpt_14b", (1,), (), Overrides(), study)
