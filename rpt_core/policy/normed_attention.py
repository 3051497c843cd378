"""Softmax attention with its log-normaliser, both differentiable, in slices of bounded memory.

Letters: B rows, H query heads, K key/value heads, R = H/K, M queries, D keys, C head dimension.
"""

from typing import Any

import torch
from torch import Tensor

SCORES_MOST = {"cpu": 1 << 62, "cuda": 1 << 28}
"""Scores of query and key in one piece, by kind of device: 1 GiB of float32 on a GPU. Beyond it queries are
taken in slices, and the backward pass computes their probabilities again instead of keeping them (for 65
thousand answer tokens below 4,096 of a document and 16 heads, they would take 8 GiB a layer). A CPU keeps
them all."""


class _AttendWithNorm(torch.autograd.Function):
    """Softmax attention and its log-normaliser, both differentiable.

    Written out because no fused kernel of torch gives a gradient through the normaliser on a CPU. Only
    the probabilities are kept for the backward pass; where queries are taken in slices, not even those.
    """

    @staticmethod
    def forward(
        ctx: Any, q_BKRMC: Tensor, k_BKDC: Tensor, v_BKDC: Tensor, bias_BMD: Tensor | None, scaling: float
    ) -> tuple[Tensor, Tensor]:
        out, norm, weights = _attend_in_slices(q_BKRMC, k_BKDC, v_BKDC, bias_BMD, scaling)
        ctx.save_for_backward(q_BKRMC, k_BKDC, v_BKDC, bias_BMD if weights is None else None, weights, out)
        ctx.scaling = scaling
        return out, norm

    @staticmethod
    def backward(ctx: Any, d_out: Tensor, d_norm: Tensor) -> tuple[Tensor | None, ...]:
        q_BKRMC, k_BKDC, v_BKDC, bias_BMD, weights, out = ctx.saved_tensors
        if weights is not None:
            found = _gradients(q_BKRMC, k_BKDC, v_BKDC, weights, out, d_out, d_norm, ctx.scaling)
            return *found, None, None
        d_q, d_k, d_v = (torch.zeros_like(x) for x in (q_BKRMC, k_BKDC, v_BKDC))
        for some in _slices(q_BKRMC, k_BKDC):
            q, bias = q_BKRMC[:, :, :, some], None if bias_BMD is None else bias_BMD[:, some]
            weights = _weigh(q, k_BKDC, bias, ctx.scaling)[0].to(v_BKDC.dtype)
            upper = out[:, :, :, some], d_out[:, :, :, some], d_norm[:, :, :, some]
            d_q[:, :, :, some], more_k, more_v = _gradients(q, k_BKDC, v_BKDC, weights, *upper, ctx.scaling)
            d_k, d_v = d_k.add_(more_k), d_v.add_(more_v)
        return d_q, d_k, d_v, None, None


