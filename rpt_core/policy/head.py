"""Log-probabilities and entropies of scored tokens, without ever holding a (tokens, vocabulary) tensor.

The hidden states of the scored positions are gathered first; head, log-softmax and entropy then run
over chunks of tokens, and the backward pass computes each chunk's logits again. Sums over the
vocabulary are taken in float32 whatever the model's type: bfloat16 partial sums bias training.

Letters: N scored tokens, E hidden size, V vocabulary, J tokens of one chunk, U ids never drawn.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

CHUNK_ELEMENTS = {"cpu": 1 << 22, "cuda": 1 << 26}
"""Logits held at a time by kind of device: 16 MiB of float32 on a CPU, 256 MiB on a GPU. There a chunk of
some 440 tokens at a vocabulary of 152 thousand is bound by arithmetic; one of 128 tokens by reading the
head."""
SCORING_ELEMENTS = 1 << 24
"""Logits held at a time on a CPU where nothing has a gradient: one tensor of 64 MiB, no more than
:data:`FEWEST_TOKENS` take at a vocabulary of 152 thousand. Each product packs the head's matrix anew, with
two threads twice: at a vocabulary of 33 thousand and width 512, chunks of 128, 256 and 512 tokens took 1.41,
1.22 and 1.16 times the CPU-seconds of the bare product with two threads, 1.15, 1.09 and 1.09 with one."""
SLICE_ELEMENTS = 1 << 18
"""Logits that are summed at a time on a CPU: 1 MiB stays in a core's cache between the passes over it."""
NEVER = -1e30
"""Logit of an id that is never drawn: its probability is exactly 0, and finite, so that an entropy's
``p log p`` is 0 and no NaN."""
FEWEST_TOKENS = 128
"""Tokens of a chunk at least: each chunk reads the whole head's matrix. At a vocabulary of 152 thousand and
width 512, chunks of 27, 64 and 128 tokens took 2.4, 1.8 and 1.4 times the CPU-seconds of the bare product."""


class _Head(torch.autograd.Function):
    """The fused head; gradients to hidden states and weight, through log-probability and entropy."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_NE: Tensor,
        weight_VE: Tensor,
        targets_N: Tensor,
        temperature: float,
        never_U: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        logprobs_N = torch.empty(len(targets_N), dtype=torch.float32, device=hidden_NE.device)
        entropies_N = torch.empty_like(logprobs_N)
        factor_VE = weight_VE.to(hidden_NE.dtype)  # cast once, not once a chunk
        for chunk in chunks(len(targets_N), weight_VE):
            logp_JV = _log_softmax(hidden_NE[chunk], factor_VE, temperature, never_U)
            logprobs_N[chunk] = logp_JV.gather(1, targets_N[chunk, None]).squeeze(1)
            entropies_N[chunk] = -logp_JV.exp().mul_(logp_JV).sum(1)
        ctx.save_for_backward(hidden_NE, weight_VE, targets_N, entropies_N)
        ctx.temperature, ctx.never_U = temperature, never_U
        return logprobs_N, entropies_N

    @staticmethod
    def backward(ctx: Any, d_logprobs_N: Tensor, d_entropies_N: Tensor) -> tuple[Tensor | None, ...]:
        hidden_NE, weight_VE, targets_N, entropies_N = ctx.saved_tensors
        d_hidden_NE = torch.empty_like(hidden_NE)
        d_weight_VE = torch.zeros_like(weight_VE, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        with_entropy = bool(d_entropies_N.any())
        factor_VE = weight_VE.to(hidden_NE.dtype)
        for chunk in chunks(len(targets_N), weight_VE):
            logp_JV = _log_softmax(hidden_NE[chunk], factor_VE, ctx.temperature, ctx.never_U)
            probs_JV = logp_JV.exp()
            d_logits_JV = probs_JV * -d_logprobs_N[chunk, None]  # d log p(target) / d logits = 1[target] - p
            if with_entropy:
                slope_JV = logp_JV.add_(entropies_N[chunk, None]).mul_(probs_JV)  # -dH/dz = p (log p + H)
                d_logits_JV -= slope_JV.mul_(d_entropies_N[chunk, None])
            d_logits_JV.scatter_add_(1, targets_N[chunk, None], d_logprobs_N[chunk, None])
            d_logits_JV = d_logits_JV.div_(ctx.temperature).to(hidden_NE.dtype)
            d_hidden_NE[chunk] = d_logits_JV @ factor_VE  # (J, V) @ (V, E)
            if d_weight_VE is not None:
                d_weight_VE += product(d_logits_JV.mT, hidden_NE[chunk])  # (V, J) @ (J, E), in float32
        d_weight = None if d_weight_VE is None else d_weight_VE.to(weight_VE.dtype)
        return d_hidden_NE, d_weight, None, None, None


def score_tokens(
    hidden_NE: Tensor,
    weight_VE: Tensor,
    targets_N: Tensor,
    temperature: float = 1.0,
    never_U: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Log-probability of each target, and the entropy of the distribution it was drawn from.

    Args:
        hidden_NE: Hidden states each target is predicted from, any float type.
        weight_VE: The head's matrix.
        targets_N: Token ids, int64.
        temperature: Logits are divided by it, as when answers are drawn.
        never_U: Ids that are never drawn: the distribution is renormalised over all others.

    Returns:
        Natural logs and entropies in nats, float32, both with gradient.
    """
    logprobs_N, entropies_N = _Head.apply(hidden_NE, weight_VE, targets_N, temperature, never_U)  # type: ignore[no-untyped-call]
    return logprobs_N, entropies_N


