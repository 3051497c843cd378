"""RLPT's stages one after another on a small corpus: what each writes, and that the next can read it."""

import json
from dataclasses import replace
from itertools import count
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.recipes import Overrides, any_journey, over_arms
from flows.recipes.rlpt import ARMS, compared, tiny_rlpt
from flows.recipes.trees import walk
from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Artifact
from rpt_core.corpus.segments.splitter import Splitter
from rpt_core.errors import RecipeError
from rpt_core.evaluation.benchmarks.segments import Audited, audit
from rpt_core.evaluation.evaluate import evaluate
from rpt_core.policy.codec import Codec
from rpt_core.policy.load import load_policy
from rpt_core.recipes.evaluation import ProblemSampling
from rpt_core.recipes.judge import JudgeRecipe
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe
from rpt_core.recipes.objectives import RlvrObjective
from rpt_core.recipes.reinforce import RlptRecipe, Selection
from rpt_core.recipes.reports.rlpt_report import COLD_START, JudgedModel, RlptReportRecipe
from rpt_core.recipes.rlpt_objective import RlptObjective
from rpt_core.recipes.supervised import ColdStartRecipe, ModelShape, Optimiser
from rpt_core.report.figures import mean_path
from rpt_core.report.models import Evaluated, Model, TrainingLog
from rpt_core.report.rlpt import audits, decay
from rpt_core.report.sources import SourceArtifact
from rpt_core.report.study import write_report
from rpt_core.sample.pairs import FORMS, drill, pair
from rpt_core.sample.wordings import facts, reworded, says_prefix
from rpt_core.sample.world import documents
from rpt_core.train.rl.reinforce import train_rlpt
from rpt_core.train.supervised.base import initialise
from rpt_core.train.supervised.cold_start import train_cold_start
from rpt_core.train.supervised.judge import HELD_OUT_FROM, VERDICT_WEIGHT, _weights, train_judge
from rpt_core.train.supervised.segment_lessons import SegmentLessons
from rpt_core.train.supervised.windows import texts_of
from tests.unit.corpus.small_corpus import write_corpus

NOWHERE = Artifact(kind="any", fingerprint="0" * 64, digest="0" * 64)
SHAPE = ModelShape(
    hidden_size=32, num_layers=2, num_heads=2, num_kv_heads=1, head_dim=16, intermediate_size=48,
    vocab_size=512, context_tokens=256, prediction_marks=True,
)  # fmt: skip
MUON = Optimiser(name="muon", learning_rate=4e-3, betas=(0.9, 0.95), warmup_steps=2)
ASKED = RlptObjective(
    prompt="compact", min_before=1, min_chars=8, min_tokens=3, reference_segments=2, segment_tokens_max=64,
    audit="sample-world",
)  # fmt: skip
COLD = ColdStartRecipe(
    corpus=NOWHERE, base=NOWHERE, form="segments", reword="sample-world", steps=25, documents_per_step=6,
    problems_per_step=2, thought_tokens_max=64, optimiser=MUON,
)  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = write_corpus(tmp_path_factory.mktemp("corpus"), 60)
    rows = pq.read_table(folder / "documents.parquet").to_pylist()
    splitter = Splitter.train({"en": [row["text"] for row in rows]})
    spans = [
        {"doc_id": row["doc_id"], "ordinal": ordinal, "start": start, "end": end}
        for row in rows
        for ordinal, (start, end) in enumerate(splitter.split(row["text"], "en", 8))
    ]
    pq.write_table(pa.Table.from_pylist(spans), folder / "segments.parquet")
    return folder


