"""What is kept of an arm is what its evaluation says, and costs are charged to whom they are due."""

import hashlib
import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.errors import RecipeError
from rpt_core.evaluation.checkpoints import Checkpoint
from rpt_core.evaluation.items import as_table, write_items
from rpt_core.evaluation.kept.course import votes
from rpt_core.evaluation.kept.file import OUTCOMES_FILE, read_outcomes
from rpt_core.recipes.outcomes import KeptOutcomesRecipe, OutcomesRecipe
from rpt_core.report.outcomes.gather import gather_outcomes
from rpt_core.report.outcomes.take import take_outcomes
from rpt_core.sample.world import documents
from tests.unit.evaluation.tables import AFTER, NOWHERE, SAMPLES, Planted
from tests.unit.report.test_report_arms import STEPS, write_manifest, write_training

RECIPE = OutcomesRecipe(
    study="imperfect-teacher", arm="RPT", seed=100, evaluation=NOWHERE, corpus=NOWHERE, start=NOWHERE,
    training=NOWHERE, measure="first-world", at_updates=32, design="d" * 64,
)  # fmt: skip


@pytest.fixture
def inputs(tmp_path) -> dict[str, Path]:
    """Six documents, two places each, one of them with a trace; a training with its past."""
    folders = {name: tmp_path / name for name in ("evaluation", "corpus", "start", "training", "lineage")}
    for name in ("evaluation", "corpus", "start", "lineage"):
        folders[name].mkdir()
    document = next(one for one in documents(0, 5) if one.traces)
    trace = {
        "doc_id": "doc001",
        "char_offset": 7,
        "thought": document.traces[0].thought,
        "kind": document.kind,
    }
    pq.write_table(pa.Table.from_pylist([trace]), folders["corpus"] / "traces.parquet")
    planted, chances = Planted(6, 2), {**AFTER, "seed": 1}
    plain = {"thinking": 0.0, "right_thinking": 0.0, "right_direct": 0.5, "seed": 2}
    rows = [
        planted.answers("reasoning", **chances),
        planted.answers("plain", **plain, samples=1),
        planted.answers("reasoning", **chances, checkpoint=Checkpoint("000032", tmp_path, 32, 3.2)),
    ]
    placed = [[replace(one, char_offset=one.position) for one in some] for some in rows]
    placed[0] = [replace(one, thought=trace["thought"]) if one.sample < 3 else one for one in placed[0]]
    write_items([as_table(some) for some in placed], folders["evaluation"])
    (folders["evaluation"] / "scores.json").write_text(json.dumps({"text_nats": 0.614}))
    write_training(folders["training"], 1000)
    lineage = folders["lineage"]
    base = write_manifest(lineage / "b.json", "base", {}, flops=3e9)
    start = write_manifest(
        folders["start"] / "manifest.json", "cold-start", {}, flops=5e9, parents={"base": base}
    )
    proxy = write_manifest(lineage / "d.json", "difficulty", {}, flops=4e9)
    write_manifest(
        folders["training"] / "manifest.json", "policy", {"objective": {"name": "rpt"}}, flops=9e9,
        parents={"start": start, "difficulty": proxy}, summary={"judge_gflops": 1.0},
    )  # fmt: skip
    return folders


def gathered(inputs, tmp_path, recipe=RECIPE):
    build = LocalBuild(inputs, tmp_path / "out", tmp_path / "scratch")
    outcome = gather_outcomes(recipe, build)
    return read_outcomes(build.out / OUTCOMES_FILE), outcome, build.out / OUTCOMES_FILE


