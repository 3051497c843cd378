"""Which rule moves which parameter, and moments that survive a file."""

import math
from itertools import pairwise

import pytest
import torch

from rpt_core.errors import ResumeError
from rpt_core.train.optimiser import Update, learning_rate
from rpt_core.train.supervised_recipe import Optimiser
from tests.toys import tiny_policy

MUON = Optimiser(name="muon", learning_rate=3e-3, betas=(0.9, 0.95))


def _descend(policy, update, steps, first=1):
    ids = torch.tensor([[3, 4, 5, 6, 7, 8]])
    for step in range(first, first + steps):
        logits = policy.model(input_ids=ids[:, :-1], use_cache=False).logits
        torch.nn.functional.cross_entropy(logits[0], ids[0, 1:]).backward()
        update.step(step)
    return [p.detach().clone() for p in policy.model.parameters()]


@pytest.mark.parametrize("tied", [True, False])
def test_muon_takes_hidden_matrices_and_adamw_the_rest(tied):
    update = Update(tiny_policy(tied=tied).model, MUON, 10)
    names = {id(p): name for name, p in update.named.items()}
    muon, adamw = (
        {names[id(p)] for group in rule.param_groups for p in group["params"]} for rule in update.rules
    )
    assert muon == {name for name in update.named if "_proj" in name}
    assert adamw >= {"model.embed_tokens.weight", "model.norm.weight"}
    assert ("lm_head.weight" in adamw) == (not tied)


@pytest.mark.parametrize("recipe", [MUON, Optimiser(learning_rate=1e-3)])
def test_moments_survive_a_file(recipe, tmp_path):
    straight = _descend(policy := tiny_policy(), Update(policy.model, recipe, 10), 6)
    policy = tiny_policy()
    update = Update(policy.model, recipe, 10)
    _descend(policy, update, 3)
    update.save(tmp_path)
    again = Update(policy.model, recipe, 10)
    again.load(tmp_path)
    resumed = _descend(policy, again, 3, first=4)
    assert all(torch.equal(p, q) for p, q in zip(straight, resumed, strict=True))


def test_moments_of_another_rule_or_model_are_refused(tmp_path):
    policy = tiny_policy()
    update = Update(policy.model, MUON, 10)
    _descend(policy, update, 1)
    update.save(tmp_path)
    with pytest.raises(ResumeError, match="written by muon, this run updates by adamw"):
        Update(policy.model, Optimiser(), 10).load(tmp_path)
    with pytest.raises(ResumeError, match="which this model has not"):
        Update(tiny_policy("llama", vocab=70).model, MUON, 10).load(tmp_path)


def test_a_gradient_that_is_not_finite_moves_nothing():
    policy = tiny_policy()
    update = Update(policy.model, MUON, 10)
    before = [p.detach().clone() for p in policy.model.parameters()]
    for parameter in policy.model.parameters():
        parameter.grad = torch.full_like(parameter, math.nan)
    assert math.isnan(update.step(1))
    assert all(torch.equal(p, q) for p, q in zip(before, policy.model.parameters(), strict=True))
    assert all(p.grad is None for p in policy.model.parameters())


def test_the_norm_is_the_one_before_clipping():
    policy = tiny_policy()
    for parameter in policy.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    norm = Update(policy.model, Optimiser(grad_clip=0.5), 10).step(1)
    assert norm == pytest.approx(math.sqrt(policy.num_parameters), rel=1e-5)


def test_schedules_end_where_they_say():
    cosine = Optimiser(learning_rate=2.0, schedule="cosine", final_share=0.1, warmup_steps=5)
    rates = [learning_rate(cosine, step, 100) for step in range(1, 101)]
    assert rates[0] == pytest.approx(0.4)
    assert max(rates) == rates[4] == 2.0
    assert rates[-1] == pytest.approx(0.2)
    assert all(a >= b for a, b in pairwise(rates[4:]))
    assert {learning_rate(Optimiser(learning_rate=2.0), step, 9) for step in range(1, 10)} == {2.0}
