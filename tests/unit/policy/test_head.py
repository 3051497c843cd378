"""The chunked head against torch's own log-softmax, its gradients against autograd's."""

import pytest
import torch

from rpt_core.policy import head
from rpt_core.policy.head import score_tokens, score_top_k, top_logits


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setitem(head.CHUNK_ELEMENTS, "cpu", 50 * 16)
    monkeypatch.setattr(head, "SCORING_ELEMENTS", 50 * 16)
    monkeypatch.setattr(head, "FEWEST_TOKENS", 16)


def _plain(hidden, weight, targets, temperature):
    logp = torch.log_softmax(hidden @ weight.T / temperature, 1)
    return logp.gather(1, targets[:, None]).squeeze(1), -(logp.exp() * logp).sum(1)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_values_and_gradients(temperature):
    torch.manual_seed(0)
    hidden, weight = torch.randn(70, 8, dtype=torch.float64), torch.randn(50, 8, dtype=torch.float64)
    targets, slopes = torch.randint(50, (70,)), torch.randn(2, 70)
    results = []
    for function in (score_tokens, _plain):
        h, w = hidden.float().requires_grad_(), weight.float().requires_grad_()
        logp, entropy = function(h, w, targets, temperature)
        (slopes[0] * logp + slopes[1] * entropy).sum().backward()
        results.append([logp.detach(), entropy.detach(), h.grad, w.grad])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_bfloat16_sums_in_float32():
    torch.manual_seed(0)
    hidden, weight = torch.randn(64, 32).bfloat16(), torch.randn(5000, 32).bfloat16()
    targets = torch.randint(5000, (64,))
    logp, _ = score_tokens(hidden, weight, targets)
    exact, _ = _plain(hidden.double(), weight.double(), targets, 1.0)
    assert (logp.double() - exact).abs().max() < 1e-4


def test_no_scored_token_is_no_error():
    logp, entropy = score_tokens(
        torch.zeros(0, 8, requires_grad=True), torch.zeros(50, 8), torch.zeros(0).long()
    )
    (logp.sum() + entropy.sum()).backward()
    assert len(logp) == 0


def test_difficulty_is_the_entropy_of_the_renormalised_head():
    torch.manual_seed(0)
    hidden, weight, targets = torch.randn(40, 8), torch.randn(50, 8), torch.randint(50, (40,))
    nll, entropy = score_top_k(hidden, weight, targets, 16)
    logp, full = _plain(hidden, weight, targets, 1.0)
    torch.testing.assert_close(nll, -logp)
    best = torch.softmax((hidden @ weight.T).topk(16, 1).values, 1)
    torch.testing.assert_close(entropy, -(best * best.log()).sum(1))
    torch.testing.assert_close(score_top_k(hidden, weight, targets, 99)[1], full, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("vocab", [16, 100, 2048, 5000])
def test_the_largest_by_blocks_are_the_largest(vocab):
    torch.manual_seed(vocab)
    logits = torch.randn(30, vocab)
    assert torch.equal(top_logits(logits, 16), logits.topk(16, 1).values)


def test_normalisers_in_place_are_torchs_to_the_last_bit(monkeypatch):
    monkeypatch.setattr(head, "SLICE_ELEMENTS", 3 * 500)
    torch.manual_seed(0)
    logits = 5 * torch.randn(32, 500)
    wanted = logits.logsumexp(1)
    assert torch.equal(head._logsumexp_(logits.clone(), logits.amax(1, keepdim=True)), wanted)


def test_difficulty_does_not_depend_on_chunks_or_on_the_memory_they_share(monkeypatch):
    torch.manual_seed(0)
    hidden, weight, targets = torch.randn(70, 8), torch.randn(50, 8), torch.randint(50, (70,))
    parts = score_top_k(hidden, weight, targets, 5)  # five chunks, the last one shorter
    monkeypatch.setattr(head, "SCORING_ELEMENTS", 1 << 24)
    whole = score_top_k(hidden, weight, targets, 5)
    for ours, theirs in zip(parts, whole, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_only_scoring_without_gradient_takes_longer_chunks(monkeypatch):
    asked = []
    monkeypatch.setattr(
        head, "product", lambda left, right, into=None: asked.append(len(left)) or left @ right
    )
    monkeypatch.setattr(head, "SCORING_ELEMENTS", 50 * 35)
    hidden, weight, targets = torch.randn(70, 8), torch.randn(50, 8), torch.randint(50, (70,))
    score_top_k(hidden, weight, targets, 5)
    score_tokens(hidden, weight, targets)
    assert asked == [35, 35, 16, 16, 16, 16, 6]
