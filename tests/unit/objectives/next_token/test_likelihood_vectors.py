"""The likelihood rewards by hand: one cut, four thoughts, three true tokens; and no bias, by enumeration."""

import math
from itertools import permutations, product

import numpy as np
import pytest
import torch

from rpt_core.objectives.likelihood import (
    clipped_gain,
    log_likelihood,
    log_mean_exp,
    slopes,
    value,
    weights,
    with_mean,
)
from rpt_core.objectives.next_token.expected_prefix import contributions
from rpt_core.objectives.next_token.jepo import DELTA, many_samples, normalised, one_sample
from rpt_core.objectives.next_token.nover import cost, mean_rank, totals
from rpt_core.objectives.next_token.nrt import kept_gain
from rpt_core.objectives.next_token.rlp import information_gain
from rpt_core.objectives.next_token.rlpr import reward
from rpt_core.train.rl.losses.advantages import group_advantages
from tests.unit.objectives.next_token.test_rlp import AVERAGE, GIVEN, WITHOUT

LOGS = [log_likelihood(given.tolist()) for given in GIVEN]
CLOSED = np.log([(0.40, 0.15, 0.70), (0.50, 0.10, 0.60), (0.20, 0.30, 0.50), (0.08, 0.005, 0.95)])
"""Log-probabilities that the box closes after one, two and three true tokens."""
EXACT = {"abs": 1e-6}
FORMS = ("log", "product", "geometric", "mean", "inverse", "surprise")


def compared(scores) -> np.ndarray:
    """Each with the mean of the others, in double precision."""
    scores = np.array(scores)
    return len(scores) / (len(scores) - 1) * (scores - scores.mean())


def whitened(scores) -> np.ndarray:
    scores = np.array(scores)
    return (scores - scores.mean()) / (scores.std(ddof=1) + 1e-6)


def test_likelihoods():
    assert pytest.approx([-1.021651, -2.476938, -6.502290, -0.166704], **EXACT) == LOGS
    found = [value("product", given) for given in GIVEN.tolist()]
    assert found == pytest.approx([0.360000, 0.084000, 0.001500, 0.846450], **EXACT)
    assert log_likelihood(WITHOUT.tolist()) == pytest.approx(-3.729701, **EXACT)
    assert log_likelihood(AVERAGE.tolist()) == pytest.approx(-3.532491, **EXACT)


def test_the_gain_compares_as_the_one_sample_bound_does():
    gains = [information_gain(given.tolist(), AVERAGE.tolist()) for given in GIVEN]
    assert gains == pytest.approx([2.510840, 1.055553, -2.969799, 3.365787], **EXACT)
    expected = [2.026993, 0.086610, -5.280526, 3.166922]
    assert compared(gains) == pytest.approx(expected, **EXACT)
    assert one_sample(LOGS).advantages == pytest.approx(expected, **EXACT)
    firsts = [information_gain(given[:1].tolist(), AVERAGE[:1].tolist()) for given in GIVEN]
    assert firsts == pytest.approx([0.762140, 0.356675, -1.435085, 0.816207], **EXACT)
    assert compared(firsts) == pytest.approx([0.849541, 0.308921, -2.080092, 0.921630], **EXACT)


def test_the_bounds_of_jepo():
    one, many = one_sample(LOGS), many_samples(LOGS)
    assert (one.nats, many.nats) == pytest.approx((-2.541896, -1.130142), **EXACT)
    gaps = np.array(many.advantages) / 4
    assert gaps == pytest.approx([0.038947, -0.220454, -0.286520, 0.777029], **EXACT)
    assert gaps.std() == pytest.approx(0.421934, **EXACT)
    assert np.array(many.truth) / 4 == pytest.approx([0.278649, 0.065018, 0.001161, 0.655172], **EXACT)
    clipped = np.clip(gaps / (gaps.std() + DELTA), -1, 1)
    assert clipped == pytest.approx([0.092305, -0.522484, -0.679064, 1.000000], abs=3e-6)
    assert normalised([-10.0, 0.0, 0.0, 0.0]) == pytest.approx([-(3**0.5), *[3**-0.5] * 3], abs=1e-6)
    assert normalised([0.0, 0.0]) == [0.0, 0.0]