@pytest.fixture(scope="module")
def base(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    codec = Codec.train(texts_of(corpus, "train"), 512, folder / "model", 256, marks=True)
    initialise(SHAPE, len(codec), codec, 0, folder / "model")
    return folder


@pytest.fixture
def build(tmp_path, corpus):
    numbers = count()

    def make(**inputs):
        number = next(numbers)
        folders = {"corpus": corpus, **inputs}
        return LocalBuild(folders, tmp_path / f"out{number}", tmp_path / f"scratch{number}")

    return make


def test_every_sentence_of_the_world_has_its_facts_whatever_the_words():
    from random import Random

    rng = Random(0)
    for document in documents(3, 14):
        for trace in document.traces:
            sentence = f"{trace.before.rpartition('. ')[2]}{trace.answer}."
            (fact,) = facts(sentence)
            assert fact.content == trace.answer.strip()
            others = {reworded(sentence, rng) for _ in range(30)}
            assert len(others) == 3
            assert all(facts(other) == (fact,) for other in others)
            assert not says_prefix(sentence, sentence.removesuffix("."))


def test_pairs_know_their_truth_and_show_every_form():
    pairs = [pair(0, number, 2) for number in range(600)]
    assert {one.form for one in pairs} == set(FORMS)
    assert 0.2 < np.mean([one.is_right for one in pairs]) < 0.5
    for one in pairs:
        last = one.findings.rpartition("; ")[2].split(" = ")
        assert one.is_right == says_prefix(one.reference, one.predicted)
        if one.is_right:
            assert last[0] == last[1] != "?"
        else:
            assert last[0] != last[1] or last[0] == "?"
    drills = [drill(0, 1, number) for number in range(200)]
    assert all(one.is_right == (len(set(one.findings.split(" = "))) == 1) for one in drills)
    assert HELD_OUT_FROM > 10**8


def test_lessons_lead_from_thoughts_to_whole_segments(corpus, base):
    codec = load_policy(base / "model").codec
    lessons = SegmentLessons.open(corpus, "train", codec, COLD, 300)
    balance = lessons.balance
    assert balance.rows_in == balance.kept + sum(balance.dropped.values())
    rng = np.random.default_rng(0)
    tasks = set()
    for index in range(len(lessons)):
        lesson = lessons.lesson(index, rng)
        assert sum(len(of_cut) for of_cut in lesson.answers) == len(lesson.trunk.cuts) + 1
        for cut, of_cut in zip(lesson.trunk.cuts, lesson.answers, strict=True):
            after = codec.decode(lesson.trunk.document_ids[cut.position :])
            told = codec.decode(of_cut[0].ids).partition("<|startofprediction|>")[2]
            said = told.partition("<|endofprediction|>")[0]
            assert says_prefix(" ".join(after.split()), said)
            tasks.add(cut.suffix_ids[0] == codec.control("mask")[0])
    assert tasks == {True, False}


def _milestones_are_judged_too(evaluation, build, judge, trained, start, after):
    """Of a checkpoint its own weights are asked; one with the final weights has the final model's answers."""
    for step, folder in ((1, start), (2, trained)):
        (folder / "milestone.json").write_text(json.dumps({"step": step, "gflops_total": 10.0 * step}))
    both = build(model=trained, judge=judge, **{"milestones.2": trained, "milestones.1": start})
    problems = ProblemSampling(samples=3, temperature=0.6, top_p=0.5, reasoning_tokens=5)
    recipe = evaluation.model_copy(update={"milestones": True, "problem_sampling": problems})
    assert evaluate(recipe, both).rows.kept == 10 + 2
    scores = json.loads((both.out / "scores.json").read_text())
    assert [(one["step"], one["gflops_total"]) for one in scores["milestones"]] == [(1, 10.0), (2, 20.0)]
    final = scores["modes"]["judged"]
    assert scores["milestones"][1]["accuracy"] == final["accuracy"] == after["modes"]["judged"]["accuracy"]
    rows = pq.read_table(both.out / "items.parquet").to_pylist()
    asked = {name: [row for row in rows if row["checkpoint"] == name and row["mode"] == "judged"]
             for name in ("final", "000001", "000002")}  # fmt: skip
    assert {len(some) for some in asked.values()} == {40}
    said = {
        name: [(row["verdict"], row["prediction"], row["thought_tokens"]) for row in some]
        for name, some in asked.items()
    }
    assert said["000002"] == said["final"] != said["000001"]
    solved = [row for row in rows if row["mode"] == "problems"]
    assert len(solved) == 2 * 3
    assert all(row["answer_tokens"] <= 5 for row in solved)
    assert scores["problem_sampling"]["top_p"] == 0.5
    logged = [json.loads(line) for line in (both.out / "metrics.jsonl").read_text().splitlines()]
    assert {row["step"]: row["gflops_total"] for row in logged if "gflops_total" in row} == {1: 10.0, 2: 20.0}


@pytest.mark.slow
def test_from_cold_start_to_report(corpus, base, build):
    judge = build()
    outcome = train_judge(
        JudgeRecipe(model=SHAPE.model_copy(update={"prediction_marks": False}), steps=30, pairs_per_step=16,
                    drills_per_step=16, held_out_pairs=100), judge
    )  # fmt: skip
    assert 0 <= outcome.summary["balanced_accuracy"] <= 1
    start = build(base=base)
    assert train_cold_start(COLD, start).summary["traced"]
    recipe = RlptRecipe(
        corpus=NOWHERE, start=NOWHERE, judge=NOWHERE, objective=ASKED, prompts_per_step=8, group_size=4,
        cuts_per_document=3, reasoning_tokens=48, context_tokens=300, steps=2, evaluate_every=2,
        unread_share_max=1.0, selection=Selection(when_starved="pass-on"), ntp_weight=0.1,
    )  # fmt: skip
    trained = build(start=start.out, judge=judge.out)
    train_rlpt(recipe, trained)
    metrics = [json.loads(line) for line in (trained.out / "metrics.jsonl").read_text().splitlines()]
    assert {"judge/yes", "judge/unreachable", "eval/accuracy", "reward_mean"} <= metrics[-1].keys()
    timings = [json.loads(line) for line in (trained.out / "timings.jsonl").read_text().splitlines()]
    assert {"judge/calls_per_second", "judge/cache_hit_rate"} <= timings[-1].keys()
    evaluation = JudgedEvaluationRecipe(
        corpus=NOWHERE, model=NOWHERE, judge=NOWHERE, objective=ASKED, num_targets=10, num_problems=5,
        problems=RlvrObjective(prompt="compact"), samples=2, reasoning_tokens=48, context_tokens=300,
        unread_share_max=1.0,
    )  # fmt: skip
    judged = []
    for model in (start, trained):
        judged.append(build(model=model.out, judge=judge.out))
        assert evaluate(evaluation, judged[-1]).rows.kept == 10 + 2
    before, after = (json.loads((one.out / "scores.json").read_text()) for one in judged)
    assert before["modes"]["judged"]["num_items"] == after["modes"]["judged"]["num_items"] == 20
    assert set(before["modes"]["judged"]["by_task"]) == {"asr", "msr"}
    _milestones_are_judged_too(evaluation, build, judge.out, trained.out, base, after)
    _reported(build, judged, trained.out, metrics)


def _reported(build, judged, trained, metrics):
    """The report of two seeds, each of which has its line in every table by seed.

    So short a training has no answer that its judge reads and the world calls wrong: ten are put in.
    """
    audited = [row | {"audit/wrong": 10.0, "audit/false_accepts": 3.0} for row in metrics]
    (trained / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in audited))
    twice = (NOWHERE, NOWHERE)
    arm = JudgedModel(name="RLPT", evaluations=twice, trainings=twice)
    recipe = RlptReportRecipe(seeds=(7, 8), models=(JudgedModel(name=COLD_START, evaluations=twice), arm))
    folders = {
        COLD_START: {"evaluations": judged[0].out},
        "RLPT": {"evaluations": judged[1].out, "trainings": trained},
    }
    places = {place: place.split(".") for place in recipe.inputs()}
    report = build(**{place: folders[name][field] for place, (_, name, field, _) in places.items()})
    summary = write_report(recipe, report)
    said = (report.out / "report.md").read_text()
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in said.splitlines() if "|" in line]
    fifths = [line for line in lines if line[1] in ("7", "8")]
    assert [line[:2] for line in fifths] == [["RLPT", "7"], ["RLPT", "8"]]
    shares = [cell for line in fifths for cell in line[2:] if cell]
    assert len(shares) == 2 * min(5, len(audited))
    assert all(cell.startswith("30.0 %") for cell in shares)
    assert "RLPT is judged right more often than the cold start" in said
    assert "The control “more supervised training” was not run." in said
    assert "Intervals are over documents of 2 seeds" in said
    assert "judged_accuracy_after" in summary.summary
    assert "<svg" in (report.out / "report.html").read_text()