@torch.no_grad()
def score_top_k(hidden_NE: Tensor, weight_VE: Tensor, targets_N: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood of each target, and how hard it was to guess (RPT, section 3.3).

    The difficulty is the entropy of the distribution renormalised over its ``top_k`` likeliest tokens:
    0 when one token has all the mass, ``log(top_k)`` when they are equally likely.

    Args:
        hidden_NE: Hidden states each target is predicted from.
        weight_VE: The head's matrix.
        targets_N: Token ids, int64.
        top_k: Likeliest tokens to keep; the whole vocabulary where it is smaller.

    Returns:
        Nats, float32: negative log-likelihoods under the whole distribution, and entropies.
    """
    nll_N = torch.empty(len(targets_N), dtype=torch.float32, device=hidden_NE.device)
    entropies_N = torch.empty_like(nll_N)
    kept = min(top_k, len(weight_VE))
    weight_VE, room_JV = weight_VE.to(hidden_NE.dtype), None
    for chunk in chunks(len(targets_N), weight_VE, on_cpu=SCORING_ELEMENTS):
        # One tensor for all chunks: a fresh one is given back to the system, and its pages come in anew.
        logits_JV = room_JV = product(hidden_NE[chunk], weight_VE.mT, into=room_JV)
        target_J = logits_JV.gather(1, targets_N[chunk, None]).squeeze(1)
        largest_JK = top_logits(logits_JV, kept)
        nll_N[chunk] = _logsumexp_(logits_JV, largest_JK[:, :1]) - target_J
        top_JK = torch.log_softmax(largest_JK, dim=1)
        entropies_N[chunk] = -(top_JK.exp() * top_JK).sum(1)
    return nll_N, entropies_N


def _logsumexp_(logits_JV: Tensor, largest_J1: Tensor) -> Tensor:
    """``logits_JV.logsumexp(1)`` to the last bit, given each row's largest; the logits are used up."""
    rows = len(logits_JV) if logits_JV.is_cuda else max(1, SLICE_ELEMENTS // logits_JV.shape[1])
    slices = [slice(start, start + rows) for start in range(0, len(logits_JV), rows)]
    sums_J = torch.cat([logits_JV[some].sub_(largest_J1[some]).exp_().sum(1) for some in slices])
    return sums_J.log_().add_(largest_J1[:, 0])


def top_logits(logits_JV: Tensor, k: int, block: int = 64) -> Tensor:
    """The ``k`` largest of each row, exactly, by partial selection over blocks of the vocabulary.

    The k largest lie in the k blocks with the largest maxima, so a full selection over every token is
    not needed: about ten times faster than ``topk`` at a vocabulary of 150 thousand.

    Example:
        >>> top_logits(torch.arange(400.0)[None], k=2).tolist()
        [[399.0, 398.0]]
    """
    rows, vocab = logits_JV.shape
    whole = vocab // block
    if whole <= 2 * k:
        return logits_JV.topk(k, dim=1).values
    blocks_JBL = logits_JV[:, : whole * block].view(rows, whole, block)
    chosen_JK = blocks_JBL.amax(2).topk(k, dim=1).indices
    candidates = blocks_JBL.gather(1, chosen_JK[..., None].expand(-1, -1, block)).flatten(1)
    return torch.cat([candidates, logits_JV[:, whole * block :]], dim=1).topk(k, dim=1).values


def chunks(num_tokens: int, weight_VE: Tensor, on_cpu: int = 0) -> Iterator[slice]:
    """Slices of tokens whose logits stay within :data:`CHUNK_ELEMENTS`, or of :data:`FEWEST_TOKENS`.

    Args:
        num_tokens: To be scored.
        weight_VE: The head's matrix.
        on_cpu: Elements in place of :data:`CHUNK_ELEMENTS` where the head lies on a CPU.
    """
    elements = CHUNK_ELEMENTS.get(weight_VE.device.type, CHUNK_ELEMENTS["cuda"])
    if on_cpu and weight_VE.device.type == "cpu":
        elements = on_cpu
    size = max(FEWEST_TOKENS, elements // len(weight_VE))
    for start in range(0, num_tokens, size):
        yield slice(start, min(start + size, num_tokens))


def without(logits_JV: Tensor, never_U: Tensor | None) -> Tensor:
    """Logits with the ids that are never drawn at :data:`NEVER`; changed in place."""
    return logits_JV if never_U is None else logits_JV.index_fill_(1, never_U, NEVER)


def _log_softmax(hidden_JE: Tensor, weight_VE: Tensor, temperature: float, never_U: Tensor | None) -> Tensor:
    logits_JV = without(product(hidden_JE, weight_VE.mT), never_U)
    if temperature != 1.0:
        logits_JV = logits_JV.div_(temperature)
    return torch.log_softmax(logits_JV, dim=1)


def product(left: Tensor, right: Tensor, into: Tensor | None = None) -> Tensor:
    """Matrix product accumulated and kept in float32; the left factor's type is the compute type.

    Args:
        left: Rows to multiply.
        right: The other factor, cast to the left one's type.
        into: Written over and returned, cut to the product's rows, where it has as many; no gradient then.
    """
    right = right.to(left.dtype)
    out = None if into is None or len(into) < len(left) else into[: len(left)]
    if left.is_cuda and left.dtype != torch.float32:
        return torch.mm(left, right, out_dtype=torch.float32, out=out)
    return torch.mm(left.float(), right.float(), out=out)
