"""VeriFree: rewards by hand, no bias, both terms in the step's gradient, a whole training."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from rpt_core.artifacts.build import LocalBuild
from rpt_core.objectives.evidence import Evidence, Needs
from rpt_core.objectives.next_token.verifree import likelihood
from rpt_core.objectives.registry import open_objective
from rpt_core.policy.forward import branch_logprobs
from rpt_core.policy.tails import Tail
from rpt_core.policy.trunk import Cut, Trunk
from rpt_core.recipes.objectives import VeriFreeObjective
from rpt_core.recipes.reinforce import Selection
from rpt_core.train.clock import Clock
from rpt_core.train.rl.collect import collect
from rpt_core.train.rl.lessons import lesson_of, scales_of
from rpt_core.train.rl.losses.advantages import group_advantages
from rpt_core.train.rl.losses.policy import PRESETS, policy_terms
from rpt_core.train.rl.reinforce import open_trainer, train_policy
from rpt_core.train.rl.state import Progress
from rpt_core.train.rl.step import accumulate
from tests.toys import gradients, relative_error
from tests.unit.objectives.next_token.test_rlp import GIVEN, folders, thought  # noqa: F401  (a fixture)
from tests.unit.objectives.test_objectives import policy_recipe
from tests.unit.train.rl.test_reinforce import MUON, _metrics
from tests.unit.train.rl.test_step import RECIPE

PAPER = VeriFreeObjective(prompt="compact")
ON_POLICY = {"loss": "rloo", "temperature": 1.0}


def advantages(rewards):
    preset = PRESETS["rloo"]
    return group_advantages(rewards, by_deviation=preset.by_deviation, leave_one_out=preset.leave_one_out)


def test_rewards_and_advantages_are_those_worked_out_by_hand():
    rewards = [likelihood(given.tolist()) for given in GIVEN]
    assert rewards == pytest.approx([0.360000, 0.084000, 0.001500, 0.846450], abs=1e-9)
    assert advantages(rewards) == pytest.approx([0.049350, -0.318650, -0.428650, 0.697950], abs=1e-6)


def test_the_estimate_has_no_bias():
    """Three thoughts, two answers of which the first is true: the mean over all 27 groups of three."""
    thoughts = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64, requires_grad=True)
    answers = torch.tensor([[0.2, 1.0], [-0.5, 0.1], [1.3, -0.7]], dtype=torch.float64, requires_grad=True)
    log_pi, log_p = thoughts.log_softmax(0), answers.log_softmax(1)[:, 0]
    exact = torch.autograd.grad((log_pi.exp() * log_p.exp()).sum(), (thoughts, answers), retain_graph=True)
    one_each, found = torch.arange(3), [torch.zeros(3), torch.zeros(3, 2)]
    for group in product(range(3), repeat=3):
        drawn = list(group)
        rewards = log_p[drawn].exp().detach()
        terms = [
            policy_terms(
                some[drawn], some[drawn].detach(), torch.as_tensor(weights), one_each, PRESETS["rloo"]
            )
            for some, weights in ((log_pi, advantages(rewards.tolist())), (log_p, rewards))
        ]
        loss, chance = (terms[0] + terms[1]).mean(), float(log_pi[drawn].detach().sum().exp())
        parts = torch.autograd.grad(-loss, (thoughts, answers), retain_graph=True)
        found = [total + chance * part for total, part in zip(found, parts, strict=True)]
    assert found[0].numpy() == pytest.approx(np.array([-0.090534, -0.045407, 0.135941]), abs=2e-6)
    assert found[1][:, 0].numpy() == pytest.approx(np.array([0.075642, 0.049069, 0.045347]), abs=2e-6)
    for mean, truth in zip(found, exact, strict=True):
        assert mean.numpy() == pytest.approx(truth.numpy(), abs=1e-7)


def test_the_true_tokens_follow_a_thought_that_ended_and_no_other(codec, inputs):
    recipe = policy_recipe(objective=PAPER.model_copy(update={"target_tokens": 2}), **ON_POLICY)
    objective = open_objective(recipe, inputs, codec)
    assert objective.needs == Needs(forced=True)
    (asked, *_), _ = objective.draw(1, 0, 1)
    ended, endless = thought(codec, " so"), thought(codec, " so so", "length")
    truth = asked.trunk.document_ids[asked.trunk.cuts[0].position :][:2]
    tail = Tail((*ended.token_ids, *codec.control("box_open")), truth)
    wanted = objective.wanted([asked], [[[ended, endless]]])
    assert wanted.tails[0][0][0] == tail
    assert wanted.tails[0][0][1].scored == ()
    assert (wanted.plain, wanted.reference_tails) == (None, None)
    evidence = Evidence(tails=[[[(-0.5, -0.25), ()]]])
    (((one, other),),) = objective.verdicts([asked], [[[ended, endless]]], evidence)
    assert (one.verdict, other.verdict, other.score, other.forced[0].weight) == (
        "scored",
        "truncated",
        0.0,
        0.0,
    )
    assert one.score == one.forced[0].weight == pytest.approx(np.exp(-0.75))
    assert (one.forced[0].tail, one.forced[0].logprobs) == (tail, (-0.5, -0.25))
    (((unsettled, _),),) = objective.verdicts([asked], [[[ended, endless]]])
    assert (unsettled.score, unsettled.forced[0].weight) == (0.0, 0.0)


def small(**changes):
    return type(RECIPE).parse({
        **dict(RECIPE), "objective": PAPER, **ON_POLICY, "steps": 3, "prompts_per_step": 3,
        "cuts_per_document": 3, "group_size": 8, "reasoning_tokens": 64, "context_tokens": 128,
        "optimiser": MUON, "selection": Selection(drop_equal_from_step=99), **changes,
    })  # fmt: skip


def printed_loss(trainer, batch):
    """The paper's estimate, each path a row of its own: minus the mean over answers, by the longest one."""
    total, num = torch.zeros(()), 0
    for document in batch.documents:
        for cut, group in zip(document.asked.trunk.cuts, document.groups, strict=True):
            rewards = [verdict.score for verdict in group.verdicts]
            for n, (sample, verdict) in enumerate(zip(group.samples, group.verdicts, strict=True)):
                others = [reward for m, reward in enumerate(rewards) if m != n]
                gain = rewards[n] - sum(others) / len(others)
                total = total - gain * row_logprobs(trainer, document, cut, (), sample.token_ids)
                if rewards[n]:
                    tail = verdict.forced[0].tail
                    total = total - rewards[n] * row_logprobs(trainer, document, cut, tail.given, tail.scored)
                num += 1
    return total / (num * trainer.recipe.reasoning_tokens)


