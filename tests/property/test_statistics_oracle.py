"""Statistics beside independent ones: scipy, statsmodels, or every possible outcome written out."""

from dataclasses import replace
from itertools import combinations, product
from math import comb, prod

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from rpt_core.errors import RecipeError
from rpt_core.evaluation.items import ItemRow, as_table
from rpt_core.evaluation.populations import sampling_variance, whole_benchmark
from rpt_core.evaluation.runs import compare_runs, over_runs
from rpt_core.evaluation.scores import accuracy, outcomes
from rpt_core.evaluation.statistics.compare import PairedItems, compare, holm, mcnemar_p, sign_flip_p
from rpt_core.evaluation.statistics.intervals import clustered_mean, one_answer
from rpt_core.evaluation.statistics.passk import pass_at_k

FEW = settings(max_examples=25)
EIGHTHS = st.integers(0, 8).map(lambda number: number / 8)


@FEW
@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_all_subsets_with_a_right_sample(sizes):
    num, right, k = sizes
    subsets = list(combinations([True] * right + [False] * (num - right), k))
    assert len(subsets) == comb(num, k)
    assert pass_at_k(num, right, k) == pytest.approx(np.mean([any(some) for some in subsets]))


def robust_error(scores, groups) -> float:
    """White's cluster-robust error of a regression on a constant, by statsmodels."""
    codes = np.unique(groups, return_inverse=True)[1]
    fit = sm.OLS(np.asarray(scores), np.ones(len(scores))).fit(
        cov_type="cluster", cov_kwds={"groups": codes, "use_correction": False}
    )
    num = len(np.unique(codes))
    return float(fit.bse[0]) * np.sqrt(num / (num - 1))


nested_rows = st.lists(
    st.tuples(st.booleans(), st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), min_size=4, max_size=30
).filter(lambda rows: len({category for _, _, _, category in rows}) > 1)


@FEW
@given(nested_rows)
def test_the_error_of_nested_items_is_that_of_the_outermost_level(rows):
    """Questions in passages, in subjects, in categories: the sandwich over categories, and no other."""
    items = [
        ItemRow(
            checkpoint="final", step=None, gflops=None, mode="quiz", item_id=f"{number:03d}",
            doc_id=f"{passage}.{subject}.{category}", position=None, entropy_nats=None, tier="", sample=0,
            verdict="correct" if right else "wrong", score=float(right), thinks=False, thought_tokens=0,
            answer_tokens=1, first_token=None, prediction="", truth="",
            subject=f"{subject}.{category}", category=str(category),
        )
        for number, (right, passage, subject, category) in enumerate(rows)
    ]  # fmt: skip
    scores = [item.score for item in items]
    categories, subjects = [item.category for item in items], [item.subject for item in items]
    found = accuracy(outcomes(as_table(items), "quiz"))
    assert found.value == pytest.approx(np.mean(scores))
    assert found.num_clusters == len(set(categories))
    floor = 1 / len(items)
    assert found.standard_error == pytest.approx(max(robust_error(scores, categories), floor))
    inner = accuracy(outcomes(as_table([replace(one, category=None) for one in items]), "quiz"))
    assert inner.standard_error == pytest.approx(max(robust_error(scores, subjects), floor))


@FEW
@given(st.lists(st.tuples(EIGHTHS, EIGHTHS, st.integers(0, 6)), min_size=3, max_size=24))
def test_a_paired_comparison_is_that_of_the_libraries(rows):
    before, after, documents = (np.array(column) for column in zip(*rows, strict=True))
    found = compare(PairedItems(before, after, documents.astype(str)))
    differences = after - before
    totals = np.array([differences[documents == one].sum() for one in np.unique(documents)])
    assert found.difference.value == pytest.approx(differences.mean())
    if len(totals) > 1:
        least = one_answer(differences) / len(rows)
        error = max(robust_error(differences, documents), least)
        assert found.difference.standard_error == pytest.approx(error)
        ends = stats.t.interval(0.95, len(totals) - 1, differences.mean(), error)
        low, high = np.clip(ends, -1.0, 1.0)  # shares differ by no more
        assert (found.difference.low, found.difference.high) == pytest.approx((low, high))
    signs = np.array(list(product([-1, 1], repeat=len(totals))))
    as_far = np.abs(signs @ totals) >= abs(totals.sum()) - 1e-9
    assert sign_flip_p(totals) == pytest.approx(as_far.mean()) == pytest.approx(found.p_value)
    up, down = int((totals > 0).sum()), int((totals < 0).sum())
    expected = stats.binomtest(up, up + down).pvalue if up + down else 1.0
    assert found.sign_p_value == pytest.approx(expected)


@FEW
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_mcnemar_is_statsmodels(pairs):
    before, after = (np.array(column, float) for column in zip(*pairs, strict=True))
    items = PairedItems(before, after, np.arange(len(pairs)).astype(str))
    table = [[sum(1 for p in pairs if p == (a, b)) for b in (True, False)] for a in (True, False)]
    expected = mcnemar(table, exact=True).pvalue if table[0][1] + table[1][0] else 1.0
    assert mcnemar_p(items) == pytest.approx(float(expected))
    assert compare(items).sign_p_value == pytest.approx(float(expected))  # one item a cluster
    assert mcnemar_p(replace(items, after=after / 2 + 0.25)) is None