def test_verifree_and_the_expected_prefix():
    probabilities = [value("product", given) for given in GIVEN.tolist()]
    assert compared(probabilities) == pytest.approx([0.049350, -0.318650, -0.428650, 0.697950], **EXACT)
    pairs = list(zip(GIVEN.tolist(), CLOSED.tolist(), strict=True))
    expected = [sum(contributions(*pair, [1, 2, 3])) for pair in pairs]
    assert expected == pytest.approx([0.679500, 0.362400, 0.022250, 0.884402], **EXACT)
    assert compared(expected) == pytest.approx([0.256483, -0.166317, -0.619851, 0.529686], **EXACT)
    exact = [sum(contributions(*pair, [3])) for pair in pairs]
    assert exact == pytest.approx([0.252000, 0.050400, 0.000750, 0.804127], abs=1e-6)


def test_rlpr():
    means = [value("mean", given) for given in GIVEN.tolist()]
    assert means == pytest.approx([0.733333, 0.500000, 0.150000, 0.946667], **EXACT)
    assert value("mean", WITHOUT.tolist()) == pytest.approx(0.366667, **EXACT)
    rewards = [reward(given.tolist(), WITHOUT.tolist()) for given in GIVEN]
    assert rewards == pytest.approx([0.366667, 0.133333, 0.000000, 0.580000], **EXACT)
    assert np.std(rewards, ddof=1) == pytest.approx(0.256270, **EXACT)
    assert whitened(rewards) == pytest.approx([0.377206, -0.533291, -1.053574, 1.209659], **EXACT)
    mixed = [0.9 * one + 0.1 for one in rewards]
    assert whitened(mixed) == pytest.approx([0.377205, -0.533290, -1.053574, 1.209659], abs=2e-6)
    in_float32 = group_advantages(rewards, by_deviation=True)
    assert in_float32 == pytest.approx([0.377206, -0.533291, -1.053574, 1.209659], abs=1e-4)
    assert reward(GIVEN[2].tolist(), GIVEN[3].tolist()) == 0.0
    assert reward([0.0], [-math.inf]) == 1.0


def test_nrt():
    without = WITHOUT.tolist()
    assert weights("inverse", without, without) == pytest.approx([0.176471, 0.705882, 0.117647], **EXACT)
    assert weights("surprise", without, without) == pytest.approx([0.245674, 0.617364, 0.136962], **EXACT)
    gains = {form: [kept_gain(form, given.tolist(), without) for given in GIVEN] for form in FORMS}
    assert gains["product"] == pytest.approx([0.336000, 0.060000, 0, 0.822450], **EXACT)
    assert gains["geometric"] == pytest.approx([0.422929, 0.149502, 0, 0.657498], **EXACT)
    assert gains["inverse"] == pytest.approx([0.394118, 0.117647, 0, 0.707647], **EXACT)
    assert gains["surprise"] == pytest.approx([0.397175, 0.124567, 0, 0.682427], **EXACT)
    assert whitened(gains["surprise"]) == pytest.approx([0.316672, -0.581329, -0.991668, 1.256325], **EXACT)


def test_nover():
    lengths = [12, 30, 5, 80]
    costs = [cost(log, 3, length) for log, length in zip(LOGS, lengths, strict=True)]
    assert costs == pytest.approx([1.102656, 1.206346, 2.294722, 1.010378], **EXACT)
    earned = totals(costs, lengths)
    assert earned == pytest.approx([2.083333, 1.5, 1.25, 2.0], **EXACT)
    assert np.array(earned) - np.mean(earned) == pytest.approx(
        [0.375, -0.208333, -0.458333, 0.291667], **EXACT
    )
    assert cost(-1.0, 1, 0) == cost(-1.0, 1, 1) == pytest.approx(math.e)
    assert totals([2.0, 2.0], [3, 9]) == [1.75, 1.75]  # equal ones share their ranks, and none is worse
    assert totals([5.0], [3]) == [2.0]
    assert sum(mean_rank(q, [3.0, 1.0, 3.0, 3.0]) for q in (3.0, 1.0, 3.0, 3.0)) == 0 + 1 + 2 + 3


