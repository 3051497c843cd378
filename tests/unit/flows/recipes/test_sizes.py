"""The study of sizes: models of one shape on one text, each in two ways, asked the same questions."""

from itertools import pairwise

import pytest

from flows.agreement import check_journey
from flows.kept import laid_out
from flows.recipes import Overrides, over_arms
from flows.recipes.studies.imperfect_teacher import STUDY, TUNED
from flows.recipes.studies.sizes import ARMS, MARKS, NEXT_TOKEN_MARKS, SAMPLES, SHAPES
from flows.recipes.trees import walk
from rpt_core.errors import RecipeError
from rpt_core.evaluation.kept.file import file_name
from rpt_core.planning.shape import Shape
from rpt_core.recipes.difficulty import DifficultyRecipe
from rpt_core.recipes.reports.outcomes_report import SIZES
from rpt_core.recipes.supervised import BaseRecipe, ColdStartRecipe
from rpt_core.report.outcomes.sized import ROLES


def page(seeds=(300,), sizes=(), overrides=None):
    return over_arms("tiny_rpt", seeds, sizes, overrides or Overrides(), SIZES)


@pytest.fixture(scope="module")
def arms():
    found = page()
    check_journey(found)
    return {arm.name: arm.outcomes[0] for arm in found.arms}


def test_every_size_has_the_arms_that_the_page_compares(arms):
    assert list(arms) == [f"{size}: {role}" for size in SHAPES for role in ROLES]
    assert ARMS == ROLES


def test_models_differ_in_their_width_alone_and_questions_in_nothing(arms):
    for name, one in arms.items():
        size = name.partition(":")[0]
        shapes = {found.model for found in walk(one.start) if isinstance(found, BaseRecipe)}
        assert shapes == {SHAPES[size]}
    first = next(iter(arms.values())).evaluation
    asked = first.difficulty
    for one in arms.values():
        assert (one.evaluation.corpus, one.evaluation.difficulty) == (first.corpus, asked)
    assert isinstance(asked, DifficultyRecipe)
    assert asked.proxy.model == SHAPES["0.3 M"]
    for shape in SHAPES.values():
        assert shape.model_copy(update={
            "hidden_size": 128, "head_dim": 32, "intermediate_size": 384,
        }) == type(shape)(vocab_size=768)  # fmt: skip


@pytest.mark.parametrize(("size", "millions"), [("0.3 M", 0.291), ("1 M", 1.045), ("3 M", 3.21)])
def test_a_size_has_about_as_many_numbers_as_it_is_called_by(size, millions):
    assert Shape.of_recipe(SHAPES[size]).parameters == pytest.approx(1e6 * millions, rel=0.01)


def test_thinkers_start_from_lessons_and_the_others_from_the_base_model(arms):
    for name, one in arms.items():
        role = name.rpartition(": ")[2]
        taught = role in ("start", "RPT")
        assert isinstance(one.start, ColdStartRecipe if taught else BaseRecipe)
        assert (one.training is None) == (role in ("base", "start"))
        if one.training is not None:
            assert one.training.start == one.start
        assert one.course
        assert one.evaluation.samples == SAMPLES


def test_settings_are_the_frozen_ones_but_for_the_rate_by_width(arms):
    tuned = TUNED["RPT"]
    for size, shape in SHAPES.items():
        rpt, alone = arms[f"{size}: RPT"].training, arms[f"{size}: NTP"].training
        own = tuned["optimiser"]["learning_rate"] * 128 / shape.hidden_size
        assert rpt.optimiser.learning_rate == pytest.approx(own)
        assert (rpt.ntp_weight, rpt.loss) == (tuned["ntp_weight"], "grpo")
        assert alone.optimiser.learning_rate == STUDY.setting_of("NTP tuned")["optimiser"]["learning_rate"]
        assert (rpt.optimiser.schedule, alone.optimiser.schedule) == ("constant", "constant")


def test_six_points_each_twice_the_one_before(arms):
    for size in SHAPES:
        rpt, alone = arms[f"{size}: RPT"], arms[f"{size}: NTP"]
        assert rpt.training.milestones == MARKS
        assert rpt.training.steps == MARKS[-1]
        assert alone.training.milestones == NEXT_TOKEN_MARKS
        assert rpt.evaluation.milestone_modes == ("plain", "reasoning")
        assert alone.evaluation.milestone_modes == ("plain",)
    assert [later / earlier for earlier, later in pairwise(MARKS)] == [2] * 5


def test_a_trial_ends_where_its_reader_says():
    short = page(overrides=Overrides(fields={"policy.max_gflops": 20.0}))
    ends = {arm.outcomes[0].training.max_gflops for arm in short.arms if arm.outcomes[0].training}
    assert ends == {20.0}


def test_files_have_names_of_their_own():
    names = [file_name(one.arm, one.seed) for arm in laid_out(page((300, 301))).arms for one in arm.outcomes]
    assert len(set(names)) == len(names) == 2 * 4 * 3


def test_an_unknown_size_and_another_model_are_refused():
    with pytest.raises(RecipeError, match=r"no size '7 M'; there are 0\.3 M; 1 M; 3 M"):
        page(sizes=("7 M",))
    with pytest.raises(RecipeError, match="trains models of three sizes itself"):
        page(overrides=Overrides(model="Qwen/Qwen3-0.6B-Base"))
