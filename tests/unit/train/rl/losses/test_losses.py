"""Losses and advantages against NumPy written from the papers' formulas."""

import numpy as np
import pytest
import torch

from rpt_core.recipes.reinforce import Selection
from rpt_core.train.rl.losses.advantages import group_advantages
from rpt_core.train.rl.losses.policy import (
    PRESETS,
    answer_means,
    denominator,
    importance_weights,
    kl_terms,
    policy_terms,
    token_weights,
)
from rpt_core.train.rl.losses.selection import deviation_of, followed, kept_groups

LENGTHS = [3, 1, 5, 2]
ANSWER = np.repeat(np.arange(4), LENGTHS)
RNG = np.random.default_rng(0)
NEW, OLD = RNG.normal(-1, 0.4, 11), RNG.normal(-1, 0.4, 11)
ADVANTAGES = np.array([1.0, -0.5, 0.3, -0.8])
RANGES = {"dapo": (0.2, 0.28), "rlpr": (0.2, 0.27), "nover": (0.1, 0.2)}
CONSTANT = ("dr_grpo", "rloo", "nover")


def _reference(name):
    """Sum over answers of sums over tokens, as the papers print them."""
    by_answer = [np.flatnonzero(a == ANSWER) for a in range(4)]
    tokens, total = len(ANSWER), 0.0
    for a, rows in zip(ADVANTAGES, by_answer, strict=True):
        ratio = np.exp(NEW[rows] - OLD[rows])
        if name == "gspo":
            s = np.exp(np.mean(NEW[rows] - OLD[rows]))
            total -= min(s * a, np.clip(s, 1 - 3e-4, 1 + 4e-4) * a) / 4
        elif name == "cispo":
            total -= np.sum(np.clip(ratio, 0, 5) * a * NEW[rows]) / tokens
        elif name == "rejection":
            total -= np.sum(a * NEW[rows]) / tokens
        else:
            low, high = RANGES.get(name, (0.2, 0.2))
            terms = np.minimum(ratio * a, np.clip(ratio, 1 - low, 1 + high) * a)
            share = 4 * len(rows) if name == "rlp" else 4 * 7 if name in CONSTANT else tokens
            total -= np.sum(terms) / share
    return total


def _ours(name, new, old=None, counted=(True,) * 4):
    preset, answer = PRESETS[name], torch.from_numpy(ANSWER)
    lengths = [length for length, counts in zip(LENGTHS, counted, strict=True) if counts]
    weights = token_weights(answer, torch.tensor(counted), preset, denominator(lengths, preset, 7))
    old = torch.from_numpy(OLD) if old is None else old
    return (weights * policy_terms(new, old, torch.from_numpy(ADVANTAGES), answer, preset)).sum()


@pytest.mark.parametrize("name", PRESETS)
def test_loss_is_the_published_formula(name):
    assert float(_ours(name, torch.from_numpy(NEW))) == pytest.approx(_reference(name), rel=1e-6)


@pytest.mark.parametrize("name", PRESETS)
def test_on_policy_gradient_is_the_policy_gradient(name):
    new = torch.from_numpy(NEW).requires_grad_()
    _ours(name, new, old=new.detach()).backward()
    per_token = {"tokens": 1 / 11, "constant": 1 / 28}.get(PRESETS[name].mean)
    weight = 1 / (4 * np.array(LENGTHS)[ANSWER]) if per_token is None else per_token
    np.testing.assert_allclose(new.grad, -ADVANTAGES[ANSWER] * weight, rtol=1e-6)


@pytest.mark.parametrize("name", PRESETS)
def test_masked_answers_leave_loss_and_denominator(name):
    new = torch.from_numpy(NEW).requires_grad_()
    _ours(name, new, old=new.detach(), counted=(True, False, True, True)).backward()
    assert new.grad[3] == 0
    weight = {"tokens": 1 / 10, "constant": 1 / 21, "answers": 1 / (3 * 3)}[PRESETS[name].mean]
    assert float(new.grad[0]) == pytest.approx(-weight, rel=1e-6)


