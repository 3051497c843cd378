"""pass@k and avg@n against written-out enumeration."""

from itertools import combinations

import numpy as np
import pytest

from rpt_core.evaluation.statistics.passk import pass_at_k, reportable_k


def enumerated(samples: list[int], k: int) -> float:
    """The share of all k-subsets that hold a right sample."""
    subsets = list(combinations(samples, k))
    return sum(any(subset) for subset in subsets) / len(subsets)


@pytest.mark.parametrize("num_samples", range(1, 9))
def test_equals_the_share_of_subsets_with_a_right_sample(num_samples):
    for num_correct in range(num_samples + 1):
        samples = [1] * num_correct + [0] * (num_samples - num_correct)
        for k in range(1, num_samples + 1):
            assert pass_at_k(num_samples, num_correct, k) == pytest.approx(enumerated(samples, k), abs=1e-12)


def test_the_papers_example():
    assert pass_at_k(64, 1, 1) == pytest.approx(0.015625)
    assert pass_at_k(64, 1, 8) == pytest.approx(0.125)


def test_is_unbiased_where_the_plug_in_is_not():
    rng = np.random.default_rng(0)
    chance, k, n = 0.2, 4, 8
    correct = rng.binomial(n, chance, size=200_000)
    truth = 1 - (1 - chance) ** k
    assert pass_at_k(n, correct, k).mean() == pytest.approx(truth, abs=0.002)
    assert (1 - (1 - correct / n) ** k).mean() < truth - 0.02


def test_more_draws_than_samples_raise():
    with pytest.raises(ValueError, match=r"pass@8 needs at least 8 samples.*one item has 3.*report pass@3"):
        pass_at_k([8, 3], [1, 1], 8)


@pytest.mark.parametrize(("samples", "correct", "k"), [(4, 5, 1), (4, -1, 1), (4, 1, 0)])
def test_impossible_counts_raise(samples, correct, k):
    with pytest.raises(ValueError, match=r"right samples|no meaning"):
        pass_at_k(samples, correct, k)


def test_pass_at_one_is_the_average():
    rng = np.random.default_rng(1)
    scores = [rng.integers(0, 2, size=8).tolist() for _ in range(50)]
    correct = [sum(item) for item in scores]
    assert pass_at_k(8, correct, 1) == pytest.approx(np.mean(scores, 1))


def test_reportable_k_are_powers_of_two():
    assert reportable_k(1) == (1,)
    assert reportable_k(64) == (1, 2, 4, 8, 16, 32, 64)
