"""The study of next segments in small: judge, start, RLPT by operations, its checkpoints, outcomes, page."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from flows.recipes.studies.next_segments import STUDY
from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Artifact
from rpt_core.evaluation.evaluate import evaluate
from rpt_core.evaluation.kept.file import OUTCOMES_FILE, read_outcomes
from rpt_core.evaluation.kept.second_world_segments import second_world_segments, stated
from rpt_core.policy.codec import Codec
from rpt_core.recipes.judge import JudgeRecipe
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe
from rpt_core.recipes.outcomes import OutcomesRecipe
from rpt_core.recipes.reinforce import RlptRecipe, Selection
from rpt_core.recipes.supervised import ColdStartRecipe
from rpt_core.report.outcomes.gather import gather_outcomes
from rpt_core.report.study import write_report
from rpt_core.sample.second.wordings import SECOND
from rpt_core.train.rl.reinforce import train_rlpt
from rpt_core.train.supervised.base import initialise
from rpt_core.train.supervised.cold_start import train_cold_start
from rpt_core.train.supervised.judge import train_judge
from rpt_core.train.supervised.segment_lessons import SegmentLessons
from rpt_core.train.supervised.windows import texts_of
from tests.unit.evaluation.test_judged_segments import SETTINGS, corpus  # noqa: F401  (a fixture)
from tests.unit.report.outcomes.simulated import page_of
from tests.unit.report.test_report_arms import write_manifest
from tests.unit.train.test_rlpt_stages import MUON, SHAPE

NOWHERE = Artifact(kind="any", fingerprint="0" * 64, digest="0" * 64)
COLD = ColdStartRecipe(
    corpus=NOWHERE, base=NOWHERE, form="segments", reword="second-world", steps=60, documents_per_step=4,
    problems_per_step=0, think_share=1.0, direct_answers=False, thought_tokens_max=64, optimiser=MUON,
)  # fmt: skip
BUDGET = 0.6
"""1e9 operations, the judge's among them: two or three steps of so small a model."""


