"""The study of shorter thoughts: RMT's parts, each in one thing, from one start that thinks too long."""

import pytest

from flows.agreement import check_journey
from flows.recipes import Overrides, over_arms, over_tuning
from flows.recipes.studies.by_seed import FIRST_RUNS, TUNING_SEEDS
from flows.recipes.studies.shorter_thoughts import (
    ARMS,
    BUDGET_GFLOPS,
    FURTHER,
    LESSONS,
    MIDTRAINED,
    SCHEDULE_TOKENS,
    TUNED,
)
from flows.recipes.trees import walk
from rpt_core.errors import RecipeError
from rpt_core.recipes.corpus import IngestRecipe
from rpt_core.recipes.reports.outcomes_report import SHORTER_THOUGHTS
from rpt_core.report.outcomes.claims import RULES, START


@pytest.fixture(scope="module")
def page():
    return over_arms("tiny_rmt", (100,), (), Overrides(), SHORTER_THOUGHTS)


def trainings(page):
    return {arm.name: arm.outcomes[0].training for arm in page.arms if arm.outcomes[0].training}


def test_every_arm_goes_on_from_one_start_that_thinks_long_and_knows_a_budget(page):
    check_journey(page)
    starts = {arm.outcomes[0].start.model_dump_json() for arm in page.arms}
    assert len(starts) == 1
    start = page.arms[0].outcomes[0].start
    assert (start.think_share, start.problems_per_step, start.direct_answers) == (1.0, 0, False)
    assert (start.long_share, start.steps) == (0.8, LESSONS)
    assert start.budget_words
    worlds = {one.sample.second for one in walk(page) if isinstance(one, IngestRecipe)}
    assert [one.right_share for one in worlds] == [0.3]
    first = page.arms[0].outcomes[0].evaluation
    asked = {
        arm.outcomes[0]
        .evaluation.model_copy(update={"model": start, "milestones": False, "objective": first.objective})
        .model_dump_json()
        for arm in page.arms
    }
    assert len(asked) == 1


def test_every_arm_ends_by_operations_alone(page):
    for name, training in trainings(page).items():
        assert training.max_gflops == BUDGET_GFLOPS, name
        assert (training.max_tokens, training.count_proxy, training.milestones) == (0, True, ()), name
        assert training.optimiser.schedule == "constant", name


def test_each_part_differs_from_rmt_in_one_thing(page):
    found = trainings(page)
    whole = found["RMT"]
    parts = {
        "RMT without budget": {"budget": None},
        "RMT without curriculum": {"curriculum": None},
        "RMT, length paid always": {"budget": whole.objective.budget.model_copy(update={"paid": "always"})},
        "RMT, budget over tokens": {
            "budget": whole.objective.budget.model_copy(
                update={"schedule_steps": 0, "schedule_tokens": SCHEDULE_TOKENS}
            )
        },
        "RMT without NTP": {},
    }
    for name, changes in parts.items():
        objective = whole.objective.model_copy(update=changes)
        weight = 0.0 if name == "RMT without NTP" else whole.ntp_weight
        assert found[name] == whole.model_copy(update={"objective": objective, "ntp_weight": weight}), name
    assert whole.objective.budget.paid == "when-right"
    assert found["RPT"].objective.name == "rpt"
    assert found["RPT"].ntp_weight == TUNED["RPT"]["ntp_weight"]


def test_no_setting_puts_back_what_a_part_leaves_out():
    """A part takes RMT's setting, so nothing of it may name what parts are left out of."""
    for setting in (*MIDTRAINED, *TUNED.values()):
        assert not {"objective", "ntp_weight"} & set(setting) or setting is TUNED.get("RPT")
    assert {len(plan.grid) for plan in ARMS.values() if not plan.tuned_as} == {FIRST_RUNS}


def test_claims_are_about_arms_that_exist():
    rules = RULES[SHORTER_THOUGHTS]
    assert rules.claimed - {START} <= set(ARMS)
    assert {name for pair in rules.described for name in pair[:2]} - {START} <= set(ARMS)
    assert rules.method in ARMS


def test_tuning_runs_are_on_seeds_and_questions_of_their_own():
    tuning = over_tuning("tiny_rmt", {}, (), Overrides(), SHORTER_THOUGHTS)
    assert {arm.name for arm in tuning.tuning} == {"RPT", "RMT"}
    assert tuning.seeds == TUNING_SEEDS
    for one in (one for arm in tuning.tuning for one in arm.outcomes):
        assert {each.sample.second.held for each in walk(one) if isinstance(each, IngestRecipe)} == {"tuning"}
    with pytest.raises(RecipeError, match="tunes no arm 'RMT without NTP'; it tunes RPT; RMT"):
        over_tuning("tiny_rmt", {}, ("RMT without NTP",), Overrides(), SHORTER_THOUGHTS)
    with pytest.raises(RecipeError, match="has no tuning runs"):
        over_tuning("tiny_rmt", {}, (), Overrides(), "mid-training")


def test_another_recipe_is_refused_and_further_arms_are_run_by_name():
    with pytest.raises(RecipeError, match="Start from tiny_rmt"):
        over_arms("tiny_rpt", (100,), (), Overrides(), SHORTER_THOUGHTS)
    (name,) = FURTHER
    found = trainings(over_arms("tiny_rmt", (100,), (name,), Overrides(), SHORTER_THOUGHTS))
    assert found[name].objective.budget.wait_share > 0
    assert found[name].max_gflops == BUDGET_GFLOPS
