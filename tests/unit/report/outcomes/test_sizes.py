"""The page of the study of sizes, of models whose accuracies are known at every point of compute."""

import json
from dataclasses import replace

import numpy as np
import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.errors import RecipeError
from rpt_core.pages.words import flops_of
from rpt_core.recipes.reports.outcomes_report import SIZES
from rpt_core.report.outcomes.sized import accuracy_at, means, read_at, read_sizes
from rpt_core.report.outcomes.sized_laws import AllSizes, SizeLaw, law_words
from rpt_core.report.outcomes.thinkers import (
    EqualTest,
    EqualTraining,
    pairs_of,
    plain_gflops,
    thinking_gflops,
)
from rpt_core.report.outcomes.values import Arm, differences
from rpt_core.report.papers.table import arms_of
from rpt_core.report.study import write_report
from tests.unit.report.outcomes.simulated import page_of
from tests.unit.report.outcomes.simulated_sizes import (
    ANSWER_TOKENS,
    CONTEXT,
    PER_STEP,
    SEEDS,
    SIZES_OF,
    STEPS,
    all_sizes,
    plain_accuracy,
    thinking_accuracy,
)


@pytest.fixture(scope="module")
def outcomes():
    return all_sizes()


@pytest.fixture(scope="module")
def sizes(outcomes):
    return read_sizes(list(arms_of(outcomes).values()))


@pytest.fixture(scope="module")
def made(outcomes, tmp_path_factory):
    root = tmp_path_factory.mktemp("sizes")
    recipe, inputs = page_of(root, outcomes, study=SIZES, title="Sizes")
    build = LocalBuild(inputs, root / "out", root / "scratch")
    return write_report(recipe, build).summary, build.out


def test_checkpoints_are_read_by_their_compute_with_all_they_stand_on(sizes):
    one = sizes[0]
    numbers = SIZES_OF["0.3 M"]
    path = one.thinking(SEEDS[0])
    assert [at.step for at in path] == [0, *STEPS]
    lessons = numbers * (2.2e-3 + 10.7e-3)
    assert path[0].total_gflops == pytest.approx(lessons)
    assert path[-1].total_gflops == pytest.approx(lessons + 250 + numbers * PER_STEP * STEPS[-1])
    alone = one.plain(SEEDS[0])
    assert alone[0].total_gflops == pytest.approx(numbers * 2.2e-3)
    assert alone[-1].own_gflops == pytest.approx(numbers * PER_STEP * STEPS[-1])
    held = one.method.by_seed[SEEDS[0]].questions.held_I
    last = one.method.by_seed[SEEDS[0]].course.points[-1]
    assert path[-1].accuracy == last.right_IS[held].mean()
    assert alone[-1].accuracy == one.without.by_seed[SEEDS[0]].course.points[-1].plain_I[held].mean()


def test_means_are_of_seeds(sizes):
    one = sizes[1]
    by_seed = {seed: one.thinking(seed) for seed in one.seeds}
    found = means(by_seed)
    assert [at.step for at in found] == [0, *STEPS]
    assert found[3].accuracy.value == pytest.approx(np.mean([path[3].accuracy for path in by_seed.values()]))
    assert found[3].accuracy.num_clusters == len(SEEDS)


def test_an_exponent_is_near_the_planted_one_and_points_are_means(sizes):
    law = SizeLaw(sizes[1])
    assert len(law.points) == len(STEPS)
    for point in law.points:
        assert point.accuracy.value == pytest.approx(thinking_accuracy(SIZES_OF["1 M"], point.step), abs=0.05)
    assert law.r_squared > 0.97
    assert set(law.exponents) == set(SEEDS)
    assert 0.2 < np.mean(list(law.exponents.values())) < 1.2  # planted: 0.5


def test_over_sizes_the_exponent_of_compute_is_near_the_planted_one(sizes):
    jointly = AllSizes([SizeLaw(one) for one in sizes])
    assert jointly.exponent("beta").value == pytest.approx(0.5, abs=0.2)
    assert len(jointly.comparison.rivals) == 4
    assert not AllSizes([SizeLaw(sizes[0])]).comparison.rivals
    assert AllSizes([SizeLaw(sizes[0])]).exponent("alpha") is None


def test_at_equal_training_the_larger_is_read_where_both_have_spent_the_same(sizes):
    found = EqualTraining.of(sizes[0], sizes[1])
    for seed in SEEDS:
        last, path = sizes[0].thinking(seed)[-1], sizes[1].plain(seed)
        after = next(n for n, at in enumerate(path) if at.total_gflops >= last.total_gflops)
        one, other = path[after - 1 : after + 1]
        share = np.log(last.total_gflops / one.total_gflops) / np.log(other.total_gflops / one.total_gflops)
        wanted = one.accuracy + share * (other.accuracy - one.accuracy)
        assert found.by_seed[seed] == pytest.approx(last.accuracy - wanted)
    ends = differences(sizes[0].method, sizes[1].without, "accuracy", "plain-held")
    assert found.at_end.value == pytest.approx(np.mean(list(ends.values())))


def test_a_larger_model_whose_base_takes_more_has_no_equal_point(sizes):
    found = EqualTraining.of(sizes[0], sizes[2])
    assert (found.at_equal, found.by_seed) == (None, {})
    assert found.at_end is not None


