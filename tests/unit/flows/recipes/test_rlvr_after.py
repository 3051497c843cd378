"""Verifiable rewards after RMT and RLPT: equal operations, one start, settings from the methods' studies."""

import hashlib

import pytest

from flows.agreement import check_journey
from flows.cli.making import KEEP_OUTCOMES, TUNED, USUAL
from flows.recipes import Overrides, over_arms
from flows.recipes.named import BY_SEED
from flows.recipes.studies import next_segments, shorter_thoughts
from flows.recipes.studies.rlvr_after import AFTER_RLPT, AFTER_RMT
from flows.recipes.studies.verifiable_rewards import ALONE, PROBLEM_GFLOPS, SHORT, THEN
from rpt_core.errors import RecipeError
from rpt_core.recipes.reports.outcomes_report import RLVR_AFTER_RLPT, RLVR_AFTER_RMT
from rpt_core.report.outcomes.claims import AFTER_RLPT_CLAIMS, AFTER_RMT_CLAIMS, RULES, START
from rpt_core.report.papers.evidence import Compared
from rpt_core.report.papers.rows import ROWS
from tests.unit.flows.recipes.test_verifiable_rewards import check_asked, distinct

NOTHING = Overrides()
CASES = [
    pytest.param(AFTER_RMT, shorter_thoughts, ("RMT", "RPT"), id="RMT"),
    pytest.param(AFTER_RLPT, next_segments, ("RLPT", "more SFT"), id="RLPT"),
]
FIXED = "8a3c103cfefddee2"
"""Digest of the claims as they were fixed; a change of it is a change of a claim."""


def page_of(study):
    return over_arms(study.begins_from, (100,), (), NOTHING, study.name)


@pytest.mark.parametrize(("study", "text", "names"), CASES)
def test_arms_spend_as_much_from_one_start_under_the_settings_of_the_methods_own_study(study, text, names):
    page = page_of(study)
    check_journey(page)
    (start,) = distinct(arm.outcomes[0].start for arm in page.arms)
    assert (start.think_share, start.problems_per_step, start.direct_answers) == (1.0, 1, False)
    found = {arm.name: arm.outcomes[0].training for arm in page.arms[1:]}
    whole = text.BUDGET_GFLOPS + PROBLEM_GFLOPS
    assert (found[SHORT].start, found[ALONE].start) == (start, start)
    assert (found[SHORT].max_gflops, found[ALONE].max_gflops) == (PROBLEM_GFLOPS, whole)
    for name in names:
        rewarded = found[f"{name}{THEN}"]
        before = rewarded.start
        assert before.max_gflops + rewarded.max_gflops == whole, name
        assert start in (getattr(before, "start", None), getattr(before, "base", None)), name
        assert not getattr(before, "milestones", ())
        for dotted, value in text.STUDY.frozen_of(name).items():
            field = before
            for part in dotted.split("."):
                field = getattr(field, part)
            assert field == (tuple(value) if isinstance(value, list) else value), (name, dotted)
    rewards = [one.model_copy(update={"start": start, "max_gflops": 0.0}) for one in found.values()]
    assert len(distinct(rewards)) == 1  # on problems all are trained alike


@pytest.mark.parametrize(("study", "text", "names"), CASES)
def test_all_are_asked_the_same_held_out_problems(study, text, names):
    check_asked(page_of(study))


def test_the_claims_are_those_that_were_fixed():
    fixed = [
        (c.key, c.sentence, c.method, c.reference, c.score, c.threshold, c.direction)
        for c in (*AFTER_RMT_CLAIMS, *AFTER_RLPT_CLAIMS)
    ]
    assert hashlib.sha256(repr(fixed).encode()).hexdigest()[:16] == FIXED


@pytest.mark.parametrize(("study", "text", "names"), CASES)
def test_claims_are_about_arms_that_exist_and_a_row_of_the_papers_stands_on_them(study, text, names):
    rules = RULES[study.name]
    assert rules.claimed <= set(study.arms)
    assert {name for pair in rules.described for name in pair[:2]} - {START} <= set(study.arms)
    reference = {RLVR_AFTER_RMT: f"RPT{THEN}", RLVR_AFTER_RLPT: SHORT}[study.name]
    rows = [row.then for row in ROWS if isinstance(row.then, Compared) and row.then.study == study.name]
    assert [(row.method, row.reference) for row in rows] == [(f"{names[0]}{THEN}", reference)]


def test_another_methods_journey_is_refused_with_the_recipe_to_start_from():
    with pytest.raises(RecipeError, match=r"rlvr-after-rmt is about RMT, and .* Start from tiny_rmt"):
        over_arms("tiny_rpt", (100,), (), NOTHING, RLVR_AFTER_RMT)
    with pytest.raises(RecipeError, match="Start from tiny_rlpt"):
        over_arms("tiny_rpt", (100,), (), NOTHING, RLVR_AFTER_RLPT)


def test_every_study_by_seeds_is_known_to_the_command_line_and_begins_from_its_own_recipe():
    for name, study in BY_SEED.items():
        assert name in KEEP_OUTCOMES
        assert USUAL.get(name, "tiny_rpt") == study.begins_from, name
    assert set(TUNED) == {name for name, study in BY_SEED.items() if study.is_tuned}
