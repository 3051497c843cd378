"""The study of next segments: arms that differ from RLPT in one thing, in the world whose teacher errs."""

import pytest

from flows.agreement import check_journey
from flows.kept import laid_out
from flows.recipes import Overrides, any_journey, over_arms, over_tuning
from flows.recipes.studies.by_seed import FIRST_RUNS, TUNING_SEEDS
from flows.recipes.studies.next_segments import (
    ARMS,
    BUDGET_GFLOPS,
    JUDGE_FREE,
    MILESTONES,
    MOST_STEPS,
    SAMPLES,
    STUDY,
    TARGETS,
    TUNED,
    erring_teacher,
)
from flows.recipes.trees import changed, walk
from rpt_core.errors import RecipeError
from rpt_core.recipes.corpus import IngestRecipe
from rpt_core.recipes.judge import JudgeRecipe
from rpt_core.recipes.reinforce import RlptRecipe
from rpt_core.recipes.reports.outcomes_report import IMPERFECT_TEACHER, NEXT_SEGMENTS
from rpt_core.recipes.supervised import ColdStartRecipe
from rpt_core.report.outcomes.claims import RULES, START


@pytest.fixture(scope="module")
def page():
    return over_arms("tiny_rlpt", (100,), (), Overrides(), NEXT_SEGMENTS)


def trainings(page):
    return {arm.name: arm.outcomes[0].training for arm in page.arms if arm.outcomes[0].training}


def test_all_arms_go_on_from_one_start_in_the_second_editions_world(page):
    check_journey(page)
    starts = {arm.outcomes[0].start.model_dump_json() for arm in page.arms}
    assert len(starts) == 1
    start = page.arms[0].outcomes[0].start
    assert (start.form, start.reword) == ("segments", "second-world")
    assert (start.think_share, start.problems_per_step, start.direct_answers) == (1.0, 0, False)
    worlds = {one.sample.second for one in walk(page) if isinstance(one, IngestRecipe)}
    assert [(one.right_share, one.held) for one in worlds] == [(0.3, "test")]
    assert {one.corpus.held_questions for one in walk(page) if isinstance(one, ColdStartRecipe)} == {
        "study-1"
    }


def test_all_models_are_asked_the_same_by_a_judge_that_trained_none_of_them(page):
    first = page.arms[0].outcomes[0]
    asked = {
        arm.outcomes[0]
        .evaluation.model_copy(update={"model": first.start, "milestones": False})
        .model_dump_json()
        for arm in page.arms
    }
    assert len(asked) == 1
    evaluation = first.evaluation
    assert (evaluation.modes, evaluation.samples, evaluation.num_targets) == (("judged",), SAMPLES, TARGETS)
    assert (evaluation.objective.rule, evaluation.objective.judge_errs_share) == ("prefix", 0.0)
    judges = {(one.world, one.seed, one.steps) for one in walk(page) if isinstance(one, JudgeRecipe)}
    assert judges == {("second", 0, 1_600), ("second", 1, 1_600)}
    assert evaluation.judge.seed == 1
    assert {arm.outcomes[0].measure for arm in page.arms} == {"second-world-segments"}


def test_every_arm_ends_by_operations_its_proxys_and_its_judges_among_them(page):
    for name, training in trainings(page).items():
        assert training.max_gflops == BUDGET_GFLOPS, name
        assert training.steps == MOST_STEPS, name
        if isinstance(training, RlptRecipe):
            assert training.count_proxy, name
            assert training.count_judge is (name != "judge-free"), name
            assert (training.max_tokens, training.milestones) == (0, MILESTONES), name
    by_tokens = {arm.name for arm in page.arms if arm.outcomes[0].checkpoints}
    assert by_tokens == set(ARMS) - {"more SFT"}
    assert {arm.name for arm in page.arms if arm.outcomes[0].evaluation.milestones} == by_tokens


