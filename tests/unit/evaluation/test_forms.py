"""Metrics of both evaluation stages by name and value, and what is counted of the model's work."""

import json
from pathlib import Path
from types import SimpleNamespace

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.manifest import RowCounts
from rpt_core.artifacts.recipe import Ref
from rpt_core.evaluation import evaluate as stage
from rpt_core.evaluation.forms import form_of
from rpt_core.evaluation.headlines import ends, values
from rpt_core.recipes.evaluation import EvaluationRecipe, ProblemSampling
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe
from tests.unit.evaluation.folders import write_corpus, write_model

NOWHERE = Ref(ref="x@1")
TEXT = EvaluationRecipe(corpus=NOWHERE, difficulty=NOWHERE, model=NOWHERE, samples=3, temperature=0.75)
JUDGED = JudgedEvaluationRecipe(
    corpus=NOWHERE, model=NOWHERE, judge=NOWHERE, milestones=False, samples=5, temperature=0.5
)


def value(number: float) -> dict[str, float]:
    return {"value": number, "low": -number}


def test_text_is_framed_by_its_tiers_and_balances():
    places, more = RowCounts(rows_in=9, kept=7, dropped={"x": 2}), RowCounts(rows_in=4, kept=4)
    frame = form_of(TEXT).frame(TEXT, {"benchmarks": more, "places": places})
    assert frame == {
        "thresholds_nats": {"easy": 0.5, "medium": 1.0, "hard": 1.5},
        "floor_nats": TEXT.objective.entropy_floor_nats,
        "places": places.model_dump(), "problems": RowCounts().model_dump(), "benchmarks": more.model_dump(),
        "samples": 3, "temperature": 0.75,
        "modes": {"plain": None, "reasoning": None, "forced": None, "problems": None},
        "instructed_minus_plain": {}, "milestones": [],
    }  # fmt: skip
    without = TEXT.model_copy(update={"modes": ("reasoning",)})
    assert "instructed_minus_plain" not in form_of(without).frame(without, {})


def test_what_is_unusual_of_the_draws_is_written_down():
    how = ProblemSampling(samples=7, temperature=0.25, top_p=0.9, reasoning_tokens=11)
    for recipe in (TEXT, JUDGED):
        other = recipe.model_copy(update={"top_p": 0.875, "problem_sampling": how})
        frame = form_of(other).frame(other, {})
        assert (frame["top_p"], frame["problem_sampling"]) == (0.875, how.model_dump())
        assert not {"top_p", "problem_sampling"} & form_of(recipe).frame(recipe, {}).keys()


def test_judged_text_is_framed_by_its_rule():
    frame = form_of(JUDGED).frame(JUDGED, {"segments": RowCounts(rows_in=2, kept=2)})
    assert list(frame) == ["samples", "temperature", "rule", "modes", "judge", "audit"]
    assert (frame["samples"], frame["temperature"], frame["rule"]) == (5, 0.5, JUDGED.objective.rule)
    over = JUDGED.model_copy(update={"milestones": True})
    assert form_of(over).frame(over, {})["milestones"] == []


def test_metrics_of_text_are_named_by_mode_and_tier():
    scores = {
        "modes": {
            "reasoning": {
                "accuracy": {"easy": value(0.5), "hard": value(0.25)},
                "think_share": {"easy": value(0.75)},
            },
            "problems": {"num_items": 0},
            "benchmarks": {"accuracy": {"all": value(0.4)}, "by_benchmark": {"aime24": value(0.3)}},
        }
    }  # fmt: skip
    assert values(TEXT.stage, scores) == {
        "reasoning_easy": 0.5, "reasoning_hard": 0.25, "reasoning_easy_think_share": 0.75,
        "benchmarks_all": 0.4, "benchmarks_aime24": 0.3,
    }  # fmt: skip
    assert ends(TEXT.stage, scores) == {
        "reasoning_easy_low": -0.5, "reasoning_hard_low": -0.25, "reasoning_easy_think_share_low": -0.75,
        "benchmarks_all_low": -0.4, "benchmarks_aime24_low": -0.3,
    }  # fmt: skip
    assert form_of(TEXT).milestone({"accuracy": {"easy": value(0.5), "hard": value(0.125)}}) == {
        "accuracy_easy": 0.5, "accuracy_hard": 0.125,
    }  # fmt: skip
    assert (form_of(TEXT).milestone_mode, form_of(JUDGED).milestone_mode) == ("reasoning", "judged")


