"""A trunk pass is separate rows: the same log-probabilities, entropies, losses and gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rpt_core.errors import RecipeError
from rpt_core.policy.attention import ATTENTION
from rpt_core.policy.flex import Flex, flex_mask
from rpt_core.policy.forward import branch_logprobs, document_scores, forward_states
from rpt_core.policy.layout import lay_out
from rpt_core.policy.trunk import Cut, Trunk
from tests.toys import gradients, random_tree, relative_error, tiny_policy

POLICIES = {
    (kind, tied): tiny_policy(kind, tied=tied)
    for kind in ("qwen3", "qwen2", "llama")
    for tied in (True, False)
}
NESTED = [[(0, 2), (3, 1), (3, 0), (3, 1), (9, 3)], [(5, 2), (5, 2)], [], [(1, 0), (12, 0)]]
"""Nested and duplicate cuts, cuts at 0 and at the end, suffixes of any length, a document without any."""


def _all(policy, tree, layout, temperature=0.8):
    scores = branch_logprobs(policy, *tree, layout, temperature)
    rng = np.random.default_rng(0)
    weights = torch.from_numpy(rng.normal(size=len(scores.logprobs_N))).float()
    (weights * scores.logprobs_N).sum().add(0.1 * scores.document.nll_M.sum()).backward()
    values = [scores.logprobs_N, scores.entropies_N, scores.document.nll_M, scores.document.entropies_M]
    return [value.detach() for value in values], gradients(policy)


def _assert_same(policy, tree, layout):
    ours, our_gradients = _all(policy, tree, layout)
    theirs, their_gradients = _all(policy, tree, "rows")
    for mine, oracle in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, oracle, rtol=0, atol=1e-5)
    assert relative_error(our_gradients, their_gradients) <= 1e-4


@pytest.mark.parametrize("layout", ["two-pass", "packed"])
@pytest.mark.parametrize("shape", POLICIES, ids=str)
def test_same_as_separate_rows(shape, layout):
    _assert_same(POLICIES[shape], random_tree(1, NESTED), layout)


@pytest.mark.parametrize("layout", ["two-pass", "packed"])
def test_one_prompt_without_an_instruction(layout):
    _assert_same(POLICIES["qwen3", True], random_tree(2, [[(7, 0)]], instruction=0, group=4), layout)


cuts = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 4)), max_size=4)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1000),
    trees=st.lists(cuts, min_size=1, max_size=3),
    instruction=st.integers(1, 3),
    group=st.integers(0, 3),
)
def test_any_tree_is_separate_rows(seed, trees, instruction, group):
    tree = random_tree(seed, trees, instruction=instruction, group=group)
    policy = POLICIES["qwen3", True]
    for layout in ("two-pass", "packed"):
        _assert_same(policy, tree, layout)


def test_answers_of_very_different_length_share_a_pass(monkeypatch):
    monkeypatch.setattr("rpt_core.policy.layout.MIN_BUCKET_SLOTS", 4)
    _assert_same(POLICIES["llama", False], random_tree(3, NESTED, group=4, longest=40), "two-pass")


def test_the_oracle_runs_under_another_attention_function():
    policy = POLICIES["qwen3", True]
    seen = []
    original = policy.model.base_model.layers[0].self_attn.forward

    def spy(*args, **kwargs):
        seen.append(policy.config._attn_implementation)
        return original(*args, **kwargs)

    policy.model.base_model.layers[0].self_attn.forward = spy
    try:
        branch_logprobs(policy, *random_tree(4, NESTED), "rows")
    finally:
        policy.model.base_model.layers[0].self_attn.forward = original
    assert seen == ["sdpa"]
    assert policy.config._attn_implementation == ATTENTION


def test_a_suffix_is_forwarded_once_and_last_tokens_never():
    trunks, answers = random_tree(5, [[(4, 3)]], group=6)
    scores = branch_logprobs(POLICIES["qwen3", True], trunks, answers)
    own = sum(len(ids) - 1 for ids in answers[0][0])
    assert scores.num_tokens == trunks[0].num_tokens + 3 + own


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flex_attention_sees_what_the_dense_mask_sees():
    policy = POLICIES["qwen3", True]
    tree = lay_out(*random_tree(6, NESTED))
    row, order = tree.packed()
    ids, positions = torch.from_numpy(row.ids[None]), torch.from_numpy(row.position[None])
    with torch.no_grad():
        dense, _ = forward_states(policy, tree, "packed")
        flexed = policy.hidden(ids, positions, Flex(flex_mask(row, torch.device("cpu"))))[0][order]
    used = tree.predictor_N
    torch.testing.assert_close(flexed[used], dense[used], rtol=0, atol=1e-4)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flex_attention_takes_what_autocast_leaves_in_two_types():
    row, _ = lay_out(*random_tree(6, NESTED)).packed()
    mask = Flex(flex_mask(row, torch.device("cpu")))
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, heads, len(row.ids), 16) for heads in (4, 2, 2))
    exact, found = mask.attend(0, q, k, v, 0.25), mask.attend(0, q, k, v.bfloat16(), 0.25)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact, rtol=0.02, atol=0.05)


def test_document_scores_need_no_branches():
    policy = POLICIES["qwen2", True]
    trunks, answers = random_tree(7, NESTED)
    alone = document_scores(policy, trunks)
    beside = branch_logprobs(policy, trunks, answers).document
    torch.testing.assert_close(alone.nll_M, beside.nll_M, rtol=0, atol=1e-5)
    assert alone.token_M.tolist() == [t for trunk in trunks for t in range(len(trunk.document_ids))]


def test_checkpointed_activations_are_refused_in_two_passes_and_exact_in_a_packed_row():
    policy = tiny_policy()
    tree = random_tree(8, NESTED)
    _, plain = _all(policy, tree, "packed")
    policy.checkpoint_activations()
    with pytest.raises(RecipeError, match="layout is two-pass"):
        branch_logprobs(policy, *tree, "two-pass")
    _, checkpointed = _all(policy, tree, "packed")
    assert relative_error(checkpointed, plain) < 1e-5


def test_a_cut_outside_the_document_is_refused():
    with pytest.raises(RecipeError, match="cut at token 4 but has 3"):
        Trunk("doc", (1,), (2, 3, 4), (Cut(4),))
    with pytest.raises(RecipeError, match="neither an instruction nor a suffix"):
        Trunk("doc", (), (2, 3, 4), (Cut(0),))
