"""Further updates on one batch: the policy that drew it is what they are compared with."""

import json
import math
from dataclasses import replace
from itertools import combinations

import pytest
import torch

from rpt_core.objectives.next_segment.judge import JUDGE_GFLOPS
from rpt_core.policy.forward import branch_logprobs
from rpt_core.recipes.reinforce import PolicyRecipe
from rpt_core.recipes.replay import Replay
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.backends.optimiser import learning_rate
from rpt_core.train.clock import Clock
from rpt_core.train.rl.collect import collect
from rpt_core.train.rl.lessons import lesson_of, scales_of
from rpt_core.train.rl.losses.policy import PRESETS
from rpt_core.train.rl.reinforce import train_policy
from rpt_core.train.rl.replay import STEP_FILE, TRAINED, read_batches, replay
from rpt_core.train.rl.state import Progress
from rpt_core.train.rl.step import accumulate, step
from tests.toys import ToyObjective, gradients, relative_error
from tests.unit.train.rl.losses.test_losses import CONSTANT, RANGES
from tests.unit.train.rl.test_reinforce import SHORT, StoppingBuild, _build, start, toy  # noqa: F401  (fixtures)
from tests.unit.train.rl.test_step import RECIPE, make_trainer

FAR = RECIPE.model_copy(update={"optimiser": Optimiser(learning_rate=3e-2)})
"""One update at this rate takes ratios beyond every clip but CISPO's."""


def moved(loss, **more):
    """A trainer one update after its batch was drawn, the batch's lessons, and the sums of that update."""
    trainer = make_trainer(FAR.model_copy(update={"loss": loss}), **more)
    batch = collect(trainer, Progress(), Clock())
    lessons = [lesson_of(trainer, document) for document in batch.documents]
    sums = accumulate(trainer, lessons, scales_of(trainer, lessons))
    trainer.backend.step(1)
    return trainer, lessons, sums


def scored(policy, lessons):
    return branch_logprobs(
        policy, [one.trunk for one in lessons], [one.answers for one in lessons], with_document=False,
        temperature=FAR.temperature,
    )  # fmt: skip


def printed_loss(loss, trainer, lessons):
    """The loss as its paper prints it, answer by answer, with autograd's own gradient."""
    scores, old_N = (
        scored(trainer.policy, lessons),
        scored(make_trainer().policy, lessons).logprobs_N.detach(),
    )
    advantages = [a for one in lessons for cut in one.advantages for a in cut]
    total, num_tokens = torch.zeros(()), len(old_N)
    for number, a in enumerate(advantages):
        rows = torch.nonzero(scores.answer_N == number).squeeze(1)
        new, gap = scores.logprobs_N[rows], scores.logprobs_N[rows] - old_N[rows]
        if loss == "gspo":
            s = gap.mean().exp()
            total = total - torch.min(s * a, s.clamp(1 - 3e-4, 1 + 4e-4) * a) / len(advantages)
        elif loss == "cispo":
            total = total - (gap.exp().clamp(0, 5).detach() * a * new).sum() / num_tokens
        elif loss == "rejection":
            total = total - a * new.sum()
        else:
            low, high = RANGES.get(loss, (0.2, 0.2))
            ratio = gap.exp()
            terms = torch.min(ratio * a, ratio.clamp(1 - low, 1 + high) * a).sum()
            constant, of_mean = len(advantages) * trainer.recipe.reasoning_tokens, len(advantages) * len(rows)
            share = of_mean if loss == "rlp" else constant if loss in CONSTANT else num_tokens
            total = total - terms / share
    if loss != "rejection":
        return total
    lengths = [int((scores.answer_N == number).sum()) for number in range(len(advantages))]
    return total / sum(a * length for a, length in zip(advantages, lengths, strict=True))


@pytest.mark.parametrize("loss", PRESETS)
def test_the_second_update_follows_the_printed_formula(loss):
    trainer, lessons, first = moved(loss)
    sums = accumulate(trainer, lessons, scales_of(trainer, lessons), first.logprobs)
    found = gradients(trainer.policy)
    expected = printed_loss(loss, trainer, lessons)
    expected.backward()
    assert sums.policy_loss == pytest.approx(float(expected.detach()), rel=1e-4, abs=1e-6)
    assert relative_error(found, gradients(trainer.policy)) < 1e-4
    assert loss in ("cispo", "rejection") or sums.clipped > 0


