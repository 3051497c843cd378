"""Operations counted by shape, beside those torch counts as it goes."""

from contextlib import contextmanager

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.forward import branch_logprobs, document_scores
from rpt_core.policy.plain import PlainProbabilities
from rpt_core.policy.trunk import Sampling
from rpt_core.train.clock import Clock
from rpt_core.train.rl.collect import collect
from rpt_core.train.rl.state import Progress
from rpt_core.train.rl.step import step
from tests.toys import SHAPES, random_tree, tiny_policy
from tests.unit.train.rl.test_step import RECIPE, make_trainer

CUTS = [[(20, 2), (31, 1)], [(5, 2)], [(40, 0), (40, 0), (60, 9)]]


@contextmanager
def torch_counts(policy):
    """Both counts of what happens inside; attention as plain products, which the counter sees on a CPU."""
    counter, before, found = FlopCounterMode(display=False), policy.work.flops, {}
    with counter, sdpa_kernel(SDPBackend.MATH):
        yield found
    found |= {"theirs": counter.get_total_flops(), "ours": policy.work.flops - before}


def assert_equal(found):
    assert found["theirs"] > 0
    assert found["ours"] == pytest.approx(found["theirs"], rel=0.02), found["ours"] / found["theirs"]


@pytest.mark.parametrize(("tied", "vocab"), [(True, 64), (False, 3000)])
@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("layout", ["two-pass", "packed", "rows"])
@pytest.mark.parametrize("with_document", [True, False])
def test_updates(kind, tied, vocab, layout, with_document):
    policy = tiny_policy(kind, tied=tied, vocab=vocab, sharpness=1.0)
    trunks, answers = random_tree(0, CUTS, group=3, longest=9)
    with torch_counts(policy) as found:
        scores = branch_logprobs(policy, trunks, answers, layout, with_document=with_document)
        loss = scores.logprobs_N.sum() + (scores.document.nll_M.sum() if with_document else 0.0)
        loss.backward()
    assert_equal(found)
    with torch.no_grad(), torch_counts(policy) as found:
        branch_logprobs(policy, trunks, answers, layout, with_document=with_document)
    assert_equal(found)


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("top_k", [0, 16])
def test_documents_scored_and_learnt(kind, top_k):
    policy = tiny_policy(kind, vocab=500)
    trunks, _ = random_tree(1, CUTS)
    with torch.no_grad(), torch_counts(policy) as found:
        document_scores(policy, trunks, top_k=top_k)
    assert_equal(found)
    if not top_k:
        with torch_counts(policy) as found:
            document_scores(policy, trunks).nll_M.sum().backward()
        assert_equal(found)


@pytest.mark.parametrize("kind", SHAPES)
def test_activations_computed_again(kind):
    policy = tiny_policy(kind, tied=False)
    policy.checkpoint_activations()
    trunks, answers = random_tree(0, CUTS, group=3, longest=9)
    with torch_counts(policy) as found:
        branch_logprobs(policy, trunks, answers, "packed", with_document=False).logprobs_N.sum().backward()
    assert_equal(found)


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("group_size", [1, 4])
def test_answers_drawn(kind, group_size):
    """With a cache of keys and values, and rows taken out as answers end."""
    policy = tiny_policy(kind, sharpness=1.5)
    trunks, _ = random_tree(0, CUTS)
    engine = TorchEngine(policy)
    sampling = Sampling(
        temperature=1.0, max_new_tokens=24, stop_ids=frozenset(range(6)), group_size=group_size, seed=0
    )
    with torch_counts(policy) as found:
        engine.generate(trunks, sampling, 1)
    assert_equal(found)
    assert engine.flops == found["ours"]


def test_plain_chances():
    policy = tiny_policy()
    trunks, _ = random_tree(2, [[(20, 2), (31, 1)], [(5, 2)]])
    with torch_counts(policy) as found:
        PlainProbabilities(policy)(trunks, [[[1], [2]], [[3]]])
    assert_equal(found)


@pytest.mark.parametrize("updates", [1, 2])
def test_a_whole_step_is_charged_with_its_reference_and_its_further_updates(updates):
    recipe = RECIPE.model_copy(update={"kl_weight": 0.1, "ntp_weight": 0.2, "updates_per_batch": updates})
    trainer = make_trainer(recipe, reference=tiny_policy(sharpness=1.5))
    with torch_counts(trainer.policy) as found:
        batch = collect(trainer, Progress(), Clock())
        progress, _ = step(trainer, Progress(), batch)
    assert trainer.reference.work.flops > 0
    assert progress.gflops == pytest.approx((found["ours"] + trainer.reference.work.flops) / 1e9, rel=1e-9)
    assert progress.gflops * 1e9 == pytest.approx(found["theirs"], rel=0.02)


def test_looking_things_up_is_no_product():
    tied, untied = tiny_policy(tied=True, vocab=3000), tiny_policy(tied=False, vocab=3000)
    assert tied.work.per_token == untied.work.per_token
    assert tied.work.per_score == untied.work.per_score == 2 * 3000 * 32