def test_each_part_differs_from_rlpt_in_one_thing(page):
    found = trainings(page)
    whole = found["RLPT"]
    parts = {
        "strict rule": {"rule": "strict"}, "ASR alone": {"msr_share": 0.0}, "MSR alone": {"msr_share": 1.0},
        "judge errs 5 %": {"judge_errs_share": 0.05}, "judge errs 20 %": {"judge_errs_share": 0.2},
        "order of topics": {"order": "topics"},
    }  # fmt: skip
    assert {name for name, plan in ARMS.items() if plan.tuned_as == "RLPT"} == set(parts)
    for name, changes in parts.items():
        objective = whole.objective.model_copy(update=changes)
        assert found[name] == whole.model_copy(update={"objective": objective}), name
    as_written = STUDY.training_of(erring_teacher(any_journey("tiny_rlpt", Overrides(seed=100))), "RLPT", {})
    free = as_written.objective.model_copy(update={"reward": "gain", "audit": ""})
    wanted = as_written.model_copy(update={"objective": free, "judge": None, "count_judge": False})
    assert found["judge-free"] == changed(wanted, TUNED["judge-free"])
    lessons, start = found["more SFT"], whole.start
    assert lessons.base == start
    assert (lessons.form, lessons.reword, lessons.seed) == (start.form, start.reword, start.seed)


def test_arms_that_are_tuned_have_as_many_settings_and_none_puts_back_what_a_part_changes():
    assert {name: len(plan.grid) for name, plan in ARMS.items() if plan.grid} == dict.fromkeys(
        ("RLPT", "more SFT", "judge-free"), FIRST_RUNS
    )
    assert not [setting for setting in ARMS["RLPT"].grid if "objective" in setting]
    for setting in JUDGE_FREE:
        assert set(setting["objective"]) <= {"gain_form", "truth_weight"}
    for name, plan in ARMS.items():
        assert not plan.grid or TUNED[name] in plan.grid, name


def test_every_setting_of_a_grid_makes_a_training():
    tuning = over_tuning("tiny_rlpt", {}, (), Overrides(), NEXT_SEGMENTS)
    assert {arm.name for arm in tuning.tuning} == {"RLPT", "more SFT", "judge-free"}
    assert tuning.seeds == TUNING_SEEDS
    for arm in tuning.tuning:
        assert len({one.training.model_dump_json() for one in arm.outcomes}) == FIRST_RUNS, arm.name
        for one in arm.outcomes:
            held = {each.sample.second.held for each in walk(one) if isinstance(each, IngestRecipe)}
            assert held == {"tuning"}
            assert (one.evaluation.milestones, one.checkpoints) == (False, False)


def test_claims_are_about_arms_that_exist():
    rules = RULES[NEXT_SEGMENTS]
    assert rules.claimed - {START} <= set(ARMS)
    assert {name for pair in rules.described for name in pair[:2]} - {START} <= set(ARMS)
    assert rules.method in ARMS


def test_a_trial_has_a_budget_of_its_own_and_another_recipe_is_refused():
    fields = {"rlpt.max_gflops": 7.0, "judge.steps": 5}
    trial = over_arms("tiny_rlpt", (9,), (), Overrides(fields=fields), NEXT_SEGMENTS)
    assert {one.steps for one in walk(trial) if isinstance(one, JudgeRecipe)} == {10}
    assert {training.max_gflops for training in trainings(trial).values()} == {7.0}
    with pytest.raises(
        RecipeError, match=r"ends in report, and the study next-segments.*Start from tiny_rlpt"
    ):
        over_arms("tiny_rpt", (100,), (), Overrides(), NEXT_SEGMENTS)
    with pytest.raises(RecipeError, match=r"ends in report-rlpt.*Start from tiny_rpt"):
        over_arms("tiny_rlpt", (100,), (), Overrides(), IMPERFECT_TEACHER)


def test_a_frozen_setting_is_not_put_back_by_a_readers_field(monkeypatch):
    monkeypatch.setitem(TUNED, "RLPT", ARMS["RLPT"].grid[2])
    for field in ("rlpt.optimiser.learning_rate", "rlpt.ntp_weight"):
        with pytest.raises(RecipeError, match="keeps the setting that its tuning runs"):
            STUDY.check_frozen([field], ("strict rule",))
    STUDY.check_frozen(["rlpt.max_gflops"], ("strict rule",))


def test_designs_tell_all_arms_apart(page):
    designs = [one.design for arm in laid_out(page).arms for one in arm.outcomes]
    assert len(set(designs)) == len(designs) == 1 + len(ARMS)