def test_at_one_true_token_the_rewards_are_one():
    given, without = [math.log(0.6)], [math.log(0.2)]
    found = {form: value(form, given, without) for form in FORMS if form != "log"}
    assert list(found.values()) == pytest.approx([0.6] * 5)
    assert reward(given, ()) == pytest.approx(0.6)
    assert (
        kept_gain("surprise", given, without) == pytest.approx(reward(given, without)) == pytest.approx(0.4)
    )


@pytest.mark.parametrize("form", FORMS)
def test_slopes_are_the_gradient_of_the_value(form):
    given, without = GIVEN[1].tolist(), WITHOUT.tolist()
    for k, slope in enumerate(slopes(form, given, without)):
        up, down = (
            value(form, [c + h * (j == k) for j, c in enumerate(given)], without) for h in (1e-6, -1e-6)
        )
        assert slope == pytest.approx((up - down) / 2e-6, rel=1e-6)


def test_equal_likelihoods_give_no_advantage():
    assert many_samples([-0.7] * 4).advantages == pytest.approx([0.0] * 4, abs=1e-12)
    assert one_sample([-0.7] * 4).advantages == pytest.approx([0.0] * 4, abs=1e-12)
    assert group_advantages([kept_gain("mean", [-0.7], [-1.1])] * 4, by_deviation=True).tolist() == [0.0] * 4
    assert len(set(totals([2.0] * 4, [3, 5, 7, 9]))) == 1


def test_a_probability_of_zero_reaches_no_mean():
    nothing = [-1.0, -math.inf]
    assert log_likelihood(nothing) is value("log", nothing) is None
    assert with_mean([log_likelihood(nothing), -1.0, -3.0]) == [-2.0, -1.0, -3.0]
    assert with_mean([None, None]) == [0.0, 0.0]
    assert value("product", nothing) == value("geometric", nothing) == 0.0
    assert kept_gain("log", nothing, [-1.0, -1.0]) == kept_gain("log", [-1.0, -1.0], nothing) == 0.0
    for form in FORMS:
        assert all(math.isfinite(one) for one in weights(form, [-1.0, -2.0], nothing))
    assert weights("surprise", [-1.0, -2.0], nothing) == pytest.approx([1 / 9, 8 / 9])
    assert weights("inverse", [-1.0, -2.0], nothing) == [0.0, 1.0]
    assert weights("surprise", [-1.0, -2.0], [0.0, 0.0]) == [0.5, 0.5]
    assert many_samples([]) == one_sample([])
    assert many_samples([-2.0]).advantages == one_sample([-2.0]).advantages == (0.0,)
    assert [clipped_gain(gain, 5.0) for gain in (-20.0, 1.0, 7.0)] == [-5.0, 1.0, 5.0]
    assert log_mean_exp([-1000.0, -1001.0]) == pytest.approx(-1000 + math.log((1 + math.exp(-1)) / 2))


THOUGHTS = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64, requires_grad=True)
ANSWERS = torch.tensor([[0.2, 1.0], [-0.5, 0.1], [1.3, -0.7]], dtype=torch.float64, requires_grad=True)
"""Logits of three thoughts, and of two answers after each; the first answer is true."""
ESTIMATES = {
    "verifree": ((-0.090534, -0.045407, 0.135941), (0.075642, 0.049069, 0.045347)),
    "one": ((-0.169609, -0.074216, 0.243824), (0.243985, 0.138479, 0.051485)),
    "many": ((-0.168849, -0.081434, 0.250282), (0.169909, 0.106418, 0.070202)),
    "rlp": ((-0.169609, -0.074216, 0.243824), (0.0, 0.0, 0.0)),
}


