"""Intervals of exponents: around what was planted, and none at the end of what is searched."""

import numpy as np
import pytest

from rpt_core.scaling.exponents import WITH_EXPONENT, exponent_ends
from rpt_core.scaling.families import FAMILIES, fit_family
from rpt_core.scaling.points import checked

STEPS = np.array([2.0, 4, 8, 16, 32, 48, 64, 96])
PLANTED = {
    "power law": (0.7 - 0.5 * STEPS**-0.6, 0.6),
    "exponential": (0.8 * np.exp(-1.5 * STEPS**-0.7), 0.7),
    "logistic": (0.75 / (1 + np.exp(-(np.log(STEPS) - 1.5) * 1.2)), 1.2),
}


@pytest.mark.parametrize("law", PLANTED)
@pytest.mark.parametrize("unit", [1.0, 1e15])
def test_the_planted_exponent_lies_inside_its_interval_in_any_unit(law, unit):
    accuracy, exponent = PLANTED[law]
    drawn = np.random.default_rng(3).normal(accuracy, 0.004, (60, 8)).clip(0, 1)
    low, high = exponent_ends(unit * STEPS, accuracy, np.full(8, 0.004), drawn)[law]
    assert low < exponent < high
    assert high - low < exponent
    found = [
        fit_family(checked(unit * STEPS, row, np.full(8, 0.004)), FAMILIES[law]).exponent for row in drawn
    ]
    assert (low, high) == pytest.approx(tuple(np.quantile(found, (0.025, 0.975))))


def test_without_resamples_the_ends_are_those_of_leaving_one_point_out():
    accuracy, exponent = PLANTED["power law"]
    points = checked(STEPS, accuracy + np.array([3, -2, 1, -1, 2, -3, 1, 0]) * 1e-3)
    found = [fit_family(points.without(i), FAMILIES["power law"]).exponent for i in range(8)]
    low, high = exponent_ends(STEPS, points.accuracy)["power law"]
    assert (low, high) == pytest.approx((min(found), max(found)))
    assert low < exponent < high


def test_an_end_of_what_is_searched_is_no_finding():
    """A straight line over the log of compute is the power law of the smallest exponent there is."""
    straight = 0.02 + 0.004 * np.log(STEPS)
    drawn = np.random.default_rng(5).normal(straight, 2e-4, (40, 8))
    low, _ = exponent_ends(STEPS, straight, np.full(8, 2e-4), drawn)["power law"]
    assert low is None


def test_every_law_with_an_exponent_has_its_ends():
    accuracy, _ = PLANTED["power law"]
    assert [family.name for family in WITH_EXPONENT] == ["power law", "exponential", "logistic"]
    assert list(exponent_ends(STEPS, accuracy)) == [family.name for family in WITH_EXPONENT]
    for family in FAMILIES.values():
        curve = fit_family(checked(STEPS, accuracy), family)
        assert (curve.exponent is not None) == (family in WITH_EXPONENT)