@FEW
@given(st.lists(st.integers(1, 999).map(lambda number: number / 999), min_size=1, max_size=12))
def test_holm_is_statsmodels(p_values):
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


seeds = st.dictionaries(st.integers(0, 99), st.tuples(EIGHTHS, EIGHTHS), min_size=2, max_size=9)


@FEW
@given(seeds)
def test_runs_are_compared_by_a_paired_t_test(runs):
    before = {seed: pair[0] for seed, pair in runs.items()}
    after = {seed: pair[1] for seed, pair in runs.items()}
    differences = np.array([after[seed] - before[seed] for seed in sorted(runs)])
    found = compare_runs(before, after)
    assert found.difference.value == pytest.approx(differences.mean(), abs=1e-12)
    if differences.std() == 0:
        assert found.p_value is None
        return
    theirs = stats.ttest_rel([after[seed] for seed in sorted(runs)], [before[seed] for seed in sorted(runs)])
    low, high = np.clip(theirs.confidence_interval(0.95), -1.0, 1.0)  # shares differ by no more
    assert found.p_value == pytest.approx(theirs.pvalue)
    assert (found.difference.low, found.difference.high) == pytest.approx((low, high))


def test_runs_of_other_seeds_cannot_be_paired_and_one_has_no_interval():
    with pytest.raises(RecipeError, match=r"the seeds are \[0\] and \[1\]"):
        compare_runs({0: 0.5}, {1: 0.5})
    with pytest.raises(ValueError, match="no run"):
        over_runs([])
    assert over_runs([0.3]).low is None
    assert compare_runs({0: 0.3}, {0: 0.4}).p_value is None
    assert over_runs([0.3, 0.3], least_error=0.01).standard_error == 0.01


@FEW
@given(EIGHTHS, st.integers(2, 20), st.floats(1e-6, 0.1))
def test_runs_that_agree_have_no_interval_without_a_least_error(value, num_runs, least_error):
    """Student's interval of equal numbers has no width: as if the next run were known."""
    agreeing = over_runs([value / 3] * num_runs)
    assert (agreeing.value, agreeing.standard_error) == (value / 3, 0.0)
    assert (agreeing.low, agreeing.high) == (None, None)
    known = over_runs([value / 3] * num_runs, least_error=least_error)
    assert known.low < value / 3 < known.high


@FEW
@given(st.lists(EIGHTHS, min_size=2, max_size=7), st.data())
def test_the_error_of_a_limit_is_that_of_all_draws_of_items(scores, data):
    """Greedy answers: over all subsets the estimate is, on average, the variance of their means."""
    num = data.draw(st.integers(2, len(scores)))
    draws = [np.array(some) for some in combinations(scores, num)]
    estimates = [sampling_variance(some, np.ones(num), len(scores), greedy=True) for some in draws]
    assert np.mean(estimates) == pytest.approx(np.var([some.mean() for some in draws]), abs=1e-12)


@settings(max_examples=15)
@given(st.lists(EIGHTHS, min_size=2, max_size=4), st.data())
def test_the_error_of_sampled_answers_is_that_of_all_draws_of_items_and_answers(chances, data):
    num, samples = data.draw(st.integers(2, min(3, len(chances)))), 2
    values, estimates, weights = [], [], []
    for some in combinations(chances, num):
        for answers in product([0, 1], repeat=num * samples):
            table = np.array(answers).reshape(num, samples)
            weights.append(
                prod(p if hit else 1 - p for p, row in zip(some, table, strict=True) for hit in row)
            )
            values.append(table.mean())
            estimates.append(sampling_variance(table.mean(1), np.full(num, samples), len(chances)))
    weights = np.array(weights) / comb(len(chances), num)
    mean = float(weights @ values)
    assert float(weights.sum()) == pytest.approx(1)
    assert mean == pytest.approx(np.mean(chances))
    assert float(weights @ estimates) == pytest.approx(float(weights @ (np.array(values) - mean) ** 2))


def test_a_whole_benchmark_asked_greedily_is_known_and_a_part_of_it_is_not():
    scores = np.array([1, 0, 1, 1, 0, 1, 1, 0])
    all_asked = whole_benchmark(scores, np.ones(8), 8, greedy=True)
    assert (all_asked.low, all_asked.value, all_asked.high) == (0.625, 0.625, 0.625)
    part, wide = (whole_benchmark(scores, np.ones(8), num, greedy=True) for num in (16, 10**6))
    plain = clustered_mean(scores, np.arange(8)).standard_error
    assert part.standard_error == pytest.approx(plain * np.sqrt(0.5))
    assert wide.standard_error == pytest.approx(plain, rel=1e-4)
    sampled = whole_benchmark(scores, np.ones(8), 8)
    assert sampled.standard_error == pytest.approx(plain)  # one drawn answer says nothing of the others
    agreed = whole_benchmark(np.ones(4), np.full(4, 2), 4)
    assert agreed.low < 1 == agreed.high
    with pytest.raises(ValueError, match="9 items cannot have been drawn from a benchmark of 8"):
        whole_benchmark(np.ones(9), np.ones(9), 8)