def estimate(name, logs):
    """Weights of a group's thoughts and truths, in a mean over its answers."""
    if name in ("one", "many"):
        bound = (one_sample if name == "one" else many_samples)(logs)
        return bound.advantages, bound.truth
    scores = np.exp(logs) if name == "verifree" else [information_gain([log], [-0.9]) for log in logs]
    return compared(scores), scores if name == "verifree" else [0.0] * len(logs)


def objective_of(name, log_pi, log_p):
    """The exact objective, with its gradient."""
    pi = log_pi.exp()
    if name == "verifree":
        return (pi * log_p.exp()).sum()
    if name == "one":
        return (pi * log_p).sum()
    if name == "rlp":
        return (pi * log_p.detach()).sum()
    groups = [list(group) for group in product(range(3), repeat=3)]
    return sum(log_pi[g].sum().exp() * (log_p[g].logsumexp(0) - math.log(3)) for g in groups)


@pytest.mark.parametrize("name", ESTIMATES)
def test_the_mean_over_all_groups_is_the_exact_gradient(name):
    log_pi, log_p = THOUGHTS.log_softmax(0), ANSWERS.log_softmax(1)[:, 0]
    found = [torch.zeros(3, dtype=torch.float64), torch.zeros(3, 2, dtype=torch.float64)]
    for group in product(range(3), repeat=3):
        drawn = list(group)
        advantages, truth = estimate(name, log_p[drawn].detach().tolist())
        by_thought, by_answer = (torch.tensor(some, dtype=torch.float64) for some in (advantages, truth))
        gain = (by_thought * log_pi[drawn]).mean() + (by_answer * log_p[drawn]).mean()
        parts = torch.autograd.grad(gain, (THOUGHTS, ANSWERS), retain_graph=True, materialize_grads=True)
        chance = float(log_pi[drawn].detach().sum().exp())
        found = [total + chance * part for total, part in zip(found, parts, strict=True)]
    of_thoughts, of_truths = ESTIMATES[name]
    assert found[0].numpy() == pytest.approx(np.array(of_thoughts), abs=1e-6)
    assert found[1][:, 0].numpy() == pytest.approx(np.array(of_truths), abs=1e-6)
    exact = torch.autograd.grad(
        objective_of(name, log_pi, log_p), (THOUGHTS, ANSWERS), materialize_grads=True
    )
    for mean, truth in zip(found, exact, strict=True):
        assert mean.numpy() == pytest.approx(truth.numpy(), abs=1e-12)


def test_objectives_of_the_enumeration():
    log_pi, log_p = THOUGHTS.log_softmax(0), ANSWERS.log_softmax(1)[:, 0]
    found = [float(objective_of(name, log_pi, log_p).detach()) for name in ("verifree", "one", "many")]
    assert found == pytest.approx([0.566051, -0.691459, -0.611087], **EXACT)


def test_a_shuffled_reward_has_no_gradient_in_the_mean():
    rewards = [reward(given.tolist(), WITHOUT.tolist()) for given in GIVEN]
    every = [whitened(order) for order in permutations(rewards)]
    assert np.mean(every, axis=0) == pytest.approx([0.0] * 4, abs=1e-12)


def test_the_probability_is_the_mean_of_the_match_and_varies_less():
    """Of all thoughts and answers: the match of a drawn answer, and its expectation given the thought."""
    pi, p = THOUGHTS.softmax(0).detach().numpy(), ANSWERS.softmax(1)[:, 0].detach().numpy()
    mean = float((pi * p).sum())
    assert mean * (1 - mean) == pytest.approx(0.245637, **EXACT)
    assert float((pi * p**2).sum()) - mean**2 == pytest.approx(0.075579, **EXACT)
