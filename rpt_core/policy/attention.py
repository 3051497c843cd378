r"""Attention over a document trunk and its branches, registered as one attention function.

Three shapes of the same mathematics, each exactly that of separate rows:

- :class:`Causal`: ordinary rows, padded on the right. Keeps keys and values, with gradient, for
  the branches below.
- :class:`Branches`: suffixes and answers as one ragged row of tokens. Each token attends to the trunk
  up to its cut, to its cut's suffix, and to its own answer so far. Trunk keys are read where they
  lie, once per document, never repeated per answer or per head.
- :class:`Masked`: one packed row under an explicit mask.

Attention over two sets of keys is joined by their log-normalisers: with ``o_i`` the attention over
set ``i`` alone and ``l_i`` its log-sum of exponentials, the attention over both is
``w o_1 + (1 - w) o_2`` with ``w = sigmoid(l_1 - l_2)``.

Letters: B rows or documents, H query heads, K key/value heads, R = H/K, M queries, D keys, C head
dimension, N tokens of a ragged row.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from rpt_core.errors import RecipeError

ATTENTION = "rpt_tree"
"""Name of the registered function. It has no mask function of that name, so models build no mask."""

UNSEEN = -1e30
"""Added to the score of a key that may not be seen. Finite, so that a query without any key has a norm of
about this much and a share of exactly 0 in a join, and never a NaN."""


def bias(sees: Tensor) -> Tensor:
    """What is added to scores so that only keys that may be seen count: 0, or :data:`UNSEEN`."""
    return torch.zeros(sees.shape, dtype=torch.float32, device=sees.device).masked_fill_(~sees, UNSEEN)


class TreeAttention(Protocol):
    """How the tokens of one forward pass attend."""

    def attend(self, layer: int, q_BHTC: Tensor, k_BKTC: Tensor, v_BKTC: Tensor, scaling: float) -> Tensor:
        """Outputs of shape ``(B, T, H, C)`` for queries, keys and values of shape ``(B, heads, T, C)``."""

    def num_pairs(self, rows: int, tokens: int) -> int:
        """Pairs of query and key that a layer multiplies for ``(rows, tokens)`` of input."""


@dataclass
class Causal:
    """Every token attends to itself and what stands before it in its row.

    Rows padded on the right need no mask: no real token stands after the padding.
    """

    keep: bool = False
    keys: list[Tensor] = field(default_factory=list)
    """By layer, shape ``(B, K, D, C)``, rotary positions applied; filled when ``keep``."""
    values: list[Tensor] = field(default_factory=list)

    def attend(self, layer: int, q_BHTC: Tensor, k_BKTC: Tensor, v_BKTC: Tensor, scaling: float) -> Tensor:
        """Plain causal attention, grouped-query heads kept grouped."""
        if self.keep:
            self.keys.append(k_BKTC)
            self.values.append(v_BKTC)
        grouped = q_BHTC.shape[1] != k_BKTC.shape[1]
        out_BHTC = scaled_dot_product_attention(
            q_BHTC, k_BKTC, v_BKTC, is_causal=True, scale=scaling, enable_gqa=grouped
        )
        return out_BHTC.transpose(1, 2)

    def num_pairs(self, rows: int, tokens: int) -> int:
        """Every token with every token of its row: the triangle is masked, not spared."""
        return rows * tokens * tokens


@dataclass
class Masked:
    """Every token attends where an explicit mask allows it."""

    mask_B1TT: Tensor
    """True where the query (row) may see the key (column)."""

    def attend(self, layer: int, q_BHTC: Tensor, k_BKTC: Tensor, v_BKTC: Tensor, scaling: float) -> Tensor:
        """Dense masked attention."""
        grouped = q_BHTC.shape[1] != k_BKTC.shape[1]
        out_BHTC = scaled_dot_product_attention(
            q_BHTC, k_BKTC, v_BKTC, attn_mask=self.mask_B1TT, scale=scaling, enable_gqa=grouped
        )
        return out_BHTC.transpose(1, 2)

    def num_pairs(self, rows: int, tokens: int) -> int:
        """Every token with every token of its row."""
        return rows * tokens * tokens


@dataclass
class Local:
    """Rows of like length that attend to keys among the ragged tokens themselves."""

    query_LM: Tensor
    """Ragged token in each query slot of each row; padding repeats token 0."""
    key_LD: Tensor
    """Ragged token in each key slot: the shared suffix, then the row's own tokens."""
    bias_LMD: Tensor


