"""Prefill, and one token at a time after it: the state of answers that are decoded together.

Every trunk is prefilled once and every suffix once; an answer holds keys and values of its suffix and
of its own tokens only. Answers that have ended are taken out of the rows.

Letters: R answers being drawn, C cuts, E hidden size, H heads, W head dimension, L room for tokens.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rpt_core.policy.attention import Branches, Causal, Decode, bias
from rpt_core.policy.forward import branch_pass, trunk_pass
from rpt_core.policy.layout import Bools, Ints, Ragged, lay_out
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Trunk

FIRST_ROOM = 32
"""Places for new tokens at first; doubled whenever they are used up."""


class Decoding:
    """``group_size`` answers below every cut of several trunks, grown together.

    Rows are in order of (trunk, cut, answer), as long as none has been dropped.
    """

    def __init__(self, policy: Policy, trunks: Sequence[Trunk], group_size: int) -> None:
        """Prefill trunks and suffixes."""
        self.policy = policy
        tree = lay_out(trunks, [[[] for _ in trunk.cuts] for trunk in trunks])
        hidden_BTE, kept = trunk_pass(policy, tree)
        hidden_PE, below = hidden_BTE.flatten(0, 1), None
        if tree.num_branch_tokens:
            hidden_NE, below = branch_pass(policy, tree, kept, keep=True)
            hidden_PE = torch.cat([hidden_PE, hidden_NE])
        self.num_forwarded = len(hidden_PE)
        document, limit = _cuts(trunks)
        self.document = np.repeat(document, group_size)  # (C,) -> (R,)
        self.limit = np.repeat(limit, group_size)
        self.start = np.repeat(limit + tree.suffixes[:, 1], group_size)
        """Position of each answer's first token in its path."""
        self.entry_CE = hidden_PE[self._there(tree.entry)]  # P: trunk slots, then branch tokens
        """States that predict the first token of the answers at each cut."""
        keys, values, hidden = self._suffixes(tree, kept, below, group_size)
        self.attention = Decode(
            kept, *self._by_document(kept), keys, values, hidden, length=int(tree.suffixes[:, 1].max())
        )

    def keep(self, going_R: Bools) -> None:
        """Take all other rows out."""
        rows = self._there(np.flatnonzero(going_R))
        self.document, self.limit, self.start = (x[going_R] for x in (self.document, self.limit, self.start))
        old = self.attention
        query_BM, bias_BMD, slot_N = self._by_document(old.trunk)
        self.attention = replace(
            old, query_BM=query_BM, bias_BMD=bias_BMD, slot_N=slot_N,
            keys=[x.index_select(0, rows) for x in old.keys],
            values=[x.index_select(0, rows) for x in old.values],
            bias_own_N1D=None if old.bias_own_N1D is None else old.bias_own_N1D.index_select(0, rows),
        )  # fmt: skip

    def advance(self, tokens_R: Tensor, position: int) -> Tensor:
        """Append one token to every row; the states that predict the next, shape ``(R, E)``.

        Args:
            tokens_R: The rows' tokens at ``position`` of their answers.
            position: 0 for the first token of an answer.
        """
        state = self.attention
        if state.length == state.keys[0].shape[2]:
            self._grow()
        positions_R1 = self._there(self.start[:, None] + position)
        hidden_R1E = self.policy.hidden(tokens_R[:, None], positions_R1, state)  # one token a row
        state.length += 1
        self.num_forwarded += len(tokens_R)
        return hidden_R1E[:, 0]

    def _suffixes(
        self, tree: Ragged, kept: Causal, below: Branches | None, group_size: int
    ) -> tuple[list[Tensor], list[Tensor], Tensor | None]:
        """The rows' own keys and values, filled with their suffixes on the right, and which may be seen."""
        lengths = tree.suffixes[:, 1]
        widest = int(lengths.max())
        place_CL = np.arange(widest) - (widest - lengths[:, None])  # aligned on the right; below 0: no token
        index_CL = self._there(np.where(place_CL < 0, 0, tree.suffixes[:, :1] + place_CL))

        def spread(suffix_NHW: Tensor) -> Tensor:
            return suffix_NHW[index_CL].transpose(1, 2).repeat_interleave(group_size, 0)

        _, heads, _, width = kept.keys[0].shape
        room = kept.keys[0].new_zeros(len(self.document), heads, FIRST_ROOM, width)  # (R, H, L, W)
        stores = [[torch.cat([spread(x), room], 2) for x in (side or [])] for side in _sides(below)]
        keys, values = stores if below else ([room.clone() for _ in kept.keys] for _ in range(2))
        if not (place_CL < 0).any():
            return keys, values, None
        sees_CL = np.concatenate([place_CL >= 0, np.ones((len(place_CL), FIRST_ROOM), bool)], 1)
        return keys, values, bias(self._there(np.repeat(sees_CL, group_size, 0)[:, None]))

    def _grow(self) -> None:
        state = self.attention
        more = state.keys[0].shape[2]
        state.keys = [torch.cat([x, torch.zeros_like(x)], 2) for x in state.keys]
        state.values = [torch.cat([x, torch.zeros_like(x)], 2) for x in state.values]
        if state.bias_own_N1D is not None:
            new = state.bias_own_N1D.new_zeros(len(self.document), 1, more)
            state.bias_own_N1D = torch.cat([state.bias_own_N1D, new], 2)

    def _by_document(self, kept: Causal) -> tuple[Tensor, Tensor, Tensor]:
        """Rows as queries of their documents' trunks: slots (B, M), sight (B, M, D), each row's flat slot."""
        documents, _, depth, _ = kept.keys[0].shape
        counts = np.bincount(self.document, minlength=documents)
        starts = np.cumsum(counts) - counts
        slots = np.arange(counts.max())
        filled_BM = slots < counts[:, None]
        query_BM = np.where(filled_BM, starts[:, None] + slots, 0)
        limit_BM = np.where(filled_BM, self.limit[query_BM], 0)
        slot_N = self.document * len(slots) + np.arange(len(self.document)) - starts[self.document]
        sees_BMD = np.arange(depth) < limit_BM[..., None]  # trunk tokens before each row's cut
        return self._there(query_BM), bias(self._there(sees_BMD)), self._there(slot_N)

    def _there(self, array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.policy.device)


def _cuts(trunks: Sequence[Trunk]) -> tuple[Ints, Ints]:
    """Of every cut: the index of its trunk, and how many trunk tokens lie before it."""
    pairs = [(index, trunk.depth(cut)) for index, trunk in enumerate(trunks) for cut in trunk.cuts]
    document, depth = np.array(pairs, np.int64).reshape(-1, 2).T
    return document, depth


def _sides(below: Branches | None) -> tuple[list[Tensor], list[Tensor]]:
    return (below.keys, below.values) if below else ([], [])