def test_the_audit_counts_what_the_judge_got_wrong():
    rows = [Audited("a", accepted, right) for accepted in (True, False) for right in (True, False)]
    found = audit([*rows, *(replace(row, document="b") for row in rows)] * 5)
    assert (found["num_answers"], found["num_wrong"]) == (40, 20)
    assert found["false_accepts"]["value"] == found["false_rejects"]["value"] == 0.5
    assert found["true_accuracy"]["value"] == 0.5
    assert audit([rows[0]] * 5)["false_accepts"] is None
    assert audit([rows[0], rows[0], *rows[1:]])["num_wrong"] == 2  # of five: three are right


def test_the_judge_is_compared_with_the_truth_model_by_model():
    found = audit(
        [Audited(name, accepted, right) for name in "abc" for accepted in (0, 1) for right in (0, 1)]
    )
    scores = {"audit": {"judged": found}}, {"audit": {}}
    seeds = tuple(
        Evaluated("one seed", one, pa.table({}), SourceArtifact("evaluation", "")) for one in scores
    )
    (row,) = audits([Model("cold start", seeds)], [7, 8])  # nothing could be compared under the second seed
    assert (*row[:2], row[2].text) == ("cold start", "7", "12")
    assert row[4].value["value"] == row[5].value["value"] == 0.5