def test_losses_coincide_at_one_update_and_part_at_two():
    firsts, seconds = {}, {}
    for loss in PRESETS:
        trainer = make_trainer(FAR.model_copy(update={"loss": loss}))
        batch = collect(trainer, Progress(), Clock())
        lessons = [lesson_of(trainer, document) for document in batch.documents]
        sums = accumulate(trainer, lessons, scales_of(trainer, lessons))
        firsts[loss] = gradients(trainer.policy)
        trainer, lessons, sums = moved("grpo")  # the same way for all, then each loss's own second gradient
        other = replace(trainer, recipe=trainer.recipe.model_copy(update={"loss": loss}))
        accumulate(other, lessons, scales_of(other, lessons), sums.logprobs)
        seconds[loss] = gradients(trainer.policy)
    for one, other in combinations(("grpo", "dapo", "cispo", "rlpr"), 2):
        assert all(torch.equal(firsts[one][name], firsts[other][name]) for name in firsts[one])
    by_advantages_alone, by_a_hair = {("dr_grpo", "rloo")}, {("dapo", "rlpr")}
    for pair in combinations(PRESETS, 2):
        error = relative_error(*(seconds[loss] for loss in pair))
        assert pair in by_a_hair or (error > 1e-3) is (pair not in by_advantages_alone), pair


@pytest.mark.parametrize("loss", ["dapo", "gspo"])
def test_the_split_changes_nothing_in_later_updates(loss):
    trainer, lessons, first = moved(loss)
    whole = accumulate(trainer, lessons, scales_of(trainer, lessons), first.logprobs)
    expected = gradients(trainer.policy)
    start_model = make_trainer(trainer.recipe)
    for budget in (1, 25, 60):
        split = replace(start_model, tokens_per_micro_batch=budget)
        olds = accumulate(split, lessons, scales_of(split, lessons)).logprobs
        start_model.policy.model.zero_grad()
        sums = accumulate(
            replace(trainer, tokens_per_micro_batch=budget), lessons, scales_of(trainer, lessons), olds
        )
        assert len(olds) > 1
        assert relative_error(gradients(trainer.policy), expected) < 1e-4
        assert sums.loss == pytest.approx(whole.loss, rel=1e-4, abs=1e-6)
        assert sums.clipped == whole.clipped


def test_the_engine_is_corrected_for_apart_from_the_ratio():
    """Scaling what the engine reported scales every token's weight, in later updates as in the first."""
    trainer, lessons, first = moved("grpo")
    accumulate(trainer, lessons, scales_of(trainer, lessons), first.logprobs)
    expected = gradients(trainer.policy)
    shift = 0.25
    shifted = [
        replace(
            one, engine_logprobs=[[tuple(x + shift for x in a) for a in cut] for cut in one.engine_logprobs]
        )
        for one in lessons
    ]
    sums = accumulate(trainer, shifted, scales_of(trainer, shifted), first.logprobs)
    found = gradients(trainer.policy)
    weight = float(torch.exp(torch.tensor(-shift)))
    assert relative_error(found, {name: weight * gradient for name, gradient in expected.items()}) < 1e-4
    assert sums.mismatch / sums.answer_tokens == pytest.approx(shift, rel=1e-3)


@pytest.mark.parametrize("cap", [1.0, 1.5, 3.0])
def test_the_recipe_caps_the_weight_of_what_an_engine_thought_unlikely(cap):
    trainer, lessons, first = moved("grpo")
    accumulate(trainer, lessons, scales_of(trainer, lessons), first.logprobs)
    expected = gradients(trainer.policy)
    trainer = replace(trainer, recipe=trainer.recipe.model_copy(update={"importance_cap": cap}))
    shifted = [
        replace(one, engine_logprobs=[[tuple(x - 1 for x in a) for a in cut] for cut in one.engine_logprobs])
        for one in lessons
    ]
    accumulate(trainer, shifted, scales_of(trainer, shifted), first.logprobs)
    weight = min(cap, math.e)
    found = gradients(trainer.policy)
    assert relative_error(found, {name: weight * gradient for name, gradient in expected.items()}) < 1e-4