def row_logprobs(trainer, document, cut, given, scored):
    trunk = document.asked.trunk
    path = (*trunk.document_ids[: cut.position], *cut.suffix_ids, *given)
    row = Trunk("row", trunk.instruction_ids, path, (Cut(len(path)),))
    return branch_logprobs(trainer.policy, [row], [[[scored]]], with_document=False).logprobs_N.sum()


def test_a_step_has_the_printed_gradient_however_it_is_split(tmp_path, folders):  # noqa: F811
    recipe = small(objective=PAPER.model_copy(update={"target_tokens": 3}))
    trainer = open_trainer(recipe, LocalBuild(folders, tmp_path / "out", tmp_path / "scratch"))
    batch = collect(trainer, Progress(), Clock())
    assert any(verdict.score > 0 for group in batch.groups for verdict in group.verdicts)
    printed_loss(trainer, batch).backward()
    expected = gradients(trainer.policy)
    lessons = [lesson_of(trainer, document) for document in batch.documents]
    scales = scales_of(trainer, lessons)
    assert scales.policy == sum(len(group.samples) for group in batch.groups) * recipe.reasoning_tokens
    for budget in (16_384, 120):
        trainer.policy.model.zero_grad()
        accumulate(replace(trainer, tokens_per_micro_batch=budget), lessons, scales)
        assert relative_error(gradients(trainer.policy), expected) < 1e-3
    drawn = [replace(one, trunk=replace(one.trunk, cuts=one.trunk.cuts[: one.num_drawn])) for one in lessons]
    trainer.policy.model.zero_grad()
    accumulate(trainer, [first_cuts(one, before) for one, before in zip(drawn, lessons, strict=True)], scales)
    assert relative_error(gradients(trainer.policy), expected) > 0.05, "the truth's own term is no rounding"


def first_cuts(lesson, whole):
    return replace(
        lesson,
        **{
            name: getattr(whole, name)[: whole.num_drawn]
            for name in ("answers", "engine_logprobs", "advantages", "counted")
        },
    )


def test_a_training_runs_to_its_end(tmp_path, folders):  # noqa: F811
    build = LocalBuild(folders, tmp_path / "out", tmp_path / "scratch")
    train_policy(small(), build)
    rows = [row for row in _metrics(build) if "reward_mean" in row]
    assert len(rows) == 3
    assert all(0 < row["reward_mean"] < 1 for row in rows)
    assert any(row["policy_loss"] != 0 for row in rows)


@pytest.mark.parametrize(
    ("field", "value"), [("loss", "dr_grpo"), ("temperature", 0.8), ("updates_per_batch", 2)]
)
def test_off_the_drawing_policy_it_is_refused(field, value):
    with pytest.raises(ValidationError, match=f"objective verifree with {field}={value}"):
        type(RECIPE).model_validate({**dict(RECIPE), "objective": PAPER, **ON_POLICY, field: value})