def test_answers_are_those_of_the_evaluation(inputs, tmp_path):
    found, _, _ = gathered(inputs, tmp_path)
    table = pq.read_table(inputs["evaluation"] / "items.parquet").to_pylist()
    ids = sorted({row["item_id"] for row in table})
    assert found.answers.right_IS.shape == (len(ids), SAMPLES) == (12, SAMPLES)
    for row in table:
        place = ids.index(row["item_id"])
        right = row["verdict"] == "correct"
        if row["mode"] == "plain":
            assert found.plain_I[place] == right
        elif row["checkpoint"] == "final":
            assert found.answers.right_IS[place, row["sample"]] == right
        else:
            assert found.updated_IS[place, row["sample"]] == right
    assert found.questions.documents_I.tolist() == [place // 2 for place in range(12)]
    assert (found.design, found.steps, found.at_updates) == (RECIPE.design, STEPS, 32)


COURSE = RECIPE.model_copy(update={"course": True, "at_updates": 0})


def with_parameters(inputs):
    path = inputs["lineage"] / "b.json"
    data = json.loads(path.read_text())
    data["outcome"]["summary"] = {"parameters": 640_000}
    path.write_text(json.dumps(data))


def test_checkpoints_are_kept_where_a_study_is_about_them(inputs, tmp_path):
    with_parameters(inputs)
    found, _, _ = gathered(inputs, tmp_path, COURSE)
    (point,) = found.course.points
    assert (point.step, point.gflops, found.course.parameters) == (32, 3.2, 640_000)
    assert point.plain_I is None  # the checkpoint was not asked for its likeliest tokens
    rows = pq.read_table(inputs["evaluation"] / "items.parquet").to_pylist()
    mine = [row for row in rows if row["checkpoint"] == "000032"]
    ids = sorted({row["item_id"] for row in mine})
    for place, name in enumerate(ids):
        own = sorted((row for row in mine if row["item_id"] == name), key=lambda row: row["sample"])
        right = [row["verdict"] == "correct" for row in own]
        assert point.right_IS[place].tolist() == right
        assert point.voted_IS[place].tolist() == votes([row["prediction"].strip() for row in own], right)
        assert point.answer_tokens_I[place] == sum(row["answer_tokens"] for row in own)
        assert found.course.context_I[place] == own[0]["position"]
    assert gathered(inputs, tmp_path / "without", RECIPE)[0].course is None


def test_a_model_that_was_not_trained_here_is_its_only_point(inputs, tmp_path):
    with_parameters(inputs)
    items = pq.read_table(inputs["evaluation"] / "items.parquet")
    final = items.filter(pa.array(np.array(items["checkpoint"]) == "final"))
    pq.write_table(final, inputs["evaluation"] / "items.parquet")
    alone = COURSE.model_copy(update={"training": None})
    found, _, _ = gathered(inputs, tmp_path, alone)
    (point,) = found.course.points
    assert (point.step, point.gflops) == (0, 0.0)
    assert point.plain_I.tolist() == found.plain_I.tolist()
    assert point.right_IS.tolist() == found.answers.right_IS.tolist()
    trained = gathered(inputs, tmp_path / "trained", COURSE)[0].course.points
    assert [(one.step, one.gflops) for one in trained] == [(STEPS, 9.0)]


def test_checkpoints_of_a_model_of_unknown_size_are_refused(inputs, tmp_path):
    with pytest.raises(RecipeError, match="the size of the start model is not known"):
        gathered(inputs, tmp_path, COURSE)


def test_thoughts_are_judged_where_the_world_knows_the_place(inputs, tmp_path):
    found, _, _ = gathered(inputs, tmp_path)
    known = found.questions.rows_I != ""
    assert known.sum() == 1
    (place,) = np.flatnonzero(known)
    chain = np.arange(SAMPLES) < 3
    assert found.answers.verified_IS[place].tolist() == (chain & found.answers.right_IS[place]).tolist()
    assert found.answers.hits_I[place] == 3 * found.questions.steps_I[place]
    assert not found.answers.verified_IS[~known].any()


def test_thoughts_scatter_as_their_texts_do_and_text_is_as_likely_as_the_evaluation_says(inputs, tmp_path):
    found, _, _ = gathered(inputs, tmp_path)
    rows = pq.read_table(inputs["evaluation"] / "items.parquet").to_pylist()
    final = [row for row in rows if row["mode"] == "reasoning" and row["checkpoint"] == "final"]
    for place, name in enumerate(sorted({row["item_id"] for row in final})):
        shares = Counter(row["thought"] or "" for row in final if row["item_id"] == name)
        wanted = -sum(n / SAMPLES * math.log(n / SAMPLES) for n in shares.values())
        assert found.answers.thought_nats_I[place] == pytest.approx(wanted, abs=0.0051)
    assert found.answers.thought_nats_I.max() > 0.5
    assert found.text_nats == 0.614
    (inputs["evaluation"] / "scores.json").write_text("{}")
    assert gathered(inputs, tmp_path / "unmeasured")[0].text_nats is None


def test_an_arm_is_charged_with_its_training_proxy_and_judge_and_not_with_the_start(inputs, tmp_path):
    found, outcome, _ = gathered(inputs, tmp_path)
    assert found.gflops == {"base": 3, "cold start": 5, "training": 8, "proxy": 4, "judge": 1}
    assert found.own_gflops == outcome.summary["gflops"] == 13
    random = {"objective": {"name": "rpt", "choose": "random"}}
    parents = {"difficulty": write_manifest(tmp_path / "d.json", "difficulty", {}, flops=4e9)}
    write_manifest(inputs["training"] / "manifest.json", "policy", random, flops=9e9, parents=parents)
    assert "proxy" not in gathered(inputs, tmp_path / "random")[0].gflops
    alone = RECIPE.model_copy(update={"training": None, "at_updates": 0})
    assert gathered(inputs, tmp_path / "start", alone)[0].own_gflops == 0


def test_gathered_or_taken_equal_outcomes_are_equal(inputs, tmp_path):
    _, outcome, path = gathered(inputs, tmp_path)
    taken = KeptOutcomesRecipe(
        file=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        study=RECIPE.study, arm=RECIPE.arm, seed=RECIPE.seed, design=RECIPE.design,
    )  # fmt: skip
    build = LocalBuild({}, tmp_path / "taken", tmp_path / "scratch")
    assert take_outcomes(taken, build) == outcome
    assert (build.out / OUTCOMES_FILE).read_bytes() == path.read_bytes()


def test_an_evaluation_without_answers_is_refused(inputs, tmp_path):
    write_items([as_table(Planted(2, 2).answers("plain", **AFTER, seed=1, samples=1))], inputs["evaluation"])
    with pytest.raises(RecipeError, match="has no answers in mode 'reasoning'"):
        gathered(inputs, tmp_path)