def test_clipping_stops_only_what_has_gone_too_far():
    new = torch.tensor([0.5, 0.5, -0.5, -0.5], requires_grad=True)
    advantages, answer = torch.tensor([1.0, -1.0, 1.0, -1.0]), torch.arange(4)
    policy_terms(new, torch.zeros(4), advantages, answer, PRESETS["grpo"]).sum().backward()
    assert (new.grad == 0).tolist() == [True, False, False, True]


def test_advantages_compare_with_the_group():
    rewards = [1.0, 0.0, 0.0, 1.0, 1.0]
    expected = (np.array(rewards) - 0.6) / (np.std(rewards, ddof=1) + 1e-6)
    np.testing.assert_allclose(group_advantages(rewards, by_deviation=True), expected, rtol=1e-6)
    np.testing.assert_allclose(
        group_advantages(rewards, by_deviation=False), np.array(rewards) - 0.6, rtol=1e-6
    )
    assert not group_advantages([0.1] * 7, by_deviation=True).any()
    assert not group_advantages([0.7], by_deviation=True).any()


def test_importance_weights_are_capped_and_carry_no_gradient():
    new = torch.tensor([-1.0, -1.0, -1.0], requires_grad=True)
    weights = importance_weights(new, torch.tensor([-1.0, -3.0, -0.5]), cap=2.0)
    torch.testing.assert_close(weights, torch.tensor([1.0, 2.0, np.exp(-0.5)], dtype=torch.float32))
    assert not weights.requires_grad


def test_kl_is_zero_at_the_reference_and_positive_elsewhere():
    new, reference = torch.tensor([-1.0, -1.0, -2.0]), torch.tensor([-1.0, -2.0, -1.0])
    assert kl_terms(new, reference)[0] == 0
    assert (kl_terms(new, reference)[1:] > 0).all()
    torch.testing.assert_close(kl_terms(new, reference)[1], torch.tensor(np.exp(-1.0) + 1 - 1).float())


def test_means_by_answer():
    means = answer_means(torch.tensor([1.0, 3.0, 5.0]), torch.tensor([0, 0, 2]), 3)
    assert means.tolist() == [2.0, 0.0, 5.0]


def test_groups_with_equal_rewards_are_dropped_from_their_step_on():
    scores = [[0.0, 1.0], [1.0, 1.0], [0.5, 0.5]]
    late = Selection(drop_equal_from_step=3)
    assert kept_groups(scores, late, 2) == [True, True, True]
    assert kept_groups(scores, late, 3) == [True, False, False]


def test_groups_that_hardly_differ_are_dropped_by_the_average_so_far():
    """RLPR's figures: from 0.24, after mean deviations of 0.2, 0.3 and 0.1, half of the average."""
    rule = Selection(deviation_share=0.5)
    deviation = 0.24
    for step, mean in ((6, 0.2), (7, 0.3), (8, 0.1)):
        groups = [[0.0, 2**0.5 * (mean + 0.05)], [0.0, 2**0.5 * (mean - 0.05)]]
        deviation = followed(deviation, groups, rule, step)
    assert deviation == pytest.approx(0.238802, abs=1e-6)
    assert rule.deviation_share * deviation == pytest.approx(0.119401, abs=1e-6)
    wide, narrow = [0.0, 2**0.5 * 0.1195], [0.0, 2**0.5 * 0.1193]
    assert kept_groups([wide, narrow], rule, 11, deviation) == [True, False]
    assert kept_groups([wide, narrow], rule, 10, deviation) == [True, True]
    assert kept_groups([wide, narrow], Selection(), 11, deviation) == [True, True]
    assert followed(0.0, [[0.0, 1.0]], rule, 5) == 0.0  # the average begins at step 6, with what it sees
    assert followed(0.0, [[0.0, 1.0]], rule, 6) == deviation_of([0.0, 1.0])
    assert followed(0.3, [[0.0, 1.0]], Selection(), 6) == 0.3


def test_which_presets_divide_by_the_deviation_and_which_leave_an_answer_out():
    by_deviation = {name for name, preset in PRESETS.items() if preset.by_deviation}
    assert by_deviation == {
        "grpo",
        "dapo",
        "gspo",
        "cispo",
        "rlpr",
    }  # Dr.GRPO, RLOO, RLP and NOVER take the difference alone
    assert {name for name, preset in PRESETS.items() if preset.leave_one_out} == {"rloo", "rlp"}
