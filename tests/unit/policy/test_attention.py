"""Attention and its normaliser beside their formulae in float64: every size another, every part alone."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn.attention.flex_attention import create_block_mask

from rpt_core.errors import RecipeError
from rpt_core.policy import attention, normed_attention
from rpt_core.policy.attention import (
    UNSEEN,
    Branches,
    Causal,
    Decode,
    FixedDecode,
    Local,
    Masked,
    bias,
    tree_attention,
)
from rpt_core.policy.flex import BLOCK, STRIP, Flex, block_mask, flex_mask
from rpt_core.policy.layout import lay_out, visible
from rpt_core.policy.normed_attention import attend_with_norm
from tests.toys import random_tree

B, K, R, M, D, C = 2, 3, 2, 5, 7, 4
SCALING = 0.37


def _exact(q_BHMC, k_BKDC, v_BKDC, sees_BMD=None, scaling=SCALING):
    """The textbook's softmax attention and its log-sum of exponentials, in float64."""
    repeats = q_BHMC.shape[1] // k_BKDC.shape[1]
    q = q_BHMC.double()
    k, v = (x.double().repeat_interleave(repeats, 1) for x in (k_BKDC, v_BKDC))
    scores = scaling * torch.einsum("bhmc,bhdc->bhmd", q, k)
    if sees_BMD is not None:
        scores = scores.masked_fill(~sees_BMD[:, None], -torch.inf)
    return torch.einsum("bhmd,bhdc->bhmc", scores.softmax(-1), v), scores.logsumexp(-1)


def _random(seed=0):
    rng = torch.Generator().manual_seed(seed)
    shapes = (B, K * R, M, C), (B, K, D, C), (B, K, D, C)
    q, k, v = (torch.randn(shape, generator=rng) * 2 for shape in shapes)
    sees = torch.rand((B, M, D), generator=rng) < 0.6
    sees[..., 2] = True
    return q, k, v, sees


ALL_AT_ONCE, TWO_QUERIES, ONE_QUERY = 1 << 62, 2 * B * K * R * D + 5, 1


@pytest.mark.parametrize("most", [ALL_AT_ONCE, TWO_QUERIES, ONE_QUERY])
@pytest.mark.parametrize("masked", [True, False])
def test_values_normalisers_and_gradients_are_the_formulas(monkeypatch, most, masked):
    monkeypatch.setitem(normed_attention.SCORES_MOST, "cpu", most)
    q, k, v, sees = _random()
    slopes = torch.Generator().manual_seed(1)
    d_out = torch.randn((B, K * R, M, C), generator=slopes)
    d_norm = torch.randn((B, K * R, M), generator=slopes)
    hidden = bias(sees) if masked else None
    with torch.no_grad():
        plain = attend_with_norm(q, k, v, hidden, SCALING)
    found = []
    for function, given in ((attend_with_norm, hidden), (_exact, sees if masked else None)):
        inputs = [x.clone().requires_grad_() for x in (q, k, v)]
        out, norm = function(*inputs, given, SCALING)
        ((out * d_out).sum() + (norm * d_norm).sum()).backward()
        found.append([out.detach(), norm.detach(), *(x.grad for x in inputs)])
    assert plain[1].dtype == torch.float32
    for ours, theirs in zip(plain, found[0], strict=False):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours.double(), theirs.double(), rtol=2e-5, atol=2e-5)


def test_queries_are_taken_in_slices_of_as_many_scores_as_may_be(monkeypatch):
    q, k = torch.zeros(B, K, R, M, C), torch.zeros(B, K, D, C)
    each = B * K * R * D
    wanted = {
        each * M: [(0, 5)], each * M - 1: [(0, 4), (4, 8)], each * 3 - 1: [(0, 2), (2, 4), (4, 6)],
        each - 1: [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)],
    }  # fmt: skip
    for most, slices in wanted.items():
        monkeypatch.setitem(normed_attention.SCORES_MOST, "cpu", most)
        assert [(one.start, one.stop) for one in normed_attention._slices(q, k)] == slices
        if most == each - 1:
            assert [(s.start, s.stop) for s in normed_attention._slices(q[:, :, :, :0], k)] == [(0, 1)]
    assert normed_attention._slices(q[:0], k) == [slice(0, each - 1)]  # nothing at all is one slice
    monkeypatch.delitem(normed_attention.SCORES_MOST, "cpu")
    monkeypatch.setitem(normed_attention.SCORES_MOST, "cuda", each * 4)
    assert normed_attention._slices(q, k) == [
        slice(0, 4),
        slice(4, 8),
    ]  # an unlisted device is a GPU


def test_only_what_is_computed_at_once_keeps_its_probabilities(monkeypatch):
    q, k, v, sees = _random()
    grouped = q.view(B, K, R, M, C)
    for most, kept in ((ALL_AT_ONCE, (B, K, R, M, D)), (TWO_QUERIES, None)):
        monkeypatch.setitem(normed_attention.SCORES_MOST, "cpu", most)
        _, _, weights = normed_attention._attend_in_slices(grouped, k, v, bias(sees), SCALING)
        assert (None if weights is None else weights.shape) == kept


