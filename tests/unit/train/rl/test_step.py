"""One step: the gradient does not depend on the split, and equal rewards teach nothing."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch

from rpt_core.artifacts.recipe import Artifact
from rpt_core.errors import EngineError, RecipeError, StarvedError
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.parts import micro_batches
from rpt_core.recipes.reinforce import PolicyRecipe, Selection
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.backends.torch_backend import TorchBackend
from rpt_core.train.clock import Clock
from rpt_core.train.rl.collect import collect
from rpt_core.train.rl.lessons import lesson_of, scales_of
from rpt_core.train.rl.state import Progress, Trainer
from rpt_core.train.rl.step import DRAWN, accumulate, minibatches, step
from tests.toys import VOCAB, ToyObjective, gradients, random_tree, relative_error, tiny_policy

INPUT = Artifact(kind="toy", fingerprint="0" * 64, digest="0" * 64)
RECIPE = PolicyRecipe(
    corpus=INPUT, difficulty=INPUT, start=INPUT, prompts_per_step=8, group_size=4, cuts_per_document=2,
    reasoning_tokens=6, steps=20, optimiser=Optimiser(learning_rate=1e-3),
)  # fmt: skip


def make_trainer(recipe=RECIPE, *, objective=None, policy=None, **more):
    policy = policy or tiny_policy(sharpness=1.5)
    backend = TorchBackend(policy, recipe.optimiser, recipe.steps)
    objective = objective or ToyObjective(VOCAB)
    return Trainer(recipe, policy, TorchEngine(policy), objective, backend, **more)


def _gradient(trainer, batch):
    trainer.policy.model.zero_grad()
    lessons = [lesson_of(trainer, document) for document in batch.documents]
    sums = accumulate(trainer, lessons, scales_of(trainer, lessons))
    return sums, gradients(trainer.policy)


@pytest.mark.parametrize("loss", ["grpo", "dr_grpo", "gspo"])
@pytest.mark.parametrize("layout", ["two-pass", "packed", "rows"])
def test_the_split_into_micro_batches_changes_nothing(loss, layout):
    recipe = RECIPE.model_copy(update={"loss": loss, "ntp_weight": 0.3})
    trainer = make_trainer(recipe, layout=layout)
    batch = collect(trainer, Progress(), Clock())
    whole, expected = _gradient(trainer, batch)
    for budget in (1, 25, 40, 100):  # 25 and less: single documents are split by branches
        sums, found = _gradient(replace(trainer, tokens_per_micro_batch=budget), batch)
        assert relative_error(found, expected) < 1e-4
        assert sums.loss == pytest.approx(whole.loss, rel=1e-4, abs=1e-6)
        assert sums.ntp_loss == pytest.approx(whole.ntp_loss, rel=1e-5)
        assert sums.forwarded > whole.forwarded or budget == 100 or layout == "rows"


def test_every_answer_is_in_one_part_and_every_document_counts_once():
    trunks, answers = random_tree(0, [[(0, 2), (3, 1)], [], [(5, 2)], [(12, 0), (12, 0), (2, 9)]], group=5)
    for budget in (1, 30, 60, 1000):
        parts = [part for batch in micro_batches(trunks, answers, budget) for part in batch]
        found = sorted((part.trunk, *branch) for part in parts for branch in part.branches)
        assert found == [
            (t, c, a) for t, cuts in enumerate(answers) for c, at in enumerate(cuts) for a in range(len(at))
        ]
        assert sorted(part.trunk for part in parts if part.counts_document) == [0, 1, 2, 3]
        assert all(part.num_tokens <= max(budget, 12 + 13 + 9 + 5) for part in parts)


def test_equal_rewards_give_no_gradient_at_all():
    trainer = make_trainer(RECIPE.model_copy(update={"selection": Selection(drop_equal_from_step=99)}))
    trainer.objective.score_all = 1.0
    sums, found = _gradient(trainer, collect(trainer, Progress(), Clock()))
    assert sums.answer_tokens > 0
    assert all(not gradient.any() for gradient in found.values())


def test_dropped_groups_do_not_reach_the_update():
    trainer = make_trainer()
    trainer.objective.score_all = 0.0
    before = [p.clone() for p in trainer.policy.model.parameters()]
    progress, metrics = step(trainer, Progress(), collect(trainer, Progress(), Clock()))
    assert metrics["kept_fraction"] == 0
    assert progress.empty_steps == 1
    assert all(torch.equal(p, q) for p, q in zip(before, trainer.policy.model.parameters(), strict=True))


def test_the_optimised_policy_is_the_sampled_one():
    trainer = make_trainer(RECIPE.model_copy(update={"temperature": 0.8}))
    _, metrics = step(trainer, Progress(), collect(trainer, Progress(), Clock()))
    assert metrics["ratio_error_max"] < 1e-5


def test_reward_rises():
    recipe = RECIPE.model_copy(update={"optimiser": Optimiser(learning_rate=1e-2)})
    trainer, progress, rewards = make_trainer(recipe), Progress(), []
    for _ in range(20):
        progress, metrics = step(trainer, progress, collect(trainer, progress, Clock()))
        rewards.append(metrics["reward_mean"])
    assert sum(rewards[-3:]) / 3 > sum(rewards[:3]) / 3 + 0.2


def test_rejection_sampling_learns_from_right_answers_in_rounds():
    """Groups that are all right are learnt as well; an answer that is wrong never is."""
    optimiser = Optimiser(learning_rate=1e-2)
    recipe = RECIPE.model_copy(update={"loss": "rejection", "updates_per_batch": 4, "optimiser": optimiser})
    trainer, progress, rewards = make_trainer(recipe), Progress(), []
    for _ in range(6):
        batch = collect(trainer, progress, Clock())
        assert [group.keep for group in batch.groups] == [max(group.scores) == 1 for group in batch.groups]
        progress, metrics = step(trainer, progress, batch)
        rewards.append(metrics["reward_mean"])
    assert sum(rewards[-2:]) / 2 > rewards[0] + 0.2


def test_minibatches_are_updates_one_after_the_other_each_with_its_own_denominator():
    """A step of two parts moves the weights as two updates do, whose answers count as they were drawn."""
    settings = {"loss": "rejection", "optimiser": Optimiser(learning_rate=1e-2)}
    whole = make_trainer(RECIPE.model_copy(update={**settings, "minibatches": 2}))
    batch = collect(whole, Progress(), Clock())
    learnt = [one for one in map(partial(lesson_of, whole), batch.documents) if one.answers]
    assert len(learnt) > 2
    progress, metrics = step(whole, Progress(), batch)
    apart, sums = make_trainer(RECIPE.model_copy(update=settings)), []
    for part, old in ((learnt[::2], None), (learnt[1::2], DRAWN)):
        sums.append(accumulate(apart, part, scales_of(apart, part), old))
        apart.backend.step(1)
    pairs = zip(whole.policy.model.parameters(), apart.policy.model.parameters(), strict=True)
    assert all(torch.allclose(one, other, atol=1e-7) for one, other in pairs)
    assert sums[1].mismatch == 0
    assert metrics["update_tokens"] == sum(one.forwarded for one in sums)
    assert (progress.step, progress.used) == (1, batch.num_kept)


def test_more_minibatches_than_documents_are_as_many_as_there_are():
    trainer = make_trainer(RECIPE.model_copy(update={"loss": "rejection", "minibatches": 1000}))
    batch = collect(trainer, Progress(), Clock())
    lessons = [lesson_of(trainer, document) for document in batch.documents]
    found = minibatches(trainer, lessons)
    learnt = [one for one in lessons if one.answers]
    assert [len(part) for part in found] == [1] * len(learnt)
    assert step(trainer, Progress(), batch)[0].empty_steps == 0


@pytest.mark.parametrize("loss", ["grpo", "dr_grpo", "cispo", "rloo"])
def test_minibatches_of_a_policy_gradient_are_refused(loss):
    with pytest.raises(RecipeError, match="only loss=rejection learns from answers of any"):
        PolicyRecipe.parse({**dict(RECIPE), "loss": loss, "minibatches": 2})


def test_refills_draw_what_is_missing():
    recipe = RECIPE.model_copy(update={"selection": Selection(max_refills=2)})
    trainer = make_trainer(recipe)
    trainer.objective.score_all = 0.0
    batch = collect(trainer, Progress(cursor=10), Clock())
    assert trainer.objective.draws == [(1, 10, 8), (1, 18, 8), (1, 26, 8)]
    assert batch.cursor == 34
    trainer.objective.draws.clear()
    trainer.objective.score_all = None
    batch = collect(trainer, Progress(), Clock())
    wanted = [num for _, _, num in trainer.objective.draws]
    assert wanted[0] == 8
    assert len(wanted) > 1
    firsts = [sum(wanted[: number + 1]) for number in range(len(wanted))]
    kept = [sum(group.keep for group in list(batch.groups)[:num]) for num in firsts]
    assert wanted[1:] == [8 - num for num in kept[: len(wanted) - 1]]
    assert (kept[-1] >= 8) is (len(wanted) < 3)


def test_next_token_loss_covers_every_token_but_those_asked_about():
    trainer = make_trainer(RECIPE.model_copy(update={"ntp_weight": 1.0}))
    trainer.objective.score_all = 0.5
    recipe = trainer.recipe.model_copy(update={"selection": Selection(drop_equal_from_step=99)})
    trainer = replace(trainer, recipe=recipe)
    batch = collect(trainer, Progress(), Clock())
    sums, found = _gradient(trainer, batch)
    trainer.policy.model.zero_grad()
    total, count = 0, 0
    for document in batch.documents:
        trunk = document.asked.trunk
        ids = torch.tensor([trunk.token_ids])
        logp = torch.log_softmax(trainer.policy.model(input_ids=ids, use_cache=False).logits, -1)[0]
        asked = {cut.position for cut in trunk.cuts}
        for token in range(len(trunk.document_ids)):
            if token not in asked:
                total, count = total - logp[token, trunk.document_ids[token]], count + 1
    (total / count).backward()
    assert sums.ntp_loss == pytest.approx(float(total.detach()) / count, rel=1e-5)
    assert relative_error(found, gradients(trainer.policy)) < 1e-4


def test_the_reference_pulls_back():
    recipe = RECIPE.model_copy(update={"kl_weight": 0.5})
    trainer = make_trainer(recipe, reference=tiny_policy(sharpness=1.5))
    batch = collect(trainer, Progress(), Clock())
    sums, _ = _gradient(trainer, batch)
    assert sums.kl == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        for parameter in trainer.policy.model.parameters():
            parameter.mul_(1.3)
    sums, _ = _gradient(trainer, batch)
    assert sums.kl > 0


def test_masked_answers_are_pulled_back_by_nothing():
    recipe = RECIPE.model_copy(update={"kl_weight": 0.5, "selection": Selection(mask_truncated=True)})
    trainer = make_trainer(recipe, reference=tiny_policy(sharpness=1.2))
    batch = collect(trainer, Progress(), Clock())
    lessons = [lesson_of(trainer, document) for document in batch.documents]
    assert any(not counts for one in lessons for cut in one.counted for counts in cut)
    trainer.policy.model.zero_grad()
    accumulate(trainer, lessons, scales_of(trainer, lessons))
    with_masked = gradients(trainer.policy)
    for one in lessons:
        for at in ("answers", "engine_logprobs", "advantages"):
            kept = [
                [value for value, counts in zip(values, cut, strict=True) if counts]
                for values, cut in zip(getattr(one, at), one.counted, strict=True)
            ]
            getattr(one, at)[:] = kept
        one.counted[:] = [[True] * sum(cut) for cut in one.counted]
    accumulate(trainer, lessons, scales_of(trainer, lessons))
    assert relative_error(gradients(trainer.policy), with_masked) < 1e-4


def test_the_gap_between_engine_and_trainer_is_logged():
    trainer = make_trainer()
    batch = collect(trainer, Progress(), Clock())
    _, metrics = step(trainer, Progress(), batch)
    assert abs(metrics["mismatch_kl"]) < 1e-6
    with torch.no_grad():
        trainer.policy.output_weight.mul_(1.2)
    _, metrics = step(trainer, Progress(), batch)
    assert 1e-4 < metrics["mismatch_kl"] < metrics["mismatch_nats"]


def test_steps_without_anything_to_compare_end_the_run_with_their_verdicts():
    trainer = make_trainer(RECIPE.model_copy(update={"selection": Selection(max_empty_steps=3)}))
    trainer.objective.score_all = 0.0
    progress = Progress()
    for _ in range(2):
        progress, _ = step(trainer, progress, collect(trainer, progress, Clock()))
    with pytest.raises(StarvedError, match=r"3 steps in a row, up to step 3, .* \d+ (wrong|truncated)"):
        step(trainer, progress, collect(trainer, progress, Clock()))


def test_empty_steps_count_in_a_row_only():
    trainer = make_trainer(RECIPE.model_copy(update={"selection": Selection(max_empty_steps=2)}))
    progress, empty = Progress(), []
    for score in (0.0, None, 0.0, None):
        trainer.objective.score_all = score
        progress, _ = step(trainer, progress, collect(trainer, progress, Clock()))
        empty.append(progress.empty_steps)
    assert empty == [1, 0, 1, 0]


def test_every_metric_of_a_step_is_that_of_its_answers():
    trainer = make_trainer()
    batch = collect(trainer, Progress(), Clock())
    progress, metrics = step(trainer, Progress(), batch)
    groups = [group for document in batch.documents for group in document.groups]
    verdicts = [verdict for group in groups for verdict in group.verdicts]
    for name in ("correct", "wrong", "truncated", "unparsed"):
        assert metrics[f"verdict/{name}"] == sum(verdict.verdict == name for verdict in verdicts)
    kept = [group for group in groups if len({v.score for v in group.verdicts}) > 1]
    assert 0 < len(kept) < len(groups)
    assert metrics["groups_kept"] == len(kept) == progress.used
    assert metrics["kept_fraction"] == len(kept) / len(groups)
    assert metrics["questions_total"] == len(groups) == progress.asked
    assert metrics["reward_mean"] == pytest.approx(sum(v.score for v in verdicts) / len(verdicts))
    lengths = [len(sample.token_ids) for group in groups for sample in group.samples]
    assert metrics["answer_tokens"] == pytest.approx(sum(lengths) / len(lengths))
    thoughts = [v.thought_tokens for v in verdicts]
    assert metrics["thought_tokens"] == pytest.approx(sum(thoughts) / len(thoughts))
    assert metrics["think_share"] == pytest.approx(sum(n > 0 for n in thoughts) / len(thoughts))
    assert metrics["tokens_total"] == progress.tokens == batch.num_forwarded + metrics["update_tokens"]


def test_no_question_ends_the_run_by_name():
    trainer = make_trainer(objective=ToyObjective(VOCAB, num_documents=0))
    with pytest.raises(StarvedError, match="no position is eligible"):
        collect(trainer, Progress(), Clock())


def test_a_loss_that_is_not_finite_ends_the_run_and_leaves_the_weights():
    trainer = make_trainer()
    batch = collect(trainer, Progress(), Clock())
    with torch.no_grad():
        trainer.policy.model.base_model.norm.weight[0] = math.nan
    before = trainer.policy.output_weight.clone()
    with pytest.raises(EngineError, match=r"loss is nan .* at step 5; the last good step was 4"):
        step(trainer, Progress(step=4), batch)
    assert torch.equal(before, trainer.policy.output_weight)


def test_an_engine_with_other_weights_is_noticed():
    trainer = make_trainer()
    batch = collect(trainer, Progress(), Clock())
    with torch.no_grad():
        trainer.policy.output_weight.mul_(6)
    with pytest.raises(EngineError, match=r"engine and trainer differ by .* \(at most 0\.5\)"):
        step(trainer, Progress(), batch)
    recipe = trainer.recipe.model_copy(update={"mismatch_nats_max": 1e3})
    assert step(replace(trainer, recipe=recipe), Progress(), batch)[1]["mismatch_nats"] > 0.5


def test_flops_count_what_was_forwarded():
    trainer = make_trainer()
    batch = collect(trainer, Progress(), Clock())
    progress, metrics = step(trainer, Progress(), batch)
    work = (
        trainer.policy.work
    )  # no other pass was made; tests/unit/policy/test_work.py checks it against torch's count
    assert 0 < batch.flops < work.flops
    assert progress.gflops == metrics["gflops_total"] == pytest.approx(work.flops / 1e9, rel=1e-12)
    assert work.flops - batch.flops > 3 * work.per_token * metrics["update_tokens"]
    assert progress.tokens == batch.num_forwarded + metrics["update_tokens"]
