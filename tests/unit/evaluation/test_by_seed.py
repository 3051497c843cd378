"""Seeds as the unit: intervals, equivalence and one error rate, beside independent computations; power."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW

from rpt_core.evaluation.by_seed import SeedClaim, decide_by_seed, interval, pooled_deviation
from rpt_core.evaluation.statistics.power import half_width, power, seeds_needed, smallest_detectable

RNG = np.random.default_rng(5)
DRAWN = [tuple(RNG.normal(mean, 0.03, 8)) for mean in (0.0, 0.05, 0.2, -0.1)]
PRINTED = {
    (0.05, 0.8): (1.16, 3.47, 5.78, 0.75, 2.25, 3.75),
    (0.0125, 0.8): (1.53, 4.59, 7.66, 0.93, 2.80, 4.67),
    (0.00625, 0.8): (1.74, 5.21, 8.68, 1.02, 3.07, 5.12),
    (0.05, 0.9): (1.34, 4.03, 6.71, 0.87, 2.60, 4.34),
}
"""By error rate and power: SD 1, 3 and 5 points at 8 seeds, then at 16 (the study's plan, section 8)."""


@pytest.mark.parametrize("drawn", DRAWN)
def test_above_and_below_are_the_t_test_against_the_threshold(drawn):
    wanted = stats.ttest_1samp(drawn, 0.05)
    low, high = stats.ttest_1samp(drawn, 0.0).confidence_interval(0.95)
    for direction in ("above", "below"):
        (found,) = decide_by_seed([SeedClaim("x", drawn, 0.05, direction)])
        assert found.p_value == pytest.approx(wanted.pvalue, rel=1e-9)
        assert (found.difference.low, found.difference.high) == pytest.approx((low, high))
        beyond = low > 0.05 if direction == "above" else high < 0.05
        against = high < 0.05 if direction == "above" else low > 0.05
        assert found.verdict == ("holds" if beyond else "fails" if against else "undecided")


@pytest.mark.parametrize("drawn", [tuple(RNG.normal(mean, 0.008, 8)) for mean in (0.0, 0.012, 0.05, -0.04)])
def test_within_is_two_one_sided_tests_and_an_interval_of_ninety_percent(drawn):
    claim = SeedClaim("x", drawn, 0.02, "within")
    (found,) = decide_by_seed([claim])
    low, high = stats.ttest_1samp(drawn, 0.0).confidence_interval(0.90)
    assert (found.difference.low, found.difference.high) == pytest.approx((low, high))
    if abs(np.mean(drawn)) < 0.02:
        assert found.p_value == pytest.approx(DescrStatsW(drawn).ttost_mean(-0.02, 0.02)[0], rel=1e-9)
        assert (found.verdict == "holds") == (low > -0.02 and high < 0.02)
    else:
        assert found.verdict == ("fails" if found.p_value < 0.05 else "undecided")


def test_several_claims_share_one_error_rate():
    differences = (0.10, 0.14, 0.08, 0.16)
    alone = decide_by_seed([SeedClaim("x", differences, 0.05)])[0]
    among = decide_by_seed([SeedClaim(str(n), differences, 0.05) for n in range(6)])[0]
    assert alone.verdict == "holds"
    assert among.verdict == "undecided"
    assert among.adjusted_p_value == pytest.approx(6 * alone.p_value)


def test_one_seed_decides_nothing_and_seeds_that_agree_are_no_certainty():
    assert decide_by_seed([SeedClaim("x", (0.5,), 0.1)])[0].verdict == "undecided"
    same = SeedClaim("x", (0.11,) * 8, 0.10, least_error=0.01)
    assert decide_by_seed([same])[0].verdict == "undecided"
    assert interval(same).high - interval(same).low > 0.04


@pytest.mark.parametrize(("rates", "printed"), PRINTED.items())
def test_smallest_difference_is_the_plans_table(rates, printed):
    found = [smallest_detectable(sd, seeds, *rates) for seeds in (8, 16) for sd in (1, 3, 5)]
    assert found == pytest.approx(printed, abs=0.01)


def test_half_widths_and_seeds_needed_are_the_plans():
    assert [half_width(3, seeds) for seeds in (3, 5, 8, 16)] == pytest.approx(
        [7.45, 3.72, 2.51, 1.60], abs=0.01
    )
    assert [seeds_needed(*one) for one in ((3, 3), (2, 3), (3, 5), (2, 5))] == [10, 20, 24, 52]


@pytest.mark.parametrize(("size", "seeds"), [(1.0, 8), (2.5, 5), (0.4, 16), (6.0, 3)])
def test_power_is_that_of_another_package(size, seeds):
    wanted = TTestPower().power(size, seeds, 0.05, alternative="two-sided")
    assert power(size, 1.0, seeds) == pytest.approx(wanted, abs=2e-3)  # less its wrong side


def test_the_pooled_deviation_knows_nothing_of_how_arms_differ():
    arms = RNG.normal(0, 0.03, (5, 8))
    shifted = arms + np.arange(5)[:, None]
    assert pooled_deviation(arms) == pytest.approx(pooled_deviation(shifted))
    assert pooled_deviation(arms) == pytest.approx(np.sqrt(np.mean(arms.var(axis=1, ddof=1))))
    with pytest.raises(ValueError, match="at least two"):
        pooled_deviation([[0.1], [0.2]])
