"""The study of verifiable rewards: equal operations, one start, one setting on problems, frozen on text."""

import json

import pytest

from flows.agreement import check_journey
from flows.cli.commands.studies import frozen_settings
from flows.recipes import Overrides, over_arms, over_tuning
from flows.recipes.studies import imperfect_teacher
from flows.recipes.studies.verifiable_rewards import (
    ALONE,
    ARMS,
    ON_TEXT,
    PROBLEM_GFLOPS,
    SAMPLES,
    SHORT,
    THEN,
)
from flows.recipes.trees import stage, walk
from rpt_core.errors import RecipeError
from rpt_core.recipes.corpus import IngestRecipe
from rpt_core.recipes.reinforce import RlvrRecipe
from rpt_core.recipes.reports.outcomes_report import VERIFIABLE_REWARDS
from rpt_core.report.outcomes.claims import RULES, START
from rpt_core.report.papers.evidence import Compared
from rpt_core.report.papers.rows import ROWS

NOTHING = Overrides()


@pytest.fixture(scope="module")
def page():
    return over_arms("tiny_rpt", (100,), (), NOTHING, VERIFIABLE_REWARDS)


def distinct(recipes):
    """Recipes that differ."""
    return list({one.model_dump_json(): one for one in recipes}.values())


def trainings(page):
    return {arm.name: arm.outcomes[0].training for arm in page.arms if arm.outcomes[0].training}


def test_every_arm_spends_as_much_from_one_start_that_has_seen_problems(page):
    check_journey(page)
    (start,) = distinct(arm.outcomes[0].start for arm in page.arms)
    assert (start.think_share, start.problems_per_step, start.direct_answers) == (1.0, 1, False)
    found = trainings(page)
    assert found[ALONE].start == start
    whole = imperfect_teacher.BUDGET_GFLOPS + PROBLEM_GFLOPS
    assert (found[SHORT].max_gflops, found[ALONE].max_gflops) == (PROBLEM_GFLOPS, whole)
    assert found[SHORT].start == start
    for name in ON_TEXT:
        before = found[f"{name}{THEN}"].start
        assert before.max_gflops + found[f"{name}{THEN}"].max_gflops == whole, name
        assert start in (getattr(before, "start", None), getattr(before, "base", None)), name


def test_on_problems_all_are_trained_alike(page):
    rewarded = [one for one in trainings(page).values() if isinstance(one, RlvrRecipe)]
    assert len(rewarded) == len(ON_TEXT) + 2
    start = rewarded[0].start
    (alike,) = distinct(one.model_copy(update={"start": start, "max_gflops": 0.0}) for one in rewarded)
    assert alike.selection.when_starved == "pass-on"  # a policy that is right always ends at its budget too


def test_on_text_an_arm_is_what_its_own_study_tuned_but_for_checkpoints(page):
    found = trainings(page)
    journey = over_arms("tiny_rpt", (100,), ON_TEXT, NOTHING, "imperfect-teacher")
    for arm in journey.arms[1:]:
        own, here = arm.outcomes[0].training, found[f"{arm.name}{THEN}"].start
        fields = {"start", "base", "corpus", "difficulty", "milestones", "seed"} & set(type(own).model_fields)
        assert (
            own.model_copy(update=dict.fromkeys(fields)) == here.model_copy(update=dict.fromkeys(fields))
            or own.stage == "cold-start"
        ), arm.name
        for dotted, value in imperfect_teacher.STUDY.frozen_of(arm.name).items():
            field = here
            for part in dotted.split("."):
                field = getattr(field, part)
            assert field == (tuple(value) if isinstance(value, list) else value), (arm.name, dotted)
    assert found["RPT"] == found[f"RPT{THEN}"].start


def test_all_are_asked_held_out_problems_and_no_training_shows_them(page):
    check_asked(page)


def check_asked(page):
    """Every arm answers the same held-out problems, in one world of two kinds whose test keeps them apart."""
    first = page.arms[0].outcomes[0].evaluation
    evaluations = (arm.outcomes[0].evaluation for arm in page.arms)
    (one,) = distinct(found.model_copy(update={"model": first.model}) for found in evaluations)
    assert (one.modes, one.samples, one.temperature, one.milestones) == (("problems",), SAMPLES, 1.0, False)
    assert {arm.outcomes[0].measure for arm in page.arms} == {"second-world-problems"}
    worlds = [each.sample.second for each in walk(page) if isinstance(each, IngestRecipe)]
    assert {(world.kinds, world.held) for world in worlds} == {(imperfect_teacher.FEW_KINDS, "test")}
    assert stage(page, "prepare-corpus").held_questions == worlds[0].salt


def test_fields_of_frozen_settings_are_refused_and_the_plan_names_them():
    fields = {"policy.optimiser.learning_rate": 1e-3}
    with pytest.raises(RecipeError, match="the arm 'RPT, then RLVR' of verifiable-rewards keeps"):
        over_arms("tiny_rpt", (100,), (f"RPT{THEN}",), Overrides(fields=fields), VERIFIABLE_REWARDS)
    over_arms("tiny_rpt", (100,), (ALONE,), Overrides(fields=fields), VERIFIABLE_REWARDS)
    page = over_arms("tiny_rpt", (100,), (), NOTHING, VERIFIABLE_REWARDS)
    shown = frozen_settings(page, VERIFIABLE_REWARDS)
    assert shown[f"RPT{THEN}"] == shown["RPT"] == imperfect_teacher.STUDY.frozen_of("RPT") != {}
    assert shown[ALONE] == {}
    json.dumps(shown)


def test_a_trial_may_spend_less():
    fields = {"policy.max_gflops": 30.0, "rlvr.max_gflops": 5.0}
    found = trainings(over_arms("tiny_rpt", (10,), (), Overrides(fields=fields), VERIFIABLE_REWARDS))
    assert (found[ALONE].max_gflops, found["RPT"].max_gflops) == (35.0, 30.0)
    assert {found[f"{name}{THEN}"].max_gflops for name in ON_TEXT} == {5.0}


def test_claims_are_about_arms_that_exist_and_rows_of_the_papers_stand_on_them():
    rules = RULES[VERIFIABLE_REWARDS]
    assert rules.claimed <= set(ARMS)
    assert {name for pair in rules.described for name in pair[:2]} - {START} <= set(ARMS)
    found = [row.then for row in ROWS if isinstance(row.then, Compared)]
    rows = [one for one in found if one.study == VERIFIABLE_REWARDS]
    assert {(row.method, row.reference) for row in rows} == {
        (f"RPT{THEN}", SHORT),
        (f"RPT{THEN}", ALONE), (f"RPT{THEN}", f"NTP tuned{THEN}"), (f"Mixed SFT{THEN}", f"RPT{THEN}"),
    }  # fmt: skip


def test_nothing_of_it_is_tuned_and_other_texts_are_refused(tmp_path):
    with pytest.raises(RecipeError, match="has no tuning runs; those of imperfect-teacher, shorter-thoughts"):
        over_tuning("tiny_rpt", {}, (), NOTHING, VERIFIABLE_REWARDS)
    with pytest.raises(RecipeError, match="the study verifiable-rewards is about the sample world"):
        over_arms("tiny_rpt", (100,), (), Overrides(data=str(tmp_path)), VERIFIABLE_REWARDS)