def test_a_thinker_draws_as_many_answers_as_the_larger_pass_costs(sizes):
    small, large = sizes[0], sizes[1]
    n, m = SIZES_OF["0.3 M"], SIZES_OF["1 M"]
    assert plain_gflops(large, SEEDS[0]) == pytest.approx(2e-9 * m * CONTEXT)
    assert thinking_gflops(small, SEEDS[0], 3) == pytest.approx(2e-9 * n * (CONTEXT + 3 * ANSWER_TOKENS))
    found = EqualTest.of(small, large)
    assert found.votes == min(8, int((m / n - 1) * CONTEXT // ANSWER_TOKENS))
    outcomes = small.method.by_seed[SEEDS[0]]
    held, point = outcomes.questions.held_I, outcomes.course.points[-1]
    wanted = point.voted_IS[held, found.votes - 1].mean() - large.plain(SEEDS[0])[-1].accuracy
    assert found.by_seed[SEEDS[0]] == pytest.approx(wanted)


def test_a_thinker_dearer_than_the_larger_pass_is_not_compared(sizes):
    found = EqualTest.of(sizes[1], sizes[0])  # the larger one thinks
    assert (found.votes, found.difference, found.by_seed) == (0, None, {})


def test_pairs_are_neighbours_first(sizes):
    names = [f"{one.name}, {other.name}" for one, other in pairs_of(sizes)]
    assert names == ["0.3 M, 1 M", "1 M, 3 M", "0.3 M, 3 M"]


def test_a_curve_is_read_between_its_points_and_not_beyond(sizes):
    path = sizes[0].plain(SEEDS[0])
    assert read_at(path, path[2].total_gflops) == pytest.approx(path[2].accuracy)
    assert read_at(path, path[0].total_gflops * 0.99) is None
    assert read_at(path, path[-1].total_gflops * 1.01) is None
    assert read_at([], 1.0) is None


def test_votes_are_at_least_as_good_as_single_answers_of_a_good_model(sizes):
    outcomes = sizes[2].method.by_seed[SEEDS[0]]
    point = outcomes.course.points[-1]
    single = accuracy_at(outcomes, point, "thinking")
    assert accuracy_at(outcomes, point, "thinking", 8) > single > plain_accuracy(SIZES_OF["3 M"], STEPS[-1])


def test_the_page_shows_laws_pairs_and_checkpoints_and_decides_nothing(made):
    summary, out = made
    text, html = (out / "report.md").read_text(), (out / "report.html").read_text()
    assert summary["sizes"] == 3
    assert html.count("data:text/csv") == 3  # compute, training, answers
    for size in SIZES_OF:
        assert f"| {size} |" in text
        assert f"law: {size}" in summary
    assert "0.3 M against 3 M: the larger's base model alone takes more" in text
    assert "No claim is decided here" in text
    assert "All sizes at once" in text
    held = json.loads((out / "report.json").read_text())
    assert held["title"] == "Sizes"


def test_what_ran_counts_the_start_of_every_size(made, outcomes):
    text = (made[1] / "report.md").read_text()
    starts = {}
    for one in outcomes:
        size = one.arm.partition(":")[0], one.seed
        starts[size] = max(one.shared_gflops, starts.get(size, 0.0))
    assert f"{flops_of(1e9 * sum(starts.values()))} of their start models" in text


def test_one_size_makes_a_page_without_pairs(tmp_path):
    recipe, inputs = page_of(tmp_path, all_sizes(("0.3 M",)), study=SIZES, title="One")
    build = LocalBuild(inputs, tmp_path / "out", tmp_path / "scratch")
    assert write_report(recipe, build).summary["sizes"] == 1
    text = (build.out / "report.md").read_text()
    assert "All sizes at once" not in text
    assert "Thinking against size" in text


def test_the_claims_line_says_every_size_and_what_is_named(outcomes):
    words = law_words(arms_of(outcomes))
    assert "(0.3 M, 1 M, 3 M)" in words
    assert words.startswith("R² 0.9")
    assert "over sizes: " in words


def test_sizes_without_an_arm_a_seed_or_checkpoints_are_refused(outcomes):
    arms = arms_of(outcomes)
    with pytest.raises(RecipeError, match="has base, start, RPT, NTP of each"):
        read_sizes([arm for name, arm in arms.items() if name != "1 M: NTP"])
    other = {7: arms["1 M: NTP"].by_seed[SEEDS[0]]}
    with pytest.raises(RecipeError, match="the arms of 1 M have no seed in common"):
        read_sizes([Arm(name, other, {}) if name == "1 M: NTP" else arm for name, arm in arms.items()])
    bare = {seed: replace(one, course=None) for seed, one in arms["1 M: RPT"].by_seed.items()}
    found = read_sizes([Arm(name, bare, {}) if name == "1 M: RPT" else arm for name, arm in arms.items()])
    with pytest.raises(RecipeError, match="hold no checkpoints"):
        found[1].thinking(SEEDS[0])


def test_sizes_asked_different_questions_are_refused(outcomes):
    arms = arms_of(outcomes)
    one = arms["3 M: RPT"].by_seed[SEEDS[1]]
    moved = replace(one, questions=replace(one.questions, digest="0" * 16))
    by_seed = {**arms["3 M: RPT"].by_seed, SEEDS[1]: moved}
    changed = [Arm(name, by_seed, {}) if name == "3 M: RPT" else arm for name, arm in arms.items()]
    with pytest.raises(RecipeError, match=r"under seed 301 0\.3 M: base and 3 M: RPT were asked different"):
        read_sizes(changed)
