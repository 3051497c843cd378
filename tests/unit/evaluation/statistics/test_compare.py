"""Paired tests against enumeration, SciPy and statsmodels."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from rpt_core.errors import RecipeError
from rpt_core.evaluation.runs import compare_runs
from rpt_core.evaluation.statistics.compare import (
    Claim,
    PairedItems,
    compare,
    decide,
    holm,
    pair_items,
    sign_flip_p,
)
from rpt_core.evaluation.statistics.intervals import cluster_totals, clustered_mean


def enumerated_p(totals):
    """All sign patterns, written out."""
    signs = np.array(list(product([-1, 1], repeat=len(totals))))
    return float(np.mean(np.abs(signs @ totals) >= abs(np.sum(totals)) - 1e-9))


@pytest.mark.parametrize("seed", range(8))
def test_exact_test_equals_enumeration_on_eighths(seed):
    rng = np.random.default_rng(seed)
    totals = rng.integers(-8, 9, size=11) / 8
    assert sign_flip_p(totals) == pytest.approx(enumerated_p(totals), abs=1e-12)


def test_exact_test_equals_enumeration_off_the_eighths():
    totals = np.random.default_rng(1).integers(-8, 9, size=10) / 8 - 0.15 * np.arange(10)
    assert sign_flip_p(totals) == pytest.approx(enumerated_p(totals), abs=1e-12)


def test_exact_test_equals_scipy():
    rng = np.random.default_rng(2)
    totals = rng.integers(-3, 5, size=10).astype(float)
    theirs = stats.permutation_test(
        (totals, np.zeros(10)), lambda a, b, axis: np.sum(a - b, axis=axis), permutation_type="samples",
        n_resamples=np.inf, vectorized=True,
    )  # fmt: skip
    assert sign_flip_p(totals) == pytest.approx(theirs.pvalue)


def test_drawn_signs_are_close_to_enumeration_for_totals_on_no_grid():
    totals = np.random.default_rng(3).normal(0.4, 1, size=12)
    assert sign_flip_p(totals) == pytest.approx(enumerated_p(totals), abs=0.012)


def test_many_clusters_agree_with_the_normal_limit():
    totals = np.random.default_rng(4).integers(-8, 10, size=400) / 8
    score = totals.sum() / np.sqrt((totals**2).sum())
    assert sign_flip_p(totals) == pytest.approx(2 * stats.norm.sf(abs(score)), rel=0.05)


def test_nothing_changed_is_p_one_and_never_zero():
    assert sign_flip_p([0.0, 0.0]) == 1.0
    assert sign_flip_p(np.ones(300)) == pytest.approx(2.0**-299)


def test_exact_test_keeps_its_level():
    rng = np.random.default_rng(5)
    p_values = [sign_flip_p((rng.binomial(8, 0.4, 40) - rng.binomial(8, 0.4, 40)) / 8) for _ in range(2000)]
    assert 0.035 <= np.mean(np.array(p_values) <= 0.05) <= 0.062


def random_pair(rng, gain, num_clusters=40):
    clusters = np.repeat(np.arange(num_clusters), 3).astype(str)
    chance = rng.beta(2, 3, num_clusters)[clusters.astype(int)]
    before = rng.binomial(8, chance) / 8
    after = rng.binomial(8, np.clip(chance + gain, 0, 1)) / 8
    return PairedItems(before, after, clusters)


def test_sign_test_is_scipys_binomial():
    result = compare(random_pair(np.random.default_rng(6), 0.1))
    theirs = stats.binomtest(result.num_better, result.num_better + result.num_worse).pvalue
    assert result.sign_p_value == pytest.approx(theirs)
    assert result.difference.value == pytest.approx(result.after.value - result.before.value)


def test_pairing_is_tighter_than_two_intervals():
    rng = np.random.default_rng(7)
    clusters = np.arange(60).astype(str)
    before = rng.random(60)
    result = compare(PairedItems(before, before + 0.05, clusters, are_shares=False))
    assert result.difference.standard_error < 0.001 < result.before.standard_error


@pytest.mark.parametrize(
    ("repeats", "low", "high"), [(400, 0.91, 0.98), pytest.param(1500, 0.92, 0.97, marks=pytest.mark.long)]
)
def test_paired_interval_covers(repeats, low, high):
    rng = np.random.default_rng(8)
    hits = 0
    for _ in range(repeats):
        chance = 0.9 * rng.beta(2, 6, 50)
        items = PairedItems(rng.binomial(8, chance) / 8, rng.binomial(8, chance + 0.1) / 8, np.arange(50))
        found = compare(items).difference
        hits += found.low <= 0.1 <= found.high
    assert low <= hits / repeats <= high


@pytest.mark.parametrize("seed", range(4))
def test_holm_equals_statsmodels(seed):
    p_values = np.random.default_rng(seed).random(7) ** 3
    assert holm(p_values.tolist()) == pytest.approx(multipletests(p_values, method="holm")[1])
    assert holm([]) == []


def test_a_drawn_test_counts_the_pattern_that_was_seen():
    totals = np.random.default_rng(4).normal(3, 0.1, size=60)
    assert sign_flip_p(totals) == 1 / 20_001


def test_a_claim_is_tested_against_its_own_threshold():
    """A gain just above what is asked: surely more than none, but not surely more than that."""
    items = random_pair(np.random.default_rng(9), 0.2)
    gain = float(items.differences.mean())
    asked = [0.0, gain - 0.005, gain + 0.005, gain + 0.2]
    decisions = decide([Claim(f"{least:g}", items, at_least=least) for least in asked])
    assert [d.verdict for d in decisions] == ["holds", "undecided", "undecided", "fails"]
    assert [d.difference.value for d in decisions] == pytest.approx([gain] * 4)
    totals = cluster_totals(items.differences - asked[3], items.clusters)[:, 0]
    assert decisions[3].p_value == pytest.approx(sign_flip_p(totals))


def test_clusters_are_counted_by_the_side_they_moved_to():
    items = PairedItems(
        np.array([0.0, 1.0, 0.5, 0.0]), np.array([1.0, 0.0, 0.5, 1.0]), np.array(list("aabc"))
    )
    found = compare(items)
    assert (found.num_better, found.num_worse) == (1, 0)
    assert found.sign_p_value == 1.0


def test_claims_hold_fail_or_stay_open():
    rng = np.random.default_rng(9)
    items = random_pair(rng, 0.2)
    noise = random_pair(rng, 0.0)
    decisions = decide(
        [Claim("gain", items), Claim("huge gain", items, at_least=0.5), Claim("no gain", noise)]
    )
    assert [d.verdict for d in decisions] == ["holds", "fails", "undecided"]
    assert all(d.adjusted_p_value >= d.p_value for d in decisions)
    assert decisions[0].difference.low > 0


def test_many_claims_are_harder_to_hold_than_one():
    items = random_pair(np.random.default_rng(10), 0.055)
    alone = decide([Claim("gain", items)])[0]
    among = decide([Claim("gain", items)] * 100)[0]
    assert alone.verdict == "holds"
    assert among.verdict == "undecided"


def test_different_items_cannot_be_paired():
    with pytest.raises(RecipeError, match=r"2 and 2 items, 2 of them in one only \(such as b\)"):
        pair_items({"a": (1, "x"), "b": (0, "x")}, {"a": (1, "x"), "c": (0, "y")})
    with pytest.raises(RecipeError, match="cannot be paired"):
        pair_items({}, {})


def test_pairs_are_lined_up_by_name():
    items = pair_items({"b": (0.0, "y"), "a": (1.0, "x")}, {"a": (0.5, "x"), "b": (0.5, "y")})
    assert items.differences.tolist() == [-0.5, 0.5]
    assert items.clusters.tolist() == ["x", "y"]


@pytest.mark.parametrize("num", [1, 2, 3, 7, 40])
def test_a_p_value_is_none_above_one(num):
    assert sign_flip_p(np.zeros(num)) == 1.0
    for seed in range(20):
        totals = np.random.default_rng(seed).integers(-1, 2, num) / 3
        assert 2.0 ** (1 - num) <= sign_flip_p(totals) <= 1.0


@pytest.mark.parametrize("sign", [1, -1])
def test_an_interval_of_few_documents_stays_within_what_shares_can_differ_by(sign):
    documents = np.array(["a", "b"])
    low, high = np.array([0.0, 0.0]), np.array([1.0, 0.1])
    before, after = (low, high) if sign > 0 else (high, low)
    items = PairedItems(before, after, documents)
    whole = clustered_mean(items.differences, documents)
    assert max(abs(whole.low), abs(whole.high)) > 1, "Student's interval reaches beyond"
    (decision,) = decide([Claim("it differs", items)])
    for found in (compare(items).difference, decision.difference):
        assert -1 <= found.low <= found.value <= found.high <= 1
        assert (found.low, found.high) == (max(whole.low, -1), min(whole.high, 1)), "cut, and not moved"
    assert compare(replace(items, are_shares=False)).difference == whole, "lengths have no such ends"
    seeds = compare_runs({0: 0.0, 1: 0.0}, {0: 1.0, 1: 0.1}).difference
    assert (seeds.low, seeds.high) == (-1, 1)