@dataclass
class Branches:
    """Tokens below the cuts of several documents, as one ragged row, against the kept trunks.

    The same tokens are looked at twice: grouped by document, as queries of the trunk's keys, and
    grouped by local row (a cut's suffix, or one answer), as queries of the suffix's and their own
    keys. ``slot_*_N`` say where each ragged token sits in the flattened groups.
    """

    trunk: Causal
    query_BM: Tensor
    bias_BMD: Tensor
    """Of what each slot's token may see of its trunk: the tokens before its cut."""
    slot_trunk_N: Tensor
    locals: list[Local]
    slot_local_N: Tensor
    keep: bool = False
    keys: list[Tensor] = field(default_factory=list)
    """By layer, shape ``(N, K, C)``; filled when ``keep``."""
    values: list[Tensor] = field(default_factory=list)

    def attend(self, layer: int, q_BHTC: Tensor, k_BKTC: Tensor, v_BKTC: Tensor, scaling: float) -> Tensor:
        """Trunk and local attention, joined."""
        q_NHC, k_NKC, v_NKC = (x[0].transpose(0, 1).contiguous() for x in (q_BHTC, k_BKTC, v_BKTC))
        if self.keep:
            self.keys.append(k_NKC)
            self.values.append(v_NKC)
        trunk = self.trunk.keys[layer], self.trunk.values[layer]
        above = [_grouped(q_NHC, self.query_BM, *trunk, self.bias_BMD, scaling)]  # (B*M, H, C)
        beside = [self._local(q_NHC, k_NKC, v_NKC, local, scaling) for local in self.locals]  # (L*M, H, C)
        return _join(_back(above, self.slot_trunk_N), _back(beside, self.slot_local_N))[None]  # (1, N, H, C)

    def num_pairs(self, rows: int, tokens: int) -> int:
        """Each group's queries with its trunk's keys, and each local row's with its own; padding included."""
        return self.bias_BMD.numel() + sum(local.bias_LMD.numel() for local in self.locals)

    @staticmethod
    def _local(q_NHC: Tensor, k_NKC: Tensor, v_NKC: Tensor, local: Local, scaling: float) -> "Normed":
        keys, values = (_gather(x, local.key_LD).transpose(1, 2) for x in (k_NKC, v_NKC))  # (L, K, D, C)
        return _grouped(q_NHC, local.query_LM, keys, values, local.bias_LMD, scaling)