def test_a_query_that_sees_nothing_has_no_share_in_a_join():
    q, k, v, sees = _random()
    sees[1, 3] = False
    out, norm = attend_with_norm(q, k, v, bias(sees), SCALING)
    assert torch.isfinite(out).all()
    assert norm[1, :, 3].tolist() == pytest.approx([UNSEEN] * K * R)
    other = torch.randn(K * R, C), torch.randn(K * R)
    assert torch.equal(attention._join((out[1, :, 3], norm[1, :, 3]), other), other[0])


def test_two_sets_of_keys_joined_are_one():
    q, k, v, sees = _random()
    whole, _ = _exact(q, k, v, sees)
    parts = [_exact(q, k[:, :, some], v[:, :, some], sees[:, :, some]) for some in (slice(4), slice(4, 7))]
    seen = torch.stack([sees[:, :, :4].any(-1), sees[:, :, 4:].any(-1)]).all(0)[:, None]
    joined = attention._join(*parts)
    mask = seen.expand(B, K * R, M)
    torch.testing.assert_close(joined[mask], whole[mask])


def test_gradients_have_the_types_of_what_they_are_gradients_of():
    """Under autocast normalised queries and keys are float32 beside values in bfloat16."""
    q, k, v, sees = _random()
    inputs = [q.requires_grad_(), k.requires_grad_(), v.bfloat16().requires_grad_()]
    out, norm = attend_with_norm(*inputs, bias(sees), SCALING)
    assert (out.dtype, norm.dtype) == (torch.bfloat16, torch.float32)
    (out.float().square().sum() + norm.sum()).backward()
    ours = [x.grad.clone() for x in inputs]
    assert [x.dtype for x in ours] == [torch.float32, torch.float32, torch.bfloat16]
    exact = [x.detach().clone().requires_grad_() for x in (q, k, v.bfloat16().float())]
    out, norm = _exact(*exact, sees)
    (out.square().sum() + norm.sum()).backward()
    for mine, theirs in zip(ours, exact, strict=True):
        assert float((mine.float() - theirs.grad).norm() / theirs.grad.norm()) < 0.05


def _module(layer=1):
    return SimpleNamespace(layer_idx=layer)


def test_rows_are_causal_and_scaled_by_their_width_unless_told():
    q, k, v, _ = _random()
    k, v = k[:, :, :M], v[:, :, :M]
    lower = torch.ones(M, M, dtype=torch.bool).tril().expand(B, M, M)
    for scaling, exact in ((None, C**-0.5), (SCALING, SCALING)):
        out, none = tree_attention(_module(), q, k, v, None, scaling)
        assert none is None
        assert out.is_contiguous()
        wanted, _ = _exact(q, k, v, lower, exact)
        torch.testing.assert_close(out.double(), wanted.transpose(1, 2), rtol=1e-5, atol=1e-5)


def test_a_tree_attends_at_the_modules_layer():
    seen = []

    class Tree:
        def attend(self, layer, q, k, v, scaling):
            seen.append((layer, q, k, v, scaling))
            return q

    q, k, v, _ = _random()
    out, _ = tree_attention(_module(3), q, k, v, None, 0.5, Tree())
    assert torch.equal(out, q)
    assert seen == [(3, q, k, v, 0.5)]


def test_what_the_function_cannot_take_is_refused():
    q, k, v, sees = _random()
    with pytest.raises(ValueError, match=r"of shape \(2, 5, 7\) was given to 'rpt_tree'"):
        tree_attention(_module(), q, k, v, sees)
    with pytest.raises(RecipeError, match="values have 3 numbers a head and queries 4"):
        tree_attention(_module(), q, k, v[..., :3], None)


@pytest.mark.parametrize("heads", [K, K * R])
def test_an_explicit_mask_is_kept_for_grouped_heads_and_others(heads):
    q, k, v, sees = _random()
    q, k, v, mask = q[:, :heads], k[:, :, :M], v[:, :, :M], sees[:, :, :M] | torch.eye(M, dtype=torch.bool)
    out = Masked(mask[:, None]).attend(0, q, k, v, SCALING)
    wanted, _ = _exact(q, k, v, mask)
    torch.testing.assert_close(out.double(), wanted.transpose(1, 2), rtol=1e-5, atol=1e-5)
    causal = Causal(keep=True)
    out = causal.attend(0, q, k, v, SCALING)
    wanted, _ = _exact(q, k, v, torch.ones(M, M, dtype=torch.bool).tril().expand(B, M, M))
    torch.testing.assert_close(out.double(), wanted.transpose(1, 2), rtol=1e-5, atol=1e-5)
    assert causal.keys[0] is k
    assert causal.values[0] is v
    assert Causal().keep is False


