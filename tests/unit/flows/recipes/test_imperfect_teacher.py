"""The arms of the study of an imperfect teacher: one start, one budget, one search for all of them."""

import re
from dataclasses import replace

import pytest

from flows.agreement import check_journey
from flows.recipes import Overrides, over_arms, over_tuning
from flows.recipes.controls import ROUNDS
from flows.recipes.named import journey
from flows.recipes.rmt import policy_of
from flows.recipes.studies.by_seed import FIRST_RUNS, TUNING_SEEDS, UPDATES
from flows.recipes.studies.imperfect_teacher import (
    ARMS,
    BUDGET_GFLOPS,
    MOST_STEPS,
    STUDY,
    TUNED,
)
from flows.recipes.trees import rewritten, stage, walk
from rpt_core.artifacts.recipe import Ref
from rpt_core.errors import RecipeError
from rpt_core.recipes.reinforce import PolicyRecipe
from rpt_core.recipes.reports.outcomes_report import IMPERFECT_TEACHER
from rpt_core.recipes.world import SecondEdition
from rpt_core.report.outcomes import claims
from rpt_core.report.outcomes.claims import RUNS_AN_ARM
from rpt_core.report.outcomes.tuning import check_fair


@pytest.fixture(scope="module")
def page():
    return over_arms("tiny_rpt", (100,), (), Overrides(), IMPERFECT_TEACHER)


def trainings(page):
    return {arm.name: arm.outcomes[0].training for arm in page.arms}


def test_all_arms_go_on_from_one_start_that_always_thinks_and_answer_the_same_questions(page):
    check_journey(page)
    starts = {arm.outcomes[0].start.model_dump_json() for arm in page.arms}
    assert len(starts) == 1
    start = page.arms[0].outcomes[0].start
    assert (start.think_share, start.problems_per_step, start.direct_answers) == (1.0, 0, False)
    asked = {
        arm.outcomes[0].evaluation.model_copy(update={"model": start, "milestones": False}).model_dump_json()
        for arm in page.arms
    }
    assert len(asked) == 1
    for arm in page.arms:
        assert start in walk(arm.outcomes[0])


def test_every_arm_ends_at_the_same_operations_and_pays_for_the_proxy_where_it_asks_there(page):
    for name, training in trainings(page).items():
        if training is None:
            continue
        own = [one for one in walk(training) if getattr(one, "max_gflops", 0.0)]
        assert sum(one.max_gflops for one in own) == BUDGET_GFLOPS, name
        assert training.steps == (ROUNDS if name == "rejection SFT" else MOST_STEPS)
        if isinstance(training, PolicyRecipe):
            free = training.objective.name == "ntp" or training.objective.choose == "random"
            assert training.count_proxy is not free, name
            alone = training.objective.name == "ntp" or training.loss == "rejection"
            assert training.milestones == (() if alone else (UPDATES,))


def test_a_trial_has_one_budget_of_its_own_for_all_arms():
    trial = over_arms("tiny_rpt", (9,), (), Overrides(fields={"policy.max_gflops": 3.0}), IMPERFECT_TEACHER)
    for name, training in trainings(trial).items():
        if training is not None:
            own = [one.max_gflops for one in walk(training) if getattr(one, "max_gflops", 0.0)]
            assert sum(own) == 3.0, name


def test_arms_of_the_claims_are_called_as_the_claims_call_them():
    assert set(claims.RULES[IMPERFECT_TEACHER].claimed) - {claims.START} <= set(ARMS)
    described = {name for pair in claims.DESCRIBED for name in pair[:2]}
    assert described - {claims.START} <= set(ARMS)
    assert set(TUNED) <= set(ARMS)


def test_no_arm_is_searched_longer_than_another():
    assert {len(plan.grid) for plan in ARMS.values() if not plan.tuned_as} == {FIRST_RUNS}
    assert all(not plan.grid and plan.tuned_as in ARMS for plan in ARMS.values() if plan.tuned_as)
    assert FIRST_RUNS + len(TUNING_SEEDS) - 1 == RUNS_AN_ARM
    assert TUNING_SEEDS == claims.TUNING_SEEDS
    for plan in ARMS.values():
        assert len({repr(setting) for setting in plan.grid}) == len(plan.grid)


