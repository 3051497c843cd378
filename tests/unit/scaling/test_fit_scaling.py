"""The stage that fits a law to an evaluation's checkpoints."""

import json

import numpy as np
import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Ref
from rpt_core.recipes.scaling import ScalingRecipe
from rpt_core.scaling.families import FAMILIES
from rpt_core.scaling.fit import fit_scaling
from tests.unit.evaluation.tables import AFTER, Planted, write_evaluation

RECIPE = ScalingRecipe(evaluation=Ref(ref="x@1"), resamples=100)
MILESTONES = {step: float(1 - 0.7 * step**-0.8) for step in (2, 4, 8, 16, 32, 48)}


def fit(tmp_path, recipe=RECIPE, **options):
    folder = write_evaluation(tmp_path / "evaluation", AFTER, **options)
    build = LocalBuild({"evaluation": folder}, tmp_path / "out", tmp_path / "scratch")
    outcome = fit_scaling(recipe, build)
    return outcome, build.out, json.loads((build.out / "fit.json").read_text())


def test_a_rising_training_is_fitted_and_drawn(tmp_path):
    outcome, out, found = fit(tmp_path, milestones=MILESTONES, seed=1)
    hard = found["tiers"]["hard"]
    assert [point["step"] for point in hard["points"]] == list(MILESTONES)
    assert [point["gflops"] for point in hard["points"]] == pytest.approx([step / 10 for step in MILESTONES])
    law = found["tiers"]["easy"]["power_law"]
    assert law["verdict"] == "fits"
    assert law["interval"] == "bootstrap"
    assert law["r_squared"] > 0.9
    assert law["parameters"]["alpha"]["low"] <= 0.8 <= law["parameters"]["alpha"]["high"]
    assert outcome.summary["easy_verdict"] == "fits"
    assert (out / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_evaluation_gives_the_same_bytes(tmp_path):
    few = {"milestones": MILESTONES, "planted": Planted(20, 3)}
    _, first, _ = fit(tmp_path / "a", **few)
    _, second, _ = fit(tmp_path / "b", **few)
    for name in ("fit.json", "curve.png"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_parameters_and_their_ends_are_in_the_summary_and_the_law_is_named_or_not(tmp_path):
    low = {step: float(0.8 - 0.5 * step**-0.8) for step in (2, 4, 8, 16, 32, 48)}
    outcome, _, found = fit(tmp_path, milestones=low, seed=1)
    summary, easy = outcome.summary, found["tiers"]["easy"]
    law = easy["power_law"]["parameters"]
    for name, shown in (("alpha", "alpha"), ("a", "a"), ("ceiling", "p_star")):
        assert summary[f"easy_{shown}"] == law[name]["value"]
        assert summary[f"easy_{shown}_low"] == law[name]["low"] <= law[name]["value"]
        assert summary[f"easy_{shown}_high"] == law[name]["high"] >= law[name]["value"]
    assert law["ceiling"]["high"] < 1
    assert summary["easy_law_verdict"] == easy["law_verdict"]
    assert easy["law_verdict"] in ("power law", "undecided")
    assert {one["name"] for one in easy["laws"]} == set(FAMILIES)
    assert [one["aicc"] for one in easy["laws"]] == sorted(one["aicc"] for one in easy["laws"])
    assert summary["easy_logistic_aicc"] in [one["aicc"] for one in easy["laws"]]
    for law in easy["laws"]:
        name = f"easy_{law['name'].replace(' ', '_')}_exponent"
        told = law["exponent"] is not None and not law["on_bound"]
        assert summary[name] == (law["exponent"] if told else None)
        ends = [summary[f"{name}{end}"] for end in ("_low", "_high")]
        assert (ends == [None, None]) == (not told)
    low, high = (summary[f"easy_power_law_exponent{end}"] for end in ("_low", "_high"))
    assert low < summary["easy_power_law_exponent"] < high
    assert (low, high) == pytest.approx((summary["easy_alpha_low"], summary["easy_alpha_high"]), rel=1e-3)
    verdicts = {tier["law_verdict"] for tier in found["tiers"].values()}
    assert found["law_verdict"] == summary["law_verdict"]
    assert found["law_verdict"] in verdicts or "easy: " in found["law_verdict"]


def test_few_documents_are_not_resampled(tmp_path):
    _, _, found = fit(tmp_path, milestones=MILESTONES, planted=Planted(9, 30))
    assert found["tiers"]["easy"]["power_law"]["interval"] in ("leave-one-out", "none")


@pytest.mark.parametrize("milestones", [None, {4: 0.3}, {2: 0.4, 8: 0.6, 16: 0.9}])
def test_too_few_checkpoints_end_undecided(tmp_path, milestones):
    outcome, out, found = fit(tmp_path, milestones=milestones, planted=Planted(10, 3))
    law = found["tiers"]["easy"]["power_law"]
    assert law["verdict"] == "undecided"
    assert law["parameters"] == {"a": None, "alpha": None, "ceiling": None}
    assert law["curve"] is None
    assert (outcome.summary["law_verdict"], found["law_verdict"]) == ("undecided", "undecided")
    assert outcome.summary["easy_alpha"] is outcome.summary["easy_p_star_low"] is None
    assert ("needs at least 4" if milestones else "no checkpoint") in law["reasons"][0]
    assert (out / "curve.png").exists()


def test_flat_training_ends_undecided(tmp_path):
    _, _, found = fit(tmp_path, milestones=dict.fromkeys((2, 4, 8, 16, 32), 0.5), planted=Planted(25, 3))
    assert found["tiers"]["easy"]["power_law"]["verdict"] == "undecided"


def test_without_resamples_intervals_come_from_leaving_points_out(tmp_path):
    recipe = RECIPE.model_copy(update={"resamples": 0})
    _, _, found = fit(tmp_path, recipe, milestones=MILESTONES, planted=Planted(25, 3))
    law = found["tiers"]["easy"]["power_law"]
    assert law["verdict"] == "fits"
    assert law["interval"] == "leave-one-out"
    for name in ("alpha", "ceiling"):
        ends = law["parameters"][name]
        assert ends["low"] <= ends["value"] <= ends["high"]
    assert np.isfinite(found["tiers"]["easy"]["exponential"]["c"])