@pytest.mark.parametrize("updates", [1, 3])
def test_further_updates_are_counted_and_told(updates):
    recipe = FAR.model_copy(update={"updates_per_batch": updates})
    trainer = make_trainer(recipe)
    batch = collect(trainer, Progress(), Clock())
    _, once = step(make_trainer(FAR), Progress(), batch)
    before = trainer.backend.update.rules[0].state
    assert not before
    progress, metrics = step(trainer, Progress(), batch)
    assert progress.step == 1
    assert metrics["update_tokens"] == updates * once["update_tokens"]
    assert progress.tokens == batch.num_forwarded + metrics["update_tokens"]
    assert {float(state["step"]) for state in before.values()} == {float(updates)}
    assert trainer.backend.update.rules[0].param_groups[0]["lr"] == learning_rate(
        recipe.optimiser, 1, recipe.steps
    )
    told = {"clipped_share", "ratio_max", "old_kl", "loss_last_update"}
    assert told & metrics.keys() == (told if updates > 1 else set())
    for name in ("loss", "entropy", "mismatch_kl", "ratio_error_max"):
        assert metrics[name] == once[name]
    if updates > 1:
        assert metrics["clipped_share"] > 0
        assert metrics["ratio_max"] > 1.2
        assert metrics["old_kl"] > 1e-3


def test_a_training_of_several_updates_is_resumed_and_replayed(tmp_path, start):  # noqa: F811
    recipe = SHORT.model_copy(update={"updates_per_batch": 2})
    whole, cut = _build(tmp_path / "whole", start), _build(tmp_path / "cut", start, StoppingBuild)
    train_policy(recipe, whole)
    with pytest.raises(Exception, match="stopped after step 3"):
        train_policy(recipe, cut)
    cut.stop, cut.stop_after = False, 99
    train_policy(recipe, cut)
    for name in ("model/model.safetensors", "metrics.jsonl", "batches.parquet"):
        assert (whole.out / name).read_bytes() == (cut.out / name).read_bytes()
    once = _build(tmp_path / "once", start)
    train_policy(SHORT, once)
    model = "model/model.safetensors"
    assert (whole.out / model).read_bytes() != (once.out / model).read_bytes()
    build = _build(tmp_path / "replayed", start)
    build.inputs = {**build.inputs, TRAINED: whole.out}
    replay(Replay(training=recipe, step=5), build)
    found = json.loads((build.out / STEP_FILE).read_text())
    assert found["digest"] == read_batches(whole.out)[5]["digest"]


def test_the_field_leaves_fingerprints_alone():
    assert "updates_per_batch" not in RECIPE.canonical()
    other = RECIPE.model_copy(update={"updates_per_batch": 2})
    assert other.canonical()["updates_per_batch"] == 2
    assert other.fingerprint() != RECIPE.fingerprint()
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        PolicyRecipe.model_validate({**RECIPE.model_dump(), "updates_per_batch": 0})


def test_a_judge_beside_the_training_is_charged_over_all_attempts(tmp_path, start, toy, monkeypatch):  # noqa: F811
    """Apart from the training's own axis: what a judge remembers, and so its work, differs by attempt."""
    report = {"judge/calls": 2.0, JUDGE_GFLOPS: 1.5}
    monkeypatch.setattr(ToyObjective, "report", lambda self, collect=None: ({}, report), raising=False)
    cut = _build(tmp_path / "cut", start, StoppingBuild)
    with pytest.raises(Exception, match="stopped after step 3"):
        train_policy(SHORT, cut)
    cut.stop, cut.stop_after = False, 99
    outcome = train_policy(SHORT, cut)
    last = json.loads((cut.out / "metrics.jsonl").read_text().splitlines()[-1])
    assert outcome.summary["judge_gflops"] == 1.5 * SHORT.steps
    assert outcome.summary["gflops"] == last["gflops_total"]
    assert outcome.flops == pytest.approx(1e9 * (last["gflops_total"] + 1.5 * SHORT.steps))
