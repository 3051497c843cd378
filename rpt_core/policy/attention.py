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
from rpt_core.policy.normed_attention import attend_with_norm

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