def test_tuning_runs_are_seven_for_each_arm_on_seeds_that_no_page_reports():
    chosen = dict.fromkeys(ARMS, 1)
    first, whole = (
        over_tuning("tiny_rpt", best, (), Overrides(), IMPERFECT_TEACHER) for best in ({}, chosen)
    )
    assert {len(arm.outcomes) for arm in first.tuning} == {FIRST_RUNS}
    assert {len(arm.outcomes) for arm in whole.tuning} == {RUNS_AN_ARM}
    assert {one.seed for arm in whole.tuning for one in arm.outcomes} == set(TUNING_SEEDS)
    for arm in whole.tuning:
        best = arm.outcomes[1]
        assert [one.setting for one in arm.outcomes[FIRST_RUNS:]] == [best.setting] * 2
        assert arm.outcomes[:FIRST_RUNS] == next(one for one in first.tuning if one.name == arm.name).outcomes
        for one in arm.outcomes:
            for dotted, value in one.setting.items():
                field = one.training
                for part in dotted.split("."):
                    field = getattr(field, part)
                assert field == (tuple(value) if isinstance(value, list) else value)
    check_fair([])


def test_an_arm_that_there_is_not_and_another_recipe_are_refused():
    with pytest.raises(RecipeError, match="has no arm 'RTP'; there are RPT; more SFT"):
        over_arms("tiny_rpt", (100,), ("RTP",), Overrides(), IMPERFECT_TEACHER)
    with pytest.raises(RecipeError, match="Start from tiny_rpt"):
        over_arms("rpt_14b", (100,), (), Overrides(), IMPERFECT_TEACHER)


def test_the_base_model_is_asked_what_the_arms_are_asked_and_is_nobodys_training(page):
    found = over_arms("tiny_rpt", (100,), ("base model", "RPT"), Overrides(), IMPERFECT_TEACHER)
    start, base, method = (arm.outcomes[0] for arm in found.arms)
    assert (base.arm, base.training) == ("base model", None)
    assert base.evaluation.model == start.start.base == base.start
    assert base.corpus == method.corpus
    same = {"model": None, "milestones": False, "samples": 0}
    assert base.evaluation.model_copy(update=same) == method.evaluation.model_copy(update=same)
    assert "base model" not in {arm.name for arm in page.arms}
    finished = rewritten(journey("tiny_rpt"), "cold-start", {"base": Ref(ref="mine@1")})
    with pytest.raises(RecipeError, match="this start was taught from a finished model"):
        STUDY.outcomes_of(finished, 100, "base model", None)


@pytest.mark.parametrize(
    ("field", "arm"),
    [
        ("policy.optimiser.learning_rate", "RPT"),
        ("ntp_weight", "JEPO"),
        ("policy.optimiser", "permuted reward"),
    ],
)
def test_a_field_that_an_arm_has_frozen_is_refused(field, arm):
    value = {"learning_rate": 1e-3} if field.endswith("optimiser") else 0.5
    with pytest.raises(RecipeError, match=rf"-p {re.escape(field)}: the arm '{arm}' .*learning_rate=0"):
        over_arms("tiny_rpt", (100,), (arm,), Overrides(fields={field: value}), IMPERFECT_TEACHER)


def test_other_fields_and_arms_without_a_setting_are_the_readers():
    fields = {"policy.steps": 3, "cold-start.optimiser.learning_rate": 1e-3}
    over_arms("tiny_rpt", (100,), ("RPT",), Overrides(fields=fields), IMPERFECT_TEACHER)
    untuned = replace(STUDY, tuned={name: one for name, one in TUNED.items() if name != "RLP"})
    untuned.check_frozen(("ntp_weight",), ("RLP",))
    with pytest.raises(RecipeError, match="'RLP' of imperfect-teacher keeps the setting"):
        STUDY.check_frozen(("ntp_weight",), ("RLP",))


def test_every_arm_has_a_setting_that_its_tuning_runs_chose():
    assert all(STUDY.setting_of(name) for name in ARMS)
    for name, plan in ARMS.items():
        assert not plan.grid or TUNED[name] in plan.grid, name


def test_the_demo_is_the_same_teacher_in_two_kinds_with_faults_beside_them():
    demo = journey("tiny_teacher")
    check_journey(demo)
    sample = stage(demo, "ingest-corpus").sample
    assert sample.second == SecondEdition(kinds=("week", "compass"), planted=True)
    assert stage(demo, "prepare-corpus").held_questions == sample.second.salt
    start = stage(demo, "cold-start")
    assert (start.think_share, start.direct_answers) == (1.0, False)
    assert "forced" in demo.before.modes  # how much of the gain would be habit
    assert demo.scaling.evaluation == demo.after
    for own in (Overrides(), Overrides(model="org/name")):
        assert (
            policy_of(journey("tiny_teacher", own)).optimiser == policy_of(journey("tiny_rpt", own)).optimiser
        )
    with pytest.raises(RecipeError, match=r"data names 'notes'.*rpt run tiny_rpt -p data=notes"):
        journey("tiny_teacher", Overrides(data="notes"))