def test_pairs_are_counted_with_padding():
    assert Causal().num_pairs(3, 5) == Masked(torch.zeros(1)).num_pairs(3, 5) == 75
    locals_ = [Local(None, None, torch.zeros(2, 3, 4)), Local(None, None, torch.zeros(1, 5, 7))]
    branches = Branches(Causal(), None, torch.zeros(2, 3, 7), None, locals_, None)
    assert branches.num_pairs(1, 9) == 42 + 24 + 35
    assert branches.keep is False
    keys = [torch.zeros(3, 2, 11, 4)]
    one = (Causal(), None, torch.zeros(2, 3, 7), None, keys, keys, None, 6)
    assert Decode(*one).num_pairs(3, 1) == 42 + 3 * 7
    assert FixedDecode(*one, place_1=torch.tensor([6])).num_pairs(3, 1) == 42 + 3 * 11


def test_a_group_reads_its_own_rows_and_gives_slots_back():
    """One ragged token of a group is padding; two groups are laid end to end."""
    q_NHC = torch.randn(4, K * R, C)
    _, k, v, _ = _random()
    query = torch.tensor([[2, 0, 3], [1, 0, 0]])
    sees = torch.rand(B, 3, D) < 0.7
    sees[..., 1] = True
    out, norm = attention._grouped(q_NHC, query, k, v, bias(sees), SCALING)
    wanted, wanted_norm = _exact(q_NHC[query].transpose(1, 2), k, v, sees)
    torch.testing.assert_close(
        out.double(), wanted.transpose(1, 2).reshape(6, K * R, C), rtol=1e-5, atol=1e-5
    )
    torch.testing.assert_close(
        norm.double(), wanted_norm.transpose(1, 2).reshape(6, -1), rtol=1e-5, atol=1e-5
    )
    back = attention._back([(out, norm)], torch.tensor([1, 3, 0, 2]))
    assert torch.equal(back[0], out[[1, 3, 0, 2]])
    assert torch.equal(back[1], norm[[1, 3, 0, 2]])
    both = attention._back([(out[:4], norm[:4]), (out[4:], norm[4:])], torch.tensor([5, 1]))
    assert torch.equal(both[0], out[[5, 1]])
    assert torch.equal(both[1], norm[[5, 1]])


def _same_blocks(ours, theirs):
    assert ours.BLOCK_SIZE == theirs.BLOCK_SIZE == (BLOCK, BLOCK)
    assert ours.seq_lengths == theirs.seq_lengths
    for name in ("kv_num_blocks", "full_kv_num_blocks"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name)), name
    for counts, indices in (("kv_num_blocks", "kv_indices"), ("full_kv_num_blocks", "full_kv_indices")):
        for row, number in enumerate(getattr(theirs, counts)[0, 0].tolist()):
            mine, other = (getattr(one, indices)[0, 0, row, :number].tolist() for one in (ours, theirs))
            assert mine == other, (indices, row)


@pytest.mark.parametrize("length", [5, BLOCK, BLOCK + 1, STRIP * BLOCK + 70])
def test_blocks_are_those_that_torch_makes(length):
    """Causal windows of 300 tokens, with one column that all see: whole, partial and empty blocks."""

    def sees(batch, head, query, key):
        return (key <= query) & ((query - key < 300) | (key == 7))

    device = torch.device("cpu")
    _same_blocks(
        block_mask(sees, length, device),
        create_block_mask(sees, None, None, length, length, device="cpu", BLOCK_SIZE=BLOCK),
    )


def test_the_kernels_sight_is_that_of_the_dense_mask():
    """Over several blocks, with two documents; places beyond the row are seen by none."""
    tree = lay_out(*random_tree(3, [[(60, 9), (60, 0), (100, 4)], [(5, 2)]], group=3, longest=40))
    row, _ = tree.packed()
    length = len(row.ids)
    assert length > 2 * BLOCK
    mask = flex_mask(row, torch.device("cpu"))
    index = np.arange(length)
    dense = torch.from_numpy(visible(row, index[:, None], index[None]))
    zero = torch.tensor(0)
    found = mask.mask_mod(zero, zero, torch.arange(length)[:, None], torch.arange(length)[None])
    assert torch.equal(found, dense)
    blocks = -(-length // BLOCK)
    padded = torch.zeros(blocks * BLOCK, blocks * BLOCK, dtype=torch.bool)
    padded[:length, :length] = dense
    counts = padded.view(blocks, BLOCK, blocks, BLOCK).sum((1, 3))
    assert mask.kv_num_blocks[0, 0].tolist() == ((counts > 0) & (counts < BLOCK**2)).sum(1).tolist()
    assert mask.full_kv_num_blocks[0, 0].tolist() == (counts == BLOCK**2).sum(1).tolist()
    assert mask.seq_lengths == (length, length)
    assert Flex(mask).num_pairs(1, length) == int((counts > 0).sum()) * BLOCK**2
