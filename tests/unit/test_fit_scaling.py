"""The stage that fits a law to an evaluation's checkpoints."""

import json

import numpy as np
import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Ref
from rpt_core.scaling.fit import fit_scaling
from rpt_core.scaling.recipe import ScalingRecipe
from tests.unit.evaluation_tables import AFTER, Planted, write_evaluation

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


@pytest.mark.parametrize("milestones", [None, {4: 0.3}, {2: 0.4, 8: 0.6, 16: 0.9}])
def test_too_few_checkpoints_end_undecided(tmp_path, milestones):
    _, out, found = fit(tmp_path, milestones=milestones, planted=Planted(10, 3))
    law = found["tiers"]["easy"]["power_law"]
    assert law["verdict"] == "undecided"
    assert law["parameters"] == {"a": None, "alpha": None, "ceiling": None}
    assert law["curve"] is None
    assert "needs at least 4" in law["reasons"][0]
    assert (out / "curve.png").exists()


def test_flat_training_ends_undecided(tmp_path):
    _, _, found = fit(tmp_path, milestones=dict.fromkeys((2, 4, 8, 16, 32), 0.5), planted=Planted(25, 3))
    assert found["tiers"]["easy"]["power_law"]["verdict"] == "undecided"


def test_without_resamples_intervals_come_from_leaving_points_out(tmp_path):
    recipe = RECIPE.model_copy(update={"resamples": 0})
    _, _, found = fit(tmp_path, recipe, milestones=MILESTONES, planted=Planted(25, 3))
    law = found["tiers"]["easy"]["power_law"]
    assert law["interval"] in ("leave-one-out", "none")
    assert np.isfinite(found["tiers"]["easy"]["exponential"]["c"])