def tree_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    tree: TreeAttention | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """The registered function: attends as the pass's ``tree`` says, causally where none is given.

    Raises:
        ValueError: a mask came in. Models build none for this function, so it was made by hand and
            would be ignored.
        RecipeError: heads of values have another width than those of queries.
    """
    if attention_mask is not None:
        raise ValueError(
            f"an attention mask of shape {tuple(attention_mask.shape)} was given to {ATTENTION!r}, which "
            "takes none: pad on the right, or pass a tree."
        )
    if value.shape[-1] != query.shape[-1]:
        raise RecipeError(
            f"values have {value.shape[-1]} numbers a head and queries {query.shape[-1]} (multi-head latent "
            "attention): kept trunks are read with both alike. Take a model with ordinary attention heads."
        )
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    return (tree or Causal()).attend(layer, query, key, value, scaling).contiguous(), None


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
        bias_BMD: :func:`bias` of what each query may see; None where it may see every key.
        scaling: Factor on the scores.

    Returns:
        Outputs ``(B, H, M, C)`` and log-normalisers ``(B, H, M)``, float32; about :data:`UNSEEN` for a
        query that sees nothing.
    """
    batch, heads, queries, width = q_BHMC.shape
    q_BKRMC = q_BHMC.view(batch, k_BKDC.shape[1], -1, queries, width)  # H = K * R
    if torch.is_grad_enabled():
        out, norm = _AttendWithNorm.apply(q_BKRMC, k_BKDC, v_BKDC, bias_BMD, scaling)  # type: ignore[no-untyped-call]
    else:
        out, norm, _ = _attend_in_slices(q_BKRMC, k_BKDC, v_BKDC, bias_BMD, scaling)
    return out.view(batch, heads, queries, width), norm.view(batch, heads, queries)


@dataclass
class Decode:
    """One new token of every answer, against the kept trunks and the answer's own growing keys.

    Queries are grouped by document, so a trunk's keys are read once for all answers below it.
    """

    trunk: Causal
    query_BM: Tensor
    """Row in each query slot of each document; padding repeats row 0."""
    bias_BMD: Tensor
    slot_N: Tensor
    keys: list[Tensor]
    """By layer, shape ``(N, K, room, C)``: suffix, aligned on the right, then the answer so far."""
    values: list[Tensor]
    bias_own_N1D: Tensor | None
    """Hides the room a shorter suffix leaves unused; None when all suffixes are of one length."""
    length: int
    """Filled places of ``keys``."""

    def attend(self, layer: int, q_BHTC: Tensor, k_BKTC: Tensor, v_BKTC: Tensor, scaling: float) -> Tensor:
        """Keep the new token's key and value, then attend to trunk and own tokens."""
        keys, values, hidden = self._own(layer, k_BKTC, v_BKTC)
        trunk = self.trunk.keys[layer], self.trunk.values[layer]
        above = [_grouped(q_BHTC[:, :, 0], self.query_BM, *trunk, self.bias_BMD, scaling)]
        out_NH1C, norm_NH1 = attend_with_norm(q_BHTC, keys, values, hidden, scaling)
        return _join(_back(above, self.slot_N), (out_NH1C[:, :, 0], norm_NH1[:, :, 0]))[:, None]

    def _own(self, layer: int, k_BKTC: Tensor, v_BKTC: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """The rows' own keys and values, the new token's among them, and which are hidden."""
        end = self.length + 1
        keys, values = self.keys[layer], self.values[layer]  # (N, K, room, C)
        keys[:, :, self.length], values[:, :, self.length] = k_BKTC[:, :, 0], v_BKTC[:, :, 0]
        hidden = None if self.bias_own_N1D is None else self.bias_own_N1D[:, :, :end]
        return keys[:, :, :end], values[:, :, :end], hidden

    def num_pairs(self, rows: int, tokens: int) -> int:
        """Each group's queries with its trunk's keys, and each row with its own keys so far."""
        return self.bias_BMD.numel() + rows * (self.length + 1)


@dataclass
class FixedDecode(Decode):
    """:class:`Decode` in tensors that keep their shape and place from token to token.

    So one token's operations can be recorded once and replayed for the next ones: which place is filled is
    read on the device. Rows attend to all their room; ``bias_own_N1D`` hides the places that are not filled
    yet.
    """

    place_1: Tensor
    """``length``, int64, on the device; whoever replays counts it up there."""

    def _own(self, layer: int, k_BKTC: Tensor, v_BKTC: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        keys, values = self.keys[layer], self.values[layer]  # (N, K, room, C)
        keys.index_copy_(2, self.place_1, k_BKTC.to(keys.dtype))
        values.index_copy_(2, self.place_1, v_BKTC.to(values.dtype))
        return keys, values, self.bias_own_N1D

    def num_pairs(self, rows: int, tokens: int) -> int:
        """Each group's queries with its trunk's keys, and each row with all its room."""
        return self.bias_BMD.numel() + rows * self.keys[0].shape[2]


Normed = tuple[Tensor, Tensor]
"""Attention outputs ``(N, H, C)`` and their log-normalisers ``(N, H)``."""


def _gather(x_NHC: Tensor, index_BM: Tensor) -> Tensor:
    return x_NHC.index_select(0, index_BM.reshape(-1)).view(*index_BM.shape, *x_NHC.shape[1:])


def _grouped(
    q_NHC: Tensor, query_BM: Tensor, k_BKDC: Tensor, v_BKDC: Tensor, bias_BMD: Tensor, scaling: float
) -> Normed:
    """Attention of ragged tokens in groups; the result runs over the groups' slots."""
    q_BHMC = _gather(q_NHC, query_BM).transpose(1, 2).contiguous()  # (B, M, H, C) -> (B, H, M, C)
    out_BHMC, norm_BHM = attend_with_norm(q_BHMC, k_BKDC, v_BKDC, bias_BMD, scaling)
    return out_BHMC.transpose(1, 2).flatten(0, 1), norm_BHM.transpose(1, 2).flatten(0, 1)  # (B*M, H, ...)


def _back(groups: list[Normed], slot_N: Tensor) -> Normed:
    if len(groups) == 1:
        return groups[0][0].index_select(0, slot_N), groups[0][1].index_select(0, slot_N)
    outs, norms = zip(*groups, strict=True)
    return torch.cat(outs).index_select(0, slot_N), torch.cat(norms).index_select(0, slot_N)


def _join(one: Normed, other: Normed) -> Tensor:
    """Attention over two disjoint sets of keys from attention over each."""
    share_NH1 = torch.sigmoid(one[1] - other[1])[..., None].to(one[0].dtype)
    return torch.lerp(other[0], one[0], share_NH1)


AttentionInterface.register(ATTENTION, tree_attention)