@pytest.fixture(scope="module")
def base(corpus, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("base")
    codec = Codec.train(texts_of(corpus, "train"), 512, folder / "model", 256, marks=True)
    initialise(SHAPE, len(codec), codec, 0, folder / "model")
    return folder


@pytest.fixture
def build(tmp_path, corpus):  # noqa: F811
    numbers = iter(range(99))

    def make(**inputs):
        number = next(numbers)
        return LocalBuild(
            {"corpus": corpus, **inputs}, tmp_path / f"out{number}", tmp_path / f"scratch{number}"
        )

    return make


def test_lessons_conclude_what_their_teacher_did_in_one_of_three_wordings(corpus, base):  # noqa: F811
    codec = Codec.load(base / "model")
    lessons = SegmentLessons.open(corpus, "train", codec, COLD, 300)
    rng, said = np.random.default_rng(0), []
    for index in range(len(lessons)):
        for of_cut in lessons.lesson(index, rng).answers:
            thought, _, told = codec.decode(of_cut[0].ids).partition("</think>")
            text = told.partition("<|startofprediction|>")[2].partition("<|endofprediction|>")[0]
            (fact, *_) = SECOND.facts(text)
            assert fact.content == thought.split()[-1]  # right or not: what the thought comes to
            said.append(text.strip().startswith(SECOND.own_words(fact)))
    assert 0.2 < np.mean(said) < 0.5


@pytest.mark.slow
def test_from_judge_to_page(corpus, base, build, tmp_path):  # noqa: F811
    judge = build()
    shape = SHAPE.model_copy(update={"prediction_marks": False})
    small = {"steps": 12, "pairs_per_step": 8, "drills_per_step": 8, "held_out_pairs": 100}
    train_judge(JudgeRecipe(model=shape, world="second", **small), judge)
    start = build(base=base)
    train_cold_start(COLD, start)
    write_manifest(start.out / "manifest.json", "cold-start", {}, flops=5e9)
    recipe = RlptRecipe(
        corpus=NOWHERE, start=NOWHERE, judge=NOWHERE, objective=SETTINGS, prompts_per_step=6, group_size=4,
        cuts_per_document=3, reasoning_tokens=40, context_tokens=300, steps=40, max_gflops=BUDGET,
        count_judge=True, milestones=(1, 2), unread_share_max=1.0, ntp_weight=0.1, reward_control="random",
        selection=Selection(max_empty_steps=40, when_starved="pass-on"),
    )  # fmt: skip
    trained = build(start=start.out, judge=judge.out)
    outcome = train_rlpt(recipe, trained)
    rows = [json.loads(line) for line in (trained.out / "metrics.jsonl").read_text().splitlines()]
    timings = [json.loads(line) for line in (trained.out / "timings.jsonl").read_text().splitlines()]
    spent = np.cumsum([row["judge/gflops"] for row in timings])
    used = [row["gflops_total"] + judged for row, judged in zip(rows, spent, strict=True)]
    assert used[-1] >= BUDGET > used[-2]  # it ends at the first step that reaches it, with the judge's
    assert outcome.summary["judge_gflops"] == pytest.approx(spent[-1])
    assert outcome.flops == pytest.approx(1e9 * used[-1])
    write_manifest(
        trained.out / "manifest.json", "rlpt", {"objective": {"name": "rlpt"}}, flops=outcome.flops,
        summary={"judge_gflops": outcome.summary["judge_gflops"]},
    )  # fmt: skip
    evaluation = JudgedEvaluationRecipe(
        corpus=NOWHERE, model=NOWHERE, judge=NOWHERE, objective=SETTINGS, modes=("judged",), num_targets=10,
        samples=2, reasoning_tokens=40, context_tokens=300, unread_share_max=1.0, milestones=True,
    )  # fmt: skip
    kept = []
    for arm, model, training in (("start", start, None), ("RLPT", trained, NOWHERE)):
        published = {}
        for step, folder in (model.milestones if training else {}).items():
            (folder / "milestone.json").write_text(json.dumps({"step": step, "gflops_total": 1.0}))
            published[f"milestones.{step}"] = folder
        asked = build(model=model.out, judge=judge.out, **published)
        evaluate(evaluation, asked)
        inputs = {"evaluation": asked.out, "start": start.out, "training": trained.out}
        made = build(**inputs)
        about = OutcomesRecipe(
            study=STUDY.name, arm=arm, seed=100, evaluation=NOWHERE, corpus=NOWHERE, start=NOWHERE,
            training=training, measure=STUDY.measure, checkpoints=training is not None, design="d" * 64,
        )  # fmt: skip
        gather_outcomes(about, made)
        kept.append((asked.out, read_outcomes(made.out / OUTCOMES_FILE)))
    (_, before), (folder, after) = kept
    assert before.questions.digest == after.questions.digest
    assert after.answers.right_IS.shape == (20, 2)
    assert [one.step for one in after.judged.checkpoints] == [1, 2]
    assert [one.tokens for one in after.judged.checkpoints] == [int(row["tokens_total"]) for row in rows[:2]]
    assert sum(after.judged.fooled.answers) == 24 * len(rows)
    assert (before.judged.fooled, before.judged.checkpoints, before.tokens) == (None, (), 0)
    _places_are_those_of_the_text(folder, corpus, after)
    page, inputs = page_of(tmp_path / "page", [before, after], study=STUDY.name)
    page = page.model_copy(update={"arms": page.arms})
    report = LocalBuild(inputs, tmp_path / "report", tmp_path / "scratch")
    write_report(page, report)
    said = (report.out / "report.md").read_text()
    assert "## How judges are fooled" in said
    assert "## Tokens to" in said


def _places_are_those_of_the_text(folder: Path, corpus: Path, found) -> None:  # noqa: F811
    """Every question of the table stands where its segment begins, at every checkpoint."""
    texts = {row["doc_id"]: row["text"] for row in pq.read_table(corpus / "documents.parquet").to_pylist()}
    items = pq.read_table(folder / "items.parquet")
    for row in items.to_pylist():
        assert texts[row["doc_id"]][row["char_offset"] :].startswith(row["truth"])
    asked = {
        (row["doc_id"], row["char_offset"])
        for row in items.to_pylist()
        if (row["doc_id"], row["char_offset"]) in stated(row["doc_id"], texts[row["doc_id"]])
    }
    assert (found.questions.steps_I > 0).sum() == 2 * len(asked)
    assert (second_world_segments(corpus, items).steps > 0).any()
