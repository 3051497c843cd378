"""Clustered errors against statsmodels, intervals against known truth."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from rpt_core.evaluation.statistics.intervals import (
    FEWEST_CLUSTERS,
    cluster_bootstrap,
    cluster_totals,
    clustered_mean,
    clustered_ratio,
    expanded_levels,
)


def clustered_table(rng, chance, num_clusters, *, alike=0.2, samples=8, most_items=7):
    """Items of a cluster share its chance of being right: beta-binomial, unequal clusters."""
    shape = (1 - alike) / alike
    chance_G = rng.beta(chance * shape, (1 - chance) * shape, num_clusters)
    size_G = rng.integers(1, most_items + 1, num_clusters)
    clusters = np.repeat(np.arange(num_clusters), size_G)
    return rng.binomial(samples, chance_G[clusters]) / samples, clusters


@pytest.mark.parametrize("seed", range(5))
def test_standard_error_equals_statsmodels(seed):
    rng = np.random.default_rng(seed)
    values, clusters = rng.normal(size=200), rng.integers(0, 23, 200)
    fit = sm.OLS(values, np.ones(200)).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": True}, use_t=True
    )
    ours = clustered_mean(values, clusters)
    assert ours.value == pytest.approx(fit.params[0])
    assert ours.standard_error == pytest.approx(fit.bse[0], rel=1e-10)
    assert (ours.low, ours.high) == pytest.approx(tuple(fit.conf_int()[0]), rel=1e-10)


def test_one_item_per_cluster_is_the_textbook_t_interval():
    values = np.random.default_rng(3).normal(size=40)
    ours = clustered_mean(values, np.arange(40))
    low, high = stats.t.interval(0.95, 39, values.mean(), stats.sem(values))
    assert (ours.low, ours.high) == pytest.approx((low, high))


def test_a_ratio_equals_weighted_least_squares():
    rng = np.random.default_rng(4)
    weight, clusters = rng.integers(0, 9, 300).astype(float), rng.integers(0, 30, 300)
    hits = rng.binomial(weight.astype(int), 0.4).astype(float)
    kept = weight > 0
    fit = sm.WLS(hits[kept] / weight[kept], np.ones(kept.sum()), weights=weight[kept]).fit(
        cov_type="cluster", cov_kwds={"groups": clusters[kept], "use_correction": True}
    )
    ours = clustered_ratio(hits, weight, clusters)
    assert ours.value == pytest.approx(fit.params[0])
    assert ours.standard_error == pytest.approx(fit.bse[0], rel=1e-9)
    assert ours.num_items == kept.sum()


def test_independent_proportion_is_close_to_clopper_pearson():
    values = np.array([1.0] * 30 + [0.0] * 70)
    ours = clustered_mean(values, np.arange(100), proportion=True)
    exact = stats.binomtest(30, 100).proportion_ci(method="exact")
    assert (ours.low, ours.high) == pytest.approx((exact.low, exact.high), abs=0.004)


def test_all_right_is_not_certainty():
    ours = clustered_mean(np.ones(40), np.arange(40), proportion=True)
    assert (ours.value, ours.high) == (1.0, 1.0)
    assert 0.90 < ours.low < 0.92
    none = clustered_mean(np.zeros(40), np.arange(40), proportion=True)
    assert (none.low, none.high) == pytest.approx((0.0, 1 - ours.low))


def test_one_cluster_has_a_value_and_no_interval():
    ours = clustered_mean([0.2, 0.4], ["a", "a"])
    assert ours.value == pytest.approx(0.3)
    assert (ours.standard_error, ours.low, ours.high) == (None, None, None)


def test_nothing_to_divide_by_raises():
    with pytest.raises(ValueError, match="no item has a positive denominator"):
        clustered_ratio([0, 0], [0, 0], ["a", "b"])
    with pytest.raises(ValueError, match="one label per item"):
        cluster_totals([1.0, 2.0], ["a"])


def test_bootstrap_error_agrees_with_the_formula():
    values, clusters = clustered_table(np.random.default_rng(5), 0.4, 80)
    totals = cluster_totals(np.column_stack([values, np.ones_like(values)]), clusters)
    drawn = cluster_bootstrap(totals, lambda t: t[:, 0] / t[:, 1], resamples=4000)
    formula = clustered_mean(values, clusters)
    assert drawn.value == pytest.approx(formula.value)
    assert drawn.standard_error == pytest.approx(formula.standard_error, rel=0.06)
    assert (drawn.low, drawn.high) == pytest.approx((formula.low, formula.high), abs=0.012)


def test_bootstrap_is_a_function_of_its_seed():
    totals = np.random.default_rng(6).random((20, 2)) + 1
    first, again, other = (
        cluster_bootstrap(totals, lambda t: t[:, 0] / t[:, 1], resamples=200, seed=s) for s in (1, 1, 2)
    )
    assert first == again != other


def test_bootstrap_of_something_mostly_undefined_has_no_interval():
    totals = np.zeros((30, 2))
    totals[0] = 1, 1
    result = cluster_bootstrap(totals, lambda t: t[:, 0] / t[:, 1])
    assert result.value == 1
    assert result.low is None
    with pytest.raises(ValueError, match="nan"), np.errstate(invalid="ignore"):
        cluster_bootstrap(totals[1:], lambda t: t[:, 0] / t[:, 1])


def test_expanded_levels_tend_to_the_plain_ones():
    assert expanded_levels(100_000)[0] == pytest.approx(0.025, abs=1e-5)
    assert expanded_levels(8)[0] < 0.01


def coverage(interval, chance, num_clusters, repeats, seed=0):
    rng = np.random.default_rng(seed)
    hits = 0
    for _ in range(repeats):
        low, high = interval(*clustered_table(rng, chance, num_clusters))
        hits += low <= chance <= high
    return hits / repeats


def mean_interval(values, clusters):
    found = clustered_mean(values, clusters)
    return found.low, found.high


def proportion_interval(values, clusters):
    found = clustered_mean(values, clusters, proportion=True)
    return found.low, found.high


def bootstrap_interval(values, clusters):
    totals = cluster_totals(np.column_stack([values, np.ones_like(values)]), clusters)
    found = cluster_bootstrap(totals, lambda t: t[:, 0] / t[:, 1], resamples=300)
    return found.low, found.high


@pytest.mark.parametrize("interval", [mean_interval, proportion_interval, bootstrap_interval])
def test_intervals_cover_the_truth(interval):
    assert 0.92 <= coverage(interval, 0.4, 60, repeats=1200) <= 0.97


def test_items_taken_as_independent_would_not_cover():
    """The check can fail: forgetting the clusters loses coverage on the same tables."""

    def naive(values, _clusters):
        return mean_interval(values, np.arange(len(values)))

    assert coverage(naive, 0.4, 60, repeats=1500) < 0.90


OFTEN = [pytest.param(3000, 0.92, 0.97, marks=pytest.mark.long), (600, 0.91, 0.98)]
"""Repeats, and what share may cover: the standard error of a share of 0.95 is 0.004 and 0.009."""


@pytest.mark.slow
@pytest.mark.parametrize(("repeats", "low", "high"), OFTEN)
@pytest.mark.parametrize("interval", [mean_interval, proportion_interval, bootstrap_interval])
@pytest.mark.parametrize("num_clusters", [30, 120])
@pytest.mark.parametrize("chance", [0.2, 0.5, 0.8])
def test_intervals_cover_the_truth_widely(interval, num_clusters, chance, repeats, low, high):
    assert low <= coverage(interval, chance, num_clusters, repeats) <= high


@pytest.mark.slow
@pytest.mark.parametrize(("repeats", "low", "high"), OFTEN)
@pytest.mark.parametrize("chance", [0.1, 0.9])
@pytest.mark.parametrize("num_clusters", [20, 60])
def test_proportions_cover_near_the_border(chance, num_clusters, repeats, low, high):
    assert low <= coverage(proportion_interval, chance, num_clusters, repeats) <= high


@pytest.mark.parametrize("num_clusters", [2, 3, 12, 40])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.875, 1.0])
@pytest.mark.parametrize("proportion", [True, False])
def test_clusters_that_agree_are_no_certainty(num_clusters, share, proportion):
    """As wide as if one answer had come out otherwise, at least; inside [0, 1] for a proportion."""
    values, clusters = np.full(3 * num_clusters, share), np.repeat(np.arange(num_clusters), 3)
    found = clustered_mean(values, clusters, proportion=proportion)
    step = min(share or 1.0, (1 - share) or 1.0) if proportion else share or 1.0
    assert found.standard_error >= step / len(values) * (1 - 1e-9)
    assert max(found.high - share, share - found.low) >= step / len(values)
    if proportion:
        assert 0 <= found.low <= share <= found.high <= 1
    other = values.copy()
    other[0] += step if share + step <= 1 else -step
    assert found.standard_error == pytest.approx(clustered_mean(other, clusters).standard_error, rel=1e-6)


def test_differences_that_agree_are_no_certainty():
    found = clustered_mean([0.1, 0.1], ["a", "b"])
    assert found.low < 0 < found.high
    none = clustered_mean(np.zeros(12), np.arange(12))
    assert none.low < -1 / 12
    assert none.high > 1 / 12


def test_the_floor_has_the_unit_of_the_values():
    rng = np.random.default_rng(8)
    values, clusters = rng.normal(size=60), np.arange(60) // 3
    small, large = clustered_mean(1e-6 * values, clusters), clustered_mean(values, clusters)
    assert small.standard_error == pytest.approx(1e-6 * large.standard_error)
    same = clustered_mean(np.full(30, 1e-6), np.arange(30))
    assert same.standard_error == pytest.approx(1e-6 / 30)


@pytest.mark.parametrize("chance", [0.5, 0.97])
def test_few_clusters_that_mostly_agree_are_covered(chance):
    """With one answer a cluster, all alike in many draws: a width of zero there would never cover."""
    rng, hits = np.random.default_rng(9), 0
    for _ in range(600):
        values = np.repeat(rng.random(6) < chance, 2).astype(float)
        found = clustered_mean(values, np.arange(12) // 2, proportion=True)
        hits += found.low <= chance <= found.high
    assert hits / 600 >= 0.93


@pytest.mark.parametrize("num_clusters", [2, 9, 10])
def test_a_bootstrap_of_few_clusters_has_no_interval(num_clusters):
    totals = np.random.default_rng(7).random((num_clusters, 2)) + 1
    found = cluster_bootstrap(totals, lambda t: t[:, 0] / t[:, 1])
    assert found.value == pytest.approx(totals[:, 0].sum() / totals[:, 1].sum())
    known = num_clusters >= FEWEST_CLUSTERS == 10
    assert (found.low is not None, found.high is not None, found.standard_error is not None) == (known,) * 3


def test_a_bootstrap_of_clusters_that_agree_is_no_certainty():
    totals = np.tile([6.0, 6.0, 3.0], (12, 1))
    found = cluster_bootstrap(totals, lambda t: t[:, 0] / t[:, 1] - t[:, 2] / t[:, 1])
    assert found.value == 0.5
    assert found.high - 0.5 == pytest.approx(0.5 - found.low)
    assert found.high - 0.5 >= stats.t.ppf(0.975, 11) * 3 / 72
