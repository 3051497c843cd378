"""The study of a real text: arms that differ in one thing, from one start, on held-out problems."""

import pytest

from flows.agreement import check_journey
from flows.cli.making import KEEP_OUTCOMES, USUAL
from flows.recipes import Overrides, any_journey, over_arms, over_tuning
from flows.recipes.rmt import policy_of
from flows.recipes.studies.real_text import ARMS, BEFORE, BEGINS_FROM, BUDGET_GFLOPS, FURTHER, SHOWN
from flows.recipes.trees import stage, walk
from rpt_core.artifacts.design import design_of
from rpt_core.errors import RecipeError
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe
from rpt_core.recipes.outcomes import OutcomesRecipe
from rpt_core.recipes.reports.outcomes_report import OUTCOME_PAGES, REAL_TEXT

OWN = Overrides(data="gsm8k", model="models/smollm2-135m")
ALL = (*ARMS, *FURTHER)


@pytest.fixture(scope="module")
def page():
    return over_arms(BEGINS_FROM, (0,), ALL, OWN, REAL_TEXT)


def outcomes(page) -> dict[str, OutcomesRecipe]:
    return {arm.name: arm.outcomes[0] for arm in page.arms}


def test_all_arms_go_on_from_one_start_and_are_asked_alike(page):
    check_journey(page)
    found = outcomes(page)
    assert list(found) == [BEFORE, "start", *ALL]
    starts = {one.start.model_dump_json() for name, one in found.items() if name != BEFORE}
    assert len(starts) == 1
    assert found[BEFORE].start == found["start"].start.base
    asked = [one.evaluation.model_copy(update={"model": found["start"].start}) for one in found.values()]
    (evaluation,) = {one.model_dump_json(): one for one in asked}.values()
    assert (evaluation.num_positions, evaluation.samples, evaluation.temperature) == (300, 4, 1.0)
    assert evaluation.modes == ("plain", "reasoning")
    assert evaluation.objective.asked == "results"
    assert {one.measure for one in found.values()} == {"calculator"}
    assert {one.shown for one in found.values()} == {SHOWN}
    assert len({design_of(one) for one in found.values()}) == len(found)


def test_every_arm_ends_by_the_same_operations_and_differs_from_rpt_in_its_reward_alone(page):
    found = {name: one.training for name, one in outcomes(page).items() if one.training}
    assert {one.max_gflops for one in found.values()} == {BUDGET_GFLOPS}
    whole = found["RPT"]
    assert found["permuted reward"] == whole.model_copy(update={"reward_control": "permuted"})
    for name in ("RLP", "VeriFree"):
        other = found[name]
        same = {"objective": whole.objective, "loss": whole.loss}
        assert other.model_copy(update=same) == whole, name
        assert (other.objective.prompt, other.objective.asked) == ("brief", "results")
    lessons = found["more SFT"]
    start = outcomes(page)["start"].start
    assert lessons.base == start
    unlike = {"base", "steps", "max_gflops", "optimiser"}
    assert all(
        getattr(lessons, name) == getattr(start, name) for name in set(type(start).model_fields) - unlike
    )


def test_no_arm_is_charged_with_entropies_that_choose_nothing(page):
    for name, one in outcomes(page).items():
        if one.training and name != "more SFT":
            objective = one.training.objective
            assert (objective.choose, one.training.count_proxy) == ("random", False), name


def test_lessons_show_whole_numbers_and_thoughts_that_fit_the_answer(page):
    start = outcomes(page)["start"].start
    assert (start.whole_answers, start.direct_answers, start.problems_per_step) == (True, False, 0)
    assert start.prompt == "brief"
    policy = outcomes(page)["RPT"].training
    frame = 3 + 4 + 1 + 1  # </think> and the box's opening, closing and end, each token of its own model
    assert start.thought_tokens_max + frame < policy.reasoning_tokens
    (documents,) = {
        one.model_dump_json(): one for one in walk(page) if isinstance(one, IngestRecipe)
    }.values()
    assert documents.calculator.slip_share == 0.5
    (corpus,) = {one.model_dump_json(): one for one in walk(page) if isinstance(one, PrepareRecipe)}.values()
    assert corpus.solutions_as_documents
    read = 7473 * documents.problem_share
    assert 290 < read * corpus.eval_share < 310
    assert 190 < read * (1 - corpus.eval_share) * documents.calculator.lesson_share < 210


def test_one_seed_a_fitting_recipe_and_known_arms_are_asked_for():
    with pytest.raises(RecipeError, match="an existence proof on one seed, and 3 are asked for"):
        over_arms(BEGINS_FROM, (0, 1, 2), (), OWN, REAL_TEXT)
    with pytest.raises(RecipeError, match="Start from smollm2_gsm8k"):
        over_arms("tiny_rpt", (0,), (), Overrides(), REAL_TEXT)
    with pytest.raises(RecipeError, match="has no arm 'JEPO'; there are RPT; permuted reward; RLP; VeriFree"):
        over_arms(BEGINS_FROM, (0,), ("JEPO",), OWN, REAL_TEXT)
    with pytest.raises(RecipeError, match="has no tuning runs"):
        over_tuning(BEGINS_FROM, {}, (), OWN, REAL_TEXT)


def test_a_reader_may_give_a_smaller_budget_and_the_usual_arms_leave_out_those_run_by_name():
    trial = Overrides(data="gsm8k", model="models/mine", fields={"policy.max_gflops": 5.0})
    found = outcomes(over_arms(BEGINS_FROM, (0,), (), trial, REAL_TEXT))
    assert list(found) == [BEFORE, "start", *ARMS]
    assert {one.training.max_gflops for one in found.values() if one.training} == {5.0}


def test_the_recipe_is_a_whole_journey_on_a_readers_folders():
    journey = any_journey(BEGINS_FROM, OWN)
    check_journey(journey)
    assert stage(journey, "train-base").model.name == "models/smollm2-135m"
    assert policy_of(journey).steps == 40
    assert USUAL[REAL_TEXT] == BEGINS_FROM
    assert REAL_TEXT in KEEP_OUTCOMES
    assert REAL_TEXT in OUTCOME_PAGES
