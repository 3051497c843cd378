"""Which rule moves which parameter, and moments that survive a file."""

import math
from itertools import pairwise

import pytest
import torch

from rpt_core.errors import ResumeError
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.backends.muon import Muon, orthogonalised
from rpt_core.train.backends.optimiser import Update, learning_rate, write_moments
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


def test_the_recipe_says_muons_momentum_and_decay():
    recipe = MUON.model_copy(update={"muon_momentum": 0.8, "muon_weight_decay": 0.2, "weight_decay": 0.3})
    muon, adamw = (rule.param_groups[0] for rule in Update(tiny_policy().model, recipe, 10).rules)
    assert (muon["momentum"], muon["weight_decay"], adamw["weight_decay"]) == (0.8, 0.2, 0.3)
    usual = Update(tiny_policy().model, MUON, 10).rules[0].param_groups[0]
    assert (usual["momentum"], usual["weight_decay"]) == (0.9, 0.05)


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


def rates(total_steps: int, **settings) -> list[float]:
    recipe = Optimiser(learning_rate=1.0, **settings)
    return [learning_rate(recipe, step, total_steps) for step in range(1, total_steps + 1)]


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_without_a_warm_up_the_first_step_has_the_full_rate(schedule: str):
    for warmup_steps in (0, 1):
        assert rates(5, schedule=schedule, final_share=0.2, warmup_steps=warmup_steps)[0] == 1.0


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_a_warm_up_rises_by_equal_steps_to_the_full_rate(schedule: str):
    found = rates(9, schedule=schedule, final_share=0.2, warmup_steps=4)
    assert found[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert found[4] == 1.0 if schedule == "constant" else found[4] < 1.0


@pytest.mark.parametrize(
    ("schedule", "falls"),
    [
        ("constant", [1, 1, 1, 1, 1]),
        ("linear", [1, 0.8, 0.6, 0.4, 0.2]),
        ("cosine", [1, 0.2 + 0.8 * (2 + 2**0.5) / 4, 0.6, 0.2 + 0.8 * (2 - 2**0.5) / 4, 0.2]),
    ],
)
def test_schedules_at_every_quarter(schedule: str, falls: list[float]):
    assert rates(5, schedule=schedule, final_share=0.2) == pytest.approx(falls)
    assert rates(7, schedule=schedule, final_share=0.2, warmup_steps=3)[2:] == pytest.approx(falls)


def test_beyond_its_last_step_a_schedule_stays_at_its_end():
    recipe = Optimiser(learning_rate=1.0, schedule="cosine", final_share=0.3)
    assert learning_rate(recipe, 50, 10) == pytest.approx(0.3)
    assert learning_rate(recipe, 1, 1) == 1.0


def test_the_rate_of_the_step_is_the_one_that_moves_the_weights():
    policy = tiny_policy()
    recipe = Optimiser(learning_rate=1.0, warmup_steps=4, weight_decay=0.0, grad_clip=1e9)
    update = Update(policy.model, recipe, 8)
    weight = policy.model.base_model.norm.weight
    before = weight.detach().clone()
    for parameter in policy.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    update.step(1)
    assert (before - weight).detach().numpy() == pytest.approx(
        0.25, rel=1e-4
    )  # Adam's first step is the rate


def test_a_large_gradient_is_clipped_to_the_norm_of_the_recipe():
    moved = []
    for scale in (1.0, 1000.0):
        policy = tiny_policy()
        update = Update(policy.model, Optimiser(learning_rate=1e-3, grad_clip=0.5), 10)
        for parameter in policy.model.parameters():
            parameter.grad = torch.full_like(parameter, scale)
        update.step(1)
        state = next(iter(update.rules[0].state.values()))
        moved.append(float(state["exp_avg"].abs().max()))
    assert moved[0] == pytest.approx(moved[1], rel=1e-4)


def test_orthogonalised_matrices_keep_directions_whatever_their_size():
    torch.manual_seed(3)
    matrices = torch.randn(3, 4, 6)
    found = orthogonalised(matrices)
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.6
    assert values.max() < 1.25
    rotated = left.mT @ found @ right.mT
    assert (rotated - torch.diag_embed(rotated.diagonal(dim1=1, dim2=2))).abs().max() < 1e-4
    for scale in (1e-4, 1e4):
        assert torch.allclose(orthogonalised(matrices * scale), found, atol=1e-5)
    assert torch.equal(orthogonalised(torch.zeros(1, 2, 3)), torch.zeros(1, 2, 3))
    parted = torch.cat([orthogonalised(one[None]) for one in matrices])
    assert torch.allclose(parted, found, atol=1e-6)


def test_a_matrix_without_a_gradient_stays():
    still, moving = (torch.nn.Parameter(torch.ones(2, 3)) for _ in range(2))
    moving.grad = torch.ones(2, 3)
    Muon([still, moving], 0.1).step()
    assert torch.equal(still, torch.ones(2, 3))
    assert not torch.equal(moving, torch.ones(2, 3))


def test_the_recipes_betas_and_decay_are_adamws():
    recipe = Optimiser(learning_rate=3e-3, betas=(0.7, 0.93), weight_decay=0.11)
    (rule,) = Update(tiny_policy().model, recipe, 10).rules
    (group,) = rule.param_groups
    assert isinstance(rule, torch.optim.AdamW)
    assert (group["lr"], group["betas"], group["weight_decay"]) == (3e-3, (0.7, 0.93), 0.11)


def test_frozen_parameters_are_no_rules_business():
    policy = tiny_policy()
    policy.model.base_model.norm.weight.requires_grad_(False)
    update = Update(policy.model, MUON, 10)
    held = {id(p) for rule in update.rules for group in rule.param_groups for p in group["params"]}
    assert "model.norm.weight" not in update.named
    assert held == {id(p) for p in update.named.values()}


def test_foreign_moments_are_named_with_their_shape(tmp_path):
    policy = tiny_policy()
    update = Update(policy.model, Optimiser(), 10)
    name = "model.norm.weight"
    for key, tensors in (
        ("no.such/exp_avg", {"no.such/exp_avg": torch.zeros(2, 5)}),
        (f"{name}/exp_avg", {f"{name}/exp_avg": torch.zeros(2, 5)}),
    ):
        write_moments(tmp_path, Optimiser(), tensors, {})
        with pytest.raises(ResumeError) as said:
            update.load(tmp_path)
        assert str(said.value) == (
            f"the checkpoint holds moments of {key.rpartition('/')[0]!r} with shape (2, 5), which this model "
            "has not: it belongs to another model. Start this recipe clean."
        )
    write_moments(tmp_path, Optimiser(), {f"{name}/exp_avg": torch.full((32,), 2.5)}, {f"{name}/step": 3.0})
    update.load(tmp_path)
    state = update.rules[0].state[update.named[name]]
    assert float(state["step"]) == 3.0
    assert state["step"].dim() == 0
    assert state["exp_avg"].tolist() == [2.5] * 32


def test_muon_takes_a_closure_and_the_rate_and_decay_of_each_group():
    """With a decay of 1 over the rate, what was there is gone: the update alone is left."""
    torch.manual_seed(1)
    matrix = torch.nn.Parameter(torch.randn(3, 7))
    gradient = torch.randn(3, 7)

    def closure() -> float:
        matrix.grad = gradient.clone()
        return 2.5

    rule = Muon([matrix], 0.5, momentum=0.8, weight_decay=2.0)
    assert rule.step(closure) == 2.5
    expected = -0.5 * 0.2 * 7**0.5 * orthogonalised(gradient[None])[0]
    torch.testing.assert_close(matrix.detach(), expected, rtol=1e-4, atol=1e-5)
    buffer = rule.state[matrix]["momentum_buffer"]
    torch.testing.assert_close(buffer, 0.2 * gradient)
    assert Muon([torch.nn.Parameter(torch.zeros(2, 2))], 0.1).step() is None


def test_muons_momentum_looks_ahead():
    torch.manual_seed(2)
    matrix = torch.nn.Parameter(torch.zeros(2, 5))
    rule = Muon([matrix], 1.0, momentum=0.75, weight_decay=0.0)
    first, second = torch.randn(2, 5), torch.randn(2, 5)
    for gradient in (first, second):
        matrix.grad = gradient.clone()
        before = matrix.detach().clone()
        rule.step()
    buffer = 0.75 * 0.25 * first + 0.25 * second
    direction = 0.25 * second + 0.75 * buffer
    expected = before - 0.2 * 5**0.5 * orthogonalised(direction[None])[0]
    torch.testing.assert_close(matrix.detach(), expected, rtol=1e-4, atol=1e-5)


def test_newton_and_schulz_iterate_the_published_quintic():
    """On a singular value x, ``a x + b x^3 + c x^5``; five times over."""
    values = torch.tensor([0.8, 0.5, 0.1])
    matrix = torch.zeros(1, 3, 4)
    matrix[0, range(3), range(3)] = values
    x = values / values.norm()
    for _ in range(5):
        x = 3.4445 * x - 4.7750 * x**3 + 2.0315 * x**5
    found = orthogonalised(matrix)
    torch.testing.assert_close(found[0].diagonal(), x, rtol=1e-4, atol=1e-5)
