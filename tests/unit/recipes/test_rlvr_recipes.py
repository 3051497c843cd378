"""RLVR's recipes: a filter that fills itself in, limits that are refused, arms at equal operations."""

import pytest
from pydantic import ValidationError

from flows.agreement import check_journey
from flows.recipes import Overrides, any_journey, over_arms
from flows.recipes.rlvr import ARMS, FROM_NTP, FROM_RPT, FROM_START, PROBLEM_GFLOPS, TEXT_GFLOPS
from flows.recipes.trees import stage, walk
from rpt_core.artifacts.recipe import Artifact, Ref
from rpt_core.errors import RecipeError
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.objectives import RlvrObjective
from rpt_core.recipes.reinforce import SHARED_WITH_FILTER, PassRateRecipe, PolicyRecipe, RlvrRecipe
from rpt_core.recipes.reports.rlvr_report import RlvrReportRecipe

MADE = Artifact(kind="any", fingerprint="1" * 64, digest="2" * 64)
PLAIN = RlvrRecipe(corpus=MADE, start=MADE)


def test_fields_that_came_later_leave_the_fingerprint_alone():
    known = {"pass_rates", "pass_rate_min", "pass_rate_max", "overlong_tokens", "overlong_penalty"}
    assert not (known | {"max_gflops"}) & set(PLAIN.canonical())
    assert "held_out" not in stage(any_journey("tiny_rpt"), "prepare-corpus").model_dump()
    assert "thought" not in PLAIN.canonical()["objective"]
    free = RlvrRecipe(corpus=MADE, start=MADE, objective=RlvrObjective(thought="free"))
    assert free.fingerprint() != PLAIN.fingerprint()
    changed = [
        RlvrRecipe(corpus=MADE, start=MADE, **one)
        for one in ({"pass_rates": MADE}, {"overlong_tokens": 9}, {"max_gflops": 5})
    ]
    assert len({one.fingerprint() for one in (PLAIN, *changed)}) == 4


def test_a_filter_is_of_the_start_model_asked_as_the_training_asks():
    start = Artifact(kind="policy", fingerprint="3" * 64, digest="4" * 64)
    recipe = RlvrRecipe(
        corpus=MADE, start=start, temperature=0.9, reasoning_tokens=77, seed=5, pass_rates={"samples": 16}
    )
    found = recipe.pass_rates
    assert isinstance(found, PassRateRecipe)
    assert (found.model, found.corpus, found.samples) == (start, MADE, 16)
    assert (found.temperature, found.reasoning_tokens, found.seed) == (0.9, 77, 5)
    assert RlvrRecipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_a_filter_may_be_of_another_model_or_made_before():
    other = Ref(ref="tiny_rpt-cold-start@1")
    assert RlvrRecipe(corpus=MADE, start=MADE, pass_rates={"model": other}).pass_rates.model == other
    assert RlvrRecipe(corpus=MADE, start=MADE, pass_rates={"ref": "rates@2"}).pass_rates == Ref(ref="rates@2")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"pass_rate_min": 0.5}, "need pass_rates"),
        ({"pass_rates": MADE, "pass_rate_min": 0.9, "pass_rate_max": 0.1}, "no problem is in between"),
        ({"pass_rates": {"corpus": Ref(ref="other")}}, "of another corpus"),
        ({"overlong_tokens": 100, "reasoning_tokens": 99}, "would begin before the answer"),
    ],
)
def test_what_cannot_work_is_refused(fields, said):
    with pytest.raises(ValidationError, match=said):
        RlvrRecipe(corpus=MADE, start=MADE, **fields)


@pytest.mark.parametrize("modes", [("plain",), ("problems", "forced")])
def test_positions_need_a_difficulty_and_problems_do_not(modes):
    assert EvaluationRecipe(corpus=MADE, model=MADE, modes=("problems",)).difficulty is None
    with pytest.raises(ValidationError, match="give difficulty, or modes of problems alone"):
        EvaluationRecipe(corpus=MADE, model=MADE, modes=modes)


def test_control_tokens_open_a_thought():
    with pytest.raises(ValidationError, match="take prompt=plain"):
        RlvrObjective(prompt="compact", thought="free")


def rlvr_of(name: str, **fields: object) -> RlvrRecipe:
    given = {f"rlvr.{field.replace('__', '.')}": value for field, value in fields.items()}
    found = stage(any_journey(name, Overrides(model="org/model", fields=given)), "finetune-rlvr")
    assert isinstance(found, RlvrRecipe)
    return found