def _gradients(
    q_BKRMC: Tensor, k_BKDC: Tensor, v_BKDC: Tensor, weights: Tensor, out: Tensor, d_out: Tensor,
    d_norm: Tensor, scaling: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Of queries, keys and values, from those of the outputs and of the normalisers.

    Under autocast normalised queries and keys are float32 and values are not; its casts do not reach
    backwards.
    """
    flat = (*out.shape[:2], -1, out.shape[-1])  # (B, K, R*M, C): all queries of a key head side by side
    d_out, out, q = d_out.reshape(flat), out.reshape(flat), q_BKRMC.reshape(flat)
    q, k = q.to(out.dtype), k_BKDC.to(out.dtype)
    probs = weights.view(*d_out.shape[:-1], -1)  # (B, K, R*M, D)
    d_v = torch.matmul(probs.mT, d_out)  # (B, K, D, C)
    inner = (d_out * out).sum(-1, keepdim=True) - d_norm.reshape(*d_out.shape[:-1], 1).to(out.dtype)
    d_scores = torch.matmul(d_out, v_BKDC.mT).sub_(inner).mul_(probs).mul_(scaling)  # (B, K, R*M, D)
    d_q = torch.matmul(d_scores, k).view(q_BKRMC.shape)  # (B, K, R, M, C)
    d_k = torch.matmul(d_scores.mT, q)  # (B, K, D, C)
    return d_q.to(q_BKRMC.dtype), d_k.to(k_BKDC.dtype), d_v


def _slices(q_BKRMC: Tensor, k_BKDC: Tensor) -> list[slice]:
    """Of queries, so that the scores of one stay within :data:`SCORES_MOST`."""
    batch, heads, repeats, queries, _ = q_BKRMC.shape
    most = SCORES_MOST.get(q_BKRMC.device.type, SCORES_MOST["cuda"])
    size = max(1, most // max(1, batch * heads * repeats * k_BKDC.shape[2]))
    return [slice(start, start + size) for start in range(0, max(queries, 1), size)]


def _attend_in_slices(
    q_BKRMC: Tensor, k_BKDC: Tensor, v_BKDC: Tensor, bias_BMD: Tensor | None, scaling: float
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Outputs, log-normalisers, and probabilities where all queries were taken at once."""
    slices = _slices(q_BKRMC, k_BKDC)
    if len(slices) == 1:
        return _attend(q_BKRMC, k_BKDC, v_BKDC, bias_BMD, scaling)
    parts = (
        _attend(
            q_BKRMC[:, :, :, some], k_BKDC, v_BKDC, None if bias_BMD is None else bias_BMD[:, some], scaling
        )[:2]
        for some in slices
    )
    outs, norms = zip(*parts, strict=True)
    return torch.cat(outs, 3), torch.cat(norms, 3), None


def _weigh(q_BKRMC: Tensor, k_BKDC: Tensor, bias_BMD: Tensor | None, scaling: float) -> tuple[Tensor, Tensor]:
    """Probabilities and scores, float32."""
    batch, heads, repeats, queries, width = q_BKRMC.shape
    scores = torch.matmul(q_BKRMC.reshape(batch, heads, repeats * queries, width), k_BKDC.mT).float()
    scores = scores.view(batch, heads, repeats, queries, -1)  # (B, K, R, M, D), float32
    if bias_BMD is None:
        scores = scores.mul_(scaling)
    else:
        scores = torch.add(bias_BMD[:, None, None], scores, alpha=scaling)  # bias over key heads and repeats
    return scores.softmax(-1), scores


def _attend(
    q_BKRMC: Tensor, k_BKDC: Tensor, v_BKDC: Tensor, bias_BMD: Tensor | None, scaling: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs, log-normalisers and probabilities."""
    batch, heads, repeats, queries, _ = q_BKRMC.shape
    weights, scores = _weigh(q_BKRMC, k_BKDC, bias_BMD, scaling)  # (B, K, R, M, D)
    norm_BKRM = (
        scores.amax(-1) - weights.amax(-1).log()
    )  # the likeliest key's score is its log-weight plus the norm
    weights = weights.to(v_BKDC.dtype)
    out = torch.matmul(weights.view(batch, heads, repeats * queries, -1), v_BKDC)  # (B, K, R*M, C)
    return out.view(q_BKRMC.shape), norm_BKRM, weights


def attend_with_norm(
    q_BHMC: Tensor, k_BKDC: Tensor, v_BKDC: Tensor, bias_BMD: Tensor | None, scaling: float
) -> tuple[Tensor, Tensor]:
    """Attention of each row's queries over its keys, and the log-sum of exponentials beside it.

    Args:
        q_BHMC: Queries, ``H`` a multiple of the keys' ``K`` heads.
        k_BKDC: Keys, never repeated.
        v_BKDC: Values.
        bias_BMD: :func:`rpt_core.policy.attention.bias` of what each query may see; None where it may see
            every key.
        scaling: Factor on the scores.

    Returns:
        Outputs ``(B, H, M, C)`` and log-normalisers ``(B, H, M)``, float32; about
        :data:`rpt_core.policy.attention.UNSEEN` for a query that sees nothing.
    """
    batch, heads, queries, width = q_BHMC.shape
    q_BKRMC = q_BHMC.view(batch, k_BKDC.shape[1], -1, queries, width)  # H = K * R
    if torch.is_grad_enabled():
        out, norm = _AttendWithNorm.apply(q_BKRMC, k_BKDC, v_BKDC, bias_BMD, scaling)  # type: ignore[no-untyped-call]
    else:
        out, norm, _ = _attend_in_slices(q_BKRMC, k_BKDC, v_BKDC, bias_BMD, scaling)
    return out.view(batch, heads, queries, width), norm.view(batch, heads, queries)
