"""The page of a study over worlds, of seeds whose gains are known in each."""

import json
from dataclasses import replace

import numpy as np
import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.errors import RecipeError
from rpt_core.evaluation.kept.arm import ArmOutcomes
from rpt_core.recipes.reports.outcomes_report import DOSE_RESPONSE, OTHER_TEXT
from rpt_core.report.outcomes.values import Arm
from rpt_core.report.outcomes.worlds import (
    FOUR_STEPS,
    MEASURES,
    STRONGEST,
    World,
    never_share,
    picture,
    read_worlds,
)
from rpt_core.report.study import write_report
from tests.unit.report.outcomes.simulated import page_of, simulated

SEEDS = (200, 201, 202)
GAINS = {(0.1, 0.0): 0.05, (0.1, 0.2): 0.10, (1.0, 0.0): 0.0, (1.0, 0.2): 0.30}
FEW = MEASURES[0].title


def grid(seeds=SEEDS):
    found = []
    for (right, long), gain in GAINS.items():
        setting = {"right_share": right, "long_share": long}
        for role, accuracy in (("start", 0.3), ("RPT", 0.3 + gain)):
            name = f"q {right:g}, e {100 * long:g} %: {role}"
            found += [
                replace(
                    simulated(name, seed, accuracy, scatter=0.001, samples=64),
                    study=DOSE_RESPONSE, setting=setting, arm=name,
                )
                for seed in seeds
            ]  # fmt: skip
    return found


def made(tmp_path, outcomes, study=DOSE_RESPONSE):
    recipe, inputs = page_of(tmp_path, outcomes, study=study, title="Worlds")
    build = LocalBuild(inputs, tmp_path / "out", tmp_path / "scratch")
    return write_report(recipe, build).summary, build.out


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    return made(tmp_path_factory.mktemp("worlds"), grid())


def test_every_world_shows_its_own_gain(known):
    summary, _ = known
    assert summary["worlds"] == len(GAINS)
    for (right, long), gain in GAINS.items():
        found = summary[f"{FEW}: q {right:g}, e {100 * long:g} %"]
        assert abs(found - gain) < 0.06, (right, long, found)


def test_start_models_are_counted_once_for_every_world_and_seed(known):
    _, out = known
    num_starts = len(GAINS) * len(SEEDS)
    assert f"{800e9 * num_starts / 1e12:.3g}T of their start models" in (out / "report.md").read_text()


def test_a_grid_is_drawn_as_one_heat_map_a_measure_with_a_cell_a_world(known):
    _, out = known
    text, page = (out / "report.md").read_text(), (out / "report.html").read_text()
    assert "The teacher's quality by exposure" in text
    assert page.count("data:text/csv") == len(MEASURES)
    for measure in MEASURES:
        assert measure.title in page
    assert "“q 1, e 20 %”" in text.split("##")[0]  # the largest gain is named first
    assert "No claim is decided here" in text


def test_the_maps_are_one_picture_by_one_scale_beside_the_text(known):
    _, out = known
    assert "](report.png)" in (out / "report.md").read_text()
    assert (out / "report.png").read_bytes().startswith(b"\x89PNG")
    by_name: dict[str, dict[int, ArmOutcomes]] = {}
    for one in grid():
        by_name.setdefault(one.arm, {})[one.seed] = one
    worlds = read_worlds([Arm(name, by_seed, {}) for name, by_seed in by_name.items()])
    drawn = picture(worlds)
    assert [axes.get_title(loc="left") for axes in drawn.axes] == [one.title for one in MEASURES]
    darkness = {}
    for axes, measure in zip(drawn.axes, MEASURES, strict=True):
        assert len(axes.texts) == len(axes.patches) == len(GAINS)
        for world, cell in zip(worlds, axes.patches, strict=True):
            darkness[cell.get_alpha()] = abs(world.estimate(measure).value)
    shares = [alpha / share for alpha, share in darkness.items() if share]
    assert max(darkness) == pytest.approx(STRONGEST)
    assert np.ptp(shares) < 1e-9


def test_other_texts_are_a_table_without_a_grid(tmp_path):
    outcomes = [
        replace(simulated(f"{world}: {role}", 200, level), study=OTHER_TEXT, setting={"languages": ["zh"]})
        for world in ("Chinese", "noise 30 %")
        for role, level in (("start", 0.3), ("RPT", 0.6))
    ]
    _, out = made(tmp_path, outcomes, OTHER_TEXT)
    assert not (out / "report.png").exists()
    text = (out / "report.md").read_text()
    assert "by exposure" not in text
    assert "| Chinese |" in text
    held = json.loads((out / "report.json").read_text())
    assert held["title"] == "Worlds"


def test_a_gain_is_paired_by_seed_and_leaves_out_a_seed_that_one_side_lacks():
    start = {seed: simulated("w: start", seed, 0.3) for seed in (200, 201)}
    after = {seed: simulated("w: RPT", seed, 0.6) for seed in (201, 202)}
    world = World("w", {}, Arm("w: start", start, {}), Arm("w: RPT", after, {}))
    assert [(one.seed, other.seed) for one, other in world.pairs()] == [(201, 201)]
    four = MEASURES[1].of
    wanted = four(after[201]) - four(start[201])
    found = world.estimate(MEASURES[1])
    assert found is not None
    assert found.value == pytest.approx(wanted)
    keep = start[201].questions.held_I & np.isin(start[201].questions.steps_I, FOUR_STEPS)
    assert four(start[201]) == pytest.approx(start[201].answers.right_IS[keep, :8].mean())


def test_never_solved_counts_questions_without_one_true_chain():
    one = simulated("w: RPT", 200, 0.5)
    held = one.questions.held_I
    none = replace(one.answers, verified_IS=np.zeros_like(one.answers.right_IS))
    some = none.verified_IS.copy()
    some[np.flatnonzero(held)[:3], 5] = True
    assert never_share(replace(one, answers=none)) == 1.0
    found = never_share(replace(one, answers=replace(none, verified_IS=some)))
    assert found == pytest.approx(1 - 3 / held.sum())
    assert np.isnan(never_share(replace(one, answers=replace(none, verified_IS=None))))


@pytest.mark.parametrize("names", [("w: start",), ("w: start", "w: RLP"), ("start", "RPT")])
def test_a_world_without_both_arms_is_refused(names):
    arms = [Arm(name, {200: simulated(name, 200, 0.3)}, {}) for name in names]
    with pytest.raises(RecipeError, match="compares start and RPT in each"):
        read_worlds(arms)


def test_a_world_whose_arms_were_asked_different_questions_is_refused():
    start, after = simulated("w: start", 200, 0.3), simulated("w: RPT", 200, 0.6)
    other = replace(after, questions=replace(after.questions, digest="0" * 16))
    arms = [Arm("w: start", {200: start}, {}), Arm("w: RPT", {200: other}, {})]
    with pytest.raises(RecipeError, match="asked different questions under seed 200"):
        read_worlds(arms)