@pytest.mark.parametrize("name", ["tiny_rpt", "rlvr_small", "tiny_rlvr"])
def test_an_empty_filter_is_filled_in_by_how_the_training_asks(name):
    changes = {"objective__thought": "free", "reasoning_tokens": 97, "temperature": 0.7}
    found = rlvr_of(name, pass_rates={}, **changes)
    rates = found.pass_rates
    assert isinstance(rates, PassRateRecipe)
    for field in SHARED_WITH_FILTER:
        assert getattr(rates, field) == getattr(found, field), field
    assert (rates.model, rates.corpus, rates.samples) == (found.start, found.corpus, 8)
    assert rates.objective.thought == "free"
    assert (rates.reasoning_tokens, rates.temperature) == (97, 0.7)


def test_a_filter_keeps_what_is_given_for_itself():
    asked = {"pass_rates__reasoning_tokens": 300, "pass_rates__objective__prompt": "plain"}
    found = rlvr_of("rlvr_small", reasoning_tokens=97, objective__thought="free", **asked)
    rates = found.pass_rates
    assert isinstance(rates, PassRateRecipe)
    assert (rates.reasoning_tokens, found.reasoning_tokens) == (300, 97)
    assert (rates.objective.prompt, rates.objective.thought) == ("plain", "free")
    later = rlvr_of("rlvr_small", pass_rates__temperature=0.5)
    assert (later.pass_rates.temperature, later.temperature) == (0.5, 1.0)
    assert rlvr_of("rlvr_small", pass_rates=None, reasoning_tokens=97).pass_rates is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"rlvr.objective.thought": "free"}, "evaluation.problems.thought"),
        ({"evaluation.problems.thought": "free"}, "evaluation.problems.thought"),
        (
            {"evaluation.problems.thought": "free", "rlvr.objective.thought": "free",
             "pass-rates.objective.thought": "auto"},
            "rlvr.pass_rates.objective.thought",
        ),
    ],
)  # fmt: skip
def test_answers_asked_for_in_two_forms_are_refused_with_what_mends_it(fields, field):
    with pytest.raises(RecipeError, match="in two forms") as refused:
        check_journey(any_journey("rlvr_small", Overrides(model="org/model", fields=fields)))
    name, value = str(refused.value).rsplit("-p ", 1)[1].split("=")
    assert name == field
    fields = {key: what for key, what in fields.items() if not key.startswith("pass-rates")}
    check_journey(any_journey("rlvr_small", Overrides(model="org/model", fields={**fields, name: value})))


def study(*arms: str) -> RlvrReportRecipe:
    found = over_arms("tiny_rpt", (0, 1), arms, Overrides(), "rlvr")
    assert isinstance(found, RlvrReportRecipe)
    return found


def test_arms_end_at_equal_operations_from_one_start_model():
    found = study()
    assert tuple(one.name for one in found.arms) == ARMS
    for number in range(2):
        runs = {one.name: one.trainings[number] for one in found.arms}
        first = runs[FROM_START].start
        assert runs[FROM_START].max_gflops == TEXT_GFLOPS + PROBLEM_GFLOPS
        for name, objective in ((FROM_RPT, "rpt"), (FROM_NTP, "ntp")):
            policy = runs[name].start
            assert isinstance(policy, PolicyRecipe)
            assert (policy.objective.name, policy.start) == (objective, first)
            assert policy.max_gflops + runs[name].max_gflops == runs[FROM_START].max_gflops
        assert len({run.model_copy(update={"start": MADE, "max_gflops": 0.0}) .model_dump_json()
                    for run in runs.values()}) == 1  # fmt: skip
    asked = {
        one.model_copy(update={"model": MADE, "corpus": MADE, "seed": 0}).model_dump_json()
        for model in found.models
        for one in model.evaluations
    }
    assert len(asked) == 1
    assert found.models[0].evaluations[0].problem_sampling.samples == 8


def test_some_arms_leave_out_what_only_others_need():
    found = study(FROM_START)
    assert [one.name for one in found.models] == ["start model", FROM_START]
    assert all(one.stage != "train-rpt" for one in walk(found))
    with pytest.raises(RecipeError, match="no arm 'RLVR from nowhere'"):
        study("RLVR from nowhere")


def test_rlvr_on_a_readers_problems_filters_masks_and_holds_benchmarks_out():
    fields = {"corpus.held_out.data": "benchmarks", "documents.columns": {"answer": "solution"}}
    journey = any_journey("rlvr_small", Overrides(data="train.jsonl", model="org/model", fields=fields))
    training = stage(journey, "finetune-rlvr")
    assert isinstance(training, RlvrRecipe)
    assert isinstance(training.pass_rates, PassRateRecipe)
    assert training.pass_rates.model == training.start
    assert (training.loss, training.group_size, training.kl_weight, training.temperature) == ("grpo", 8, 0, 1)
    assert training.selection.mask_truncated
    assert training.corpus.held_out.data == "benchmarks"
    assert training.corpus.documents.columns == {"answer": "solution"}