def test_metrics_of_judged_text_are_named_by_task_and_audit():
    judged = {
        "accuracy": {"all": value(0.5)}, "think_share": {"all": value(0.75)},
        "accuracy_given_thinking": {"all": None}, "answer_tokens": {"all": value(17.0)},
        "pass_at": {"1": {"all": value(0.5)}, "4": {"all": value(0.625)}},
        "by_task": {"asr": value(0.375), "msr": value(0.125)},
    }  # fmt: skip
    audit = {"true_accuracy": value(0.4), "false_accepts": None, "false_rejects": value(0.1)}
    scores = {"modes": {"judged": judged, "problems": {"num_items": 0}}, "audit": {"judged": audit}}
    assert values(JUDGED.stage, scores) == {
        "judged_accuracy": 0.5, "judged_think_share": 0.75, "judged_answer_tokens": 17.0,
        "judged_pass_at_1": 0.5, "judged_pass_at_4": 0.625, "judged_asr": 0.375, "judged_msr": 0.125,
        "judged_true_accuracy": 0.4, "judged_false_rejects": 0.1,
    }  # fmt: skip
    assert form_of(JUDGED).milestone({"accuracy": {"all": value(0.3)}}) == {"accuracy": 0.3}


def test_a_milestone_is_logged_at_its_step_with_its_compute(tmp_path: Path):
    build = LocalBuild({}, tmp_path / "out", tmp_path / "scratch")
    scores = {
        "modes": {"reasoning": {"accuracy": {"easy": value(0.5)}}},
        "milestones": [
            {"step": step, "gflops_total": step / 4, "accuracy": {"easy": value(step / 100)}}
            for step in (7, 9)
        ],
    }
    reports = [({"graded": 3.0}, {"judge_seconds": 2.5}), ({"read": 4.0}, {})]
    assert stage._log(build, TEXT, scores, reports) == {"judge_seconds": 2.5}
    logged = [json.loads(line) for line in (build.out / "metrics.jsonl").read_text().splitlines()]
    assert logged == [
        {"step": 0, "reasoning_easy": 0.5, "graded": 3.0, "read": 4.0},
        {"step": 7, "accuracy_easy": 0.07, "gflops_total": 1.75},
        {"step": 9, "accuracy_easy": 0.09, "gflops_total": 2.25},
    ]
    assert json.loads((build.out / "timings.jsonl").read_text()) == {"step": 0, "judge_seconds": 2.5}


def test_only_an_engine_with_weights_of_its_own_counts_its_own_work():
    assert stage._elsewhere(SimpleNamespace(shares_weights=True, flops=7.0)) == 0.0
    assert stage._elsewhere(SimpleNamespace(shares_weights=False, flops=7.0)) == 7.0


def test_without_a_judge_the_operations_are_the_models_own(tmp_path: Path, monkeypatch):
    """Those since it was loaded: what it did before is not this stage's."""
    write_corpus(tmp_path / "corpus", write_model(tmp_path / "model" / "model"))
    seen, told = [], []

    def load(*args):
        policy = stage_load(*args)
        policy.work.flops = 123_456.0
        seen.append(policy)
        return policy

    stage_load = stage.load_policy
    monkeypatch.setattr(stage, "load_policy", load)
    inputs = {name: tmp_path / name for name in ("corpus", "model")} | {"difficulty": tmp_path / "corpus"}
    build = LocalBuild(inputs, tmp_path / "out", tmp_path / "scratch")
    build.progress = lambda *heard: told.append(heard)
    recipe = TEXT.model_copy(update={"modes": ("plain",), "num_positions": 17, "context_tokens": 128})
    outcome = stage.evaluate(recipe, build)
    assert outcome.flops == seen[0].work.flops - 123_456.0 > 0
    assert told[-1] == (34, 34, "plain-instructed, final")  # raw and instructed
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert {total for _, total, _ in told} == {34}
    assert (outcome.rows.kept, outcome.summary.keys() >= {"plain_easy", "plain-instructed_easy"}) == (
        17,
        True,
    )