def test_a_curve_is_the_mean_over_seeds_at_equal_tokens():
    seeds = [
        [{"step": 0, "reward_mean": 9.0}, *({"tokens_total": x, "reward_mean": slope * x} for x in steps)]
        for slope, steps in ((1.0, (10.0, 30.0, 50.0)), (3.0, (20.0, 40.0, 60.0, 80.0)))
    ]
    tokens, values = mean_path(seeds, "reward_mean")
    assert tokens.tolist() == [20.0, 35.0, 50.0]  # where both have been
    assert values.tolist() == [40.0, 70.0, 100.0]
    assert not len(mean_path([seeds[0], []], "reward_mean")[0])


def test_a_judge_that_is_exploited_shows_over_the_training():
    """Ten steps of ten wrong answers: few are accepted early on, many late; a step without any is no step."""
    accepted = [1.0, 3.0, 2.0, 2.0, 2.0, 8.0, 7.0, 9.0, 8.0, 8.0]
    path = [
        {"step": step, "audit/wrong": 10.0, "audit/false_accepts": number}
        for step, number in enumerate(accepted)
    ]
    arm = Model("RLPT", (), (TrainingLog((*path, {"step": 10, "audit/wrong": 0.0})),))
    (row,) = decay([arm], [7])
    assert row[:2] == ("RLPT", "7")
    assert [round(one.value.value, 2) for one in row[2:]] == [0.2, 0.2, 0.5, 0.8, 0.8]
    assert row[2].value.low < 0.2 < row[2].value.high


@pytest.mark.parametrize("name", ["tiny_rlpt", "rlpt_small", "rlpt_4b", "rlpt_8b"])
def test_named_recipes_round_trip(name):
    recipe = any_journey(name)
    assert RlptReportRecipe.model_validate_json(recipe.model_dump_json()) == recipe
    stages = [found.stage for found in walk(recipe)]
    assert stages.index("train-rlpt") < stages.index("finetune-rlvr") < len(stages) - 1
    assert stages[-1] == "report-rlpt"


def test_arms_share_all_but_their_objective():
    journeys = [tiny_rlpt(seed=seed) for seed in (3, 4)]
    study = compared(journeys, (3, 4), ("RLPT", "strict rule", "ASR alone", "MSR alone"))
    trainings = [one for arm in study.arms for one in arm.trainings]
    judged = [one for arm in study.arms for one in arm.evaluations]
    assert len(trainings) == len(judged) == 8
    first, strict = trainings[0], trainings[2]
    assert isinstance(first, RlptRecipe)
    assert isinstance(strict, RlptRecipe)
    assert (first.seed, strict.seed) == (3, 3)
    assert strict.model_copy(update={"objective": first.objective}) == first
    assert strict.objective.rule == "strict"
    assert {one.objective for one in judged} == {
        study.models[0].evaluations[0].objective
    }  # one rule judges all
    judges = {one.judge for one in judged} & {one.judge for one in trainings}
    assert not judges  # never the judge a model was trained by
    assert [arm.name for arm in compared(journeys, (3, 4)).arms] == list(ARMS)


def test_a_study_of_segments_wants_rlpt_and_its_arms():
    study = over_arms("tiny_rlpt", (3,), ("RLPT",), Overrides(), "next-segment")
    assert ([arm.name for arm in study.arms], study.seeds) == (["RLPT"], (3,))
    for name, arms in (("tiny_rpt", ()), ("tiny_rlpt", ("strict rule",)), ("tiny_rlpt", ("RLPT", "none"))):
        with pytest.raises(RecipeError, match="no study of RLPT"):
            over_arms(name, (3,), arms, Overrides(), "next-segment")


def test_a_gap_is_filled_with_its_one_segment(corpus, base):
    codec = load_policy(base / "model").codec
    lessons = SegmentLessons.open(corpus, "train", codec, COLD.model_copy(update={"reword": False}), 300)
    target = next(
        place.target
        for window in lessons.windows
        for place in window.places
        if len(place.target.prefixes) > 1
    )
    words = Random(0)
    told = {task: {lessons._prediction(target, task, words) for _ in range(60)} for task in ("asr", "msr")}
    one, two = (tuple(codec.encode(f" {' '.join(text.split())}")) for text in target.prefixes[:2])
    assert told["msr"] == {one}
    assert told["asr"] == {one, two}


def test_the_verdict_weighs_more_than_its_reasons():
    assert _weights([1, 2, 3, 4], noted=0.5) == [0.5, 0.5, VERDICT_WEIGHT, 0.5]
    assert _weights([1, 2], noted=0.0) == [VERDICT_WEIGHT, 0.0]
