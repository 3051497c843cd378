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

from rpt_core.policy.attention import UNSEEN, Branches, Causal, Decode, FixedDecode, bias
from rpt_core.policy.forward import branch_pass, prefill
from rpt_core.policy.layout import Bools, Ints, Ragged, lay_out
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Trunk

FIRST_ROOM, FIRST_FIXED_ROOM = 32, 128
"""Places for new tokens at first; doubled whenever they are used up. Where shapes are fixed, every doubling
is another graph to record."""


class Decoding:
    """``group_size`` answers below every cut of several trunks, grown together.

    Rows are in order of (trunk, cut, answer), as long as none has been dropped. A token takes three calls:
    :meth:`make_room`, :meth:`advance`, which is the device's part and may be a replay, and :meth:`count`.
    """

    def __init__(
        self, policy: Policy, trunks: Sequence[Trunk], group_size: int, *, fixed: bool = False
    ) -> None:
        """Prefill trunks and suffixes.

        Args:
            policy: The model.
            trunks: At least one, with at least one cut in all.
            group_size: Answers at every cut.
            fixed: Keep all tensors of a token at one shape and place, until there is no more room for the
                next or rows are taken out.
        """
        self.policy = policy
        tree = lay_out(trunks, [[[] for _ in trunk.cuts] for trunk in trunks])
        hidden_BTE, kept, num_trunk_tokens = prefill(policy, tree)
        _cast(kept, policy.compute_dtype)
        hidden_PE, below = hidden_BTE.flatten(0, 1), None
        if tree.num_branch_tokens:
            hidden_NE, below = branch_pass(policy, tree, kept, keep=True)
            _cast(below, policy.compute_dtype)
            hidden_PE = torch.cat([hidden_PE, hidden_NE])
        self.num_forwarded = num_trunk_tokens + tree.num_branch_tokens
        document, limit = _cuts(trunks)
        self.document = np.repeat(document, group_size)  # (C,) -> (R,)
        self.limit = np.repeat(limit, group_size)
        self.start = np.repeat(limit + tree.suffixes[:, 1], group_size)
        """Position of each answer's first token in its path."""
        self.start_R1 = self._there(self.start[:, None])
        self.entry_CE = hidden_PE[self._there(tree.entry)]  # P: trunk slots, then branch tokens
        """States that predict the first token of the answers at each cut."""
        keys, values, hidden = self._suffixes(tree, kept, below, group_size, fixed=fixed)
        self.suffix = int(tree.suffixes[:, 1].max())
        parts = (kept, *self._by_document(kept), keys, values, hidden, self.suffix)
        self.attention = Decode(*parts)
        if fixed:
            self.attention = FixedDecode(*parts, place_1=self._there(np.array([self.suffix])))

    @property
    def room(self) -> int:
        """Tokens that can be appended until there has to be more room."""
        return self.attention.keys[0].shape[2] - self.attention.length

    def keep(self, going_R: Bools) -> None:
        """Take all other rows out."""
        rows = self._there(np.flatnonzero(going_R))
        self.document, self.limit, self.start = (x[going_R] for x in (self.document, self.limit, self.start))
        self.start_R1 = self.start_R1.index_select(0, rows)
        old = self.attention
        query_BM, bias_BMD, slot_N = self._by_document(old.trunk)
        self.attention = replace(
            old, query_BM=query_BM, bias_BMD=bias_BMD, slot_N=slot_N,
            keys=[x.index_select(0, rows) for x in old.keys],
            values=[x.index_select(0, rows) for x in old.values],
            bias_own_N1D=None if old.bias_own_N1D is None else old.bias_own_N1D.index_select(0, rows),
        )  # fmt: skip

    def make_room(self) -> bool:
        """Make room for one more token of every row; whether tensors had to be replaced for it."""
        state = self.attention
        longest = int(self.start.max()) + state.length - self.suffix + 1
        self.policy.refuse_beyond(longest)
        if self.room:
            return False
        more, fixed = state.keys[0].shape[2], isinstance(state, FixedDecode)
        state.keys = [torch.cat([x, torch.zeros_like(x)], 2) for x in state.keys]
        state.values = [torch.cat([x, torch.zeros_like(x)], 2) for x in state.values]
        if state.bias_own_N1D is not None:
            new = state.bias_own_N1D.new_full((len(self.document), 1, more), UNSEEN if fixed else 0.0)
            state.bias_own_N1D = torch.cat([state.bias_own_N1D, new], 2)
        return True

    def advance(self, tokens_R: Tensor, position: Tensor) -> Tensor:
        """Append one token to every row; the states that predict the next, shape ``(R, E)``.

        Args:
            tokens_R: The rows' tokens at ``position`` of their answers.
            position: 0 for the first token of an answer; on the device.
        """
        state = self.attention
        if isinstance(state, FixedDecode) and state.bias_own_N1D is not None:
            state.bias_own_N1D.index_fill_(2, state.place_1, 0.0)  # from now on this place may be seen
        hidden_R1E = self.policy.hidden(tokens_R[:, None], self.start_R1 + position, state, longest=0)
        if isinstance(state, FixedDecode):
            state.place_1.add_(1)
        return hidden_R1E[:, 0]

    def count(self) -> None:
        """One token more in every row: the caller's part, since a replay runs no Python."""
        self.attention.length += 1
        self.num_forwarded += len(self.document)

    def _suffixes(
        self, tree: Ragged, kept: Causal, below: Branches | None, group_size: int, *, fixed: bool
    ) -> tuple[list[Tensor], list[Tensor], Tensor | None]:
        """The rows' own keys and values, filled with their suffixes on the right, and which may be seen."""
        lengths = tree.suffixes[:, 1]
        widest = int(lengths.max())
        place_CL = np.arange(widest) - (widest - lengths[:, None])  # aligned on the right; below 0: no token
        index_CL = self._there(np.where(place_CL < 0, 0, tree.suffixes[:, :1] + place_CL))

        def spread(suffix_NHW: Tensor) -> Tensor:
            return suffix_NHW[index_CL].transpose(1, 2).repeat_interleave(group_size, 0)

        _, heads, _, width = kept.keys[0].shape
        more = FIRST_FIXED_ROOM if fixed else FIRST_ROOM
        room = kept.keys[0].new_zeros(len(self.document), heads, more, width)  # (R, H, L, W)
        stores = [[torch.cat([spread(x), room], 2) for x in (side or [])] for side in _sides(below)]
        keys, values = stores if below else ([room.clone() for _ in kept.keys] for _ in range(2))
        if not fixed and not (place_CL < 0).any():
            return keys, values, None
        sees_CL = np.concatenate([place_CL >= 0, np.full((len(place_CL), more), not fixed)], 1)
        return keys, values, bias(self._there(np.repeat(sees_CL, group_size, 0)[:, None]))

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


def _cast(kept: Causal | Branches, dtype: torch.dtype) -> None:
    """Keys and values in the type they are multiplied in: else every token casts them again."""
    kept.keys = [x.to(dtype) for x in kept.keys]
    kept.values = [x.to(dtype) for x in kept.values]


def _sides(below: Branches | None) -> tuple[list[Tensor], list[Tensor]]:
    return (below.keys, below.values) if below else ([], [])
