"""Packed rows on a GPU: FlexAttention under the tree's block mask, compiled once for all lengths."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from rpt_core.policy.layout import Ragged


@dataclass
class Flex:
    """Attention of one packed row under a block mask; keys are never repeated per head."""

    mask: BlockMask

    def attend(self, layer: int, q_BHTC: Tensor, k_BKTC: Tensor, v_BKTC: Tensor, scaling: float) -> Tensor:
        """Attend where the mask allows.

        Autocast casts nothing for this kernel, and normalised queries and keys are float32 under it.
        """
        q_BHTC, k_BKTC = q_BHTC.to(v_BKTC.dtype), k_BKTC.to(v_BKTC.dtype)
        kernel = _kernel(compiled=q_BHTC.is_cuda)
        grouped = q_BHTC.shape[1] != k_BKTC.shape[1]
        out_BHTC = kernel(q_BHTC, k_BKTC, v_BKTC, block_mask=self.mask, scale=scaling, enable_gqa=grouped)
        return out_BHTC.transpose(1, 2)

    def num_pairs(self, rows: int, tokens: int) -> int:
        """Those of the blocks that are not wholly masked: the kernel skips the others."""
        blocks = self.mask.kv_num_blocks.sum()
        if self.mask.full_kv_num_blocks is not None:
            blocks = blocks + self.mask.full_kv_num_blocks.sum()
        queries, keys = self.mask.BLOCK_SIZE
        return rows * int(blocks) * queries * keys


@cache
def _kernel(*, compiled: bool) -> Callable[..., Any]:
    # dynamic=True: otherwise every new row length compiles again, for tens of seconds
    kernel: Any = flex_attention
    return torch.compile(kernel, dynamic=True) if compiled else kernel


BLOCK = 128
"""Queries and keys of a block, as the kernel wants them."""
STRIP = 8
"""Blocks of queries whose sight is worked out at once: over a row of 70 thousand tokens it takes 70 MB, where
all of it would take 5 GB."""

Sees = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def flex_mask(tree: Ragged, device: torch.device) -> BlockMask:
    """The sight of :func:`rpt_core.policy.layout.visible` as a block mask of one packed row."""
    columns = (tree.document, tree.limit, tree.cut, tree.row, tree.position)
    document, limit, cut, row, position = (torch.from_numpy(x).to(device) for x in columns)

    def sees(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        in_trunk = (cut[key] == -1) & (position[key] < limit[query])
        same_branch = (row[key] == -1) | (row[key] == row[query])
        below = (cut[key] >= 0) & (cut[key] == cut[query]) & same_branch & (position[key] <= position[query])
        return (document[key] == document[query]) & (in_trunk | below)

    return block_mask(sees, len(tree.ids), device)


def block_mask(sees: Sees, length: int, device: torch.device) -> BlockMask:
    """What torch's ``create_block_mask`` makes of a square, one strip of queries at a time."""
    num_blocks = -(-length // BLOCK)
    keys = torch.arange(num_blocks * BLOCK, device=device)  # (K,), padding included
    some = torch.zeros((), dtype=torch.int64, device=device)
    counts = []
    for start in range(0, len(keys), STRIP * BLOCK):
        queries = keys[start : start + STRIP * BLOCK]
        inside = (queries[:, None] < length) & (keys < length)  # (Q, K)
        seen = inside & sees(
            some, some, queries[:, None].clamp(max=length - 1), keys[None].clamp(max=length - 1)
        )
        counts.append(seen.view(-1, BLOCK, num_blocks, BLOCK).sum((1, 3)))
    counts_QK = torch.cat(counts)  # visible pairs of every block
    full_QK = counts_QK == BLOCK * BLOCK
    return BlockMask.from_kv_blocks(
        *_in_order((counts_QK > 0) & ~full_QK), *_in_order(full_QK),
        BLOCK_SIZE=BLOCK, mask_mod=sees, seq_lengths=(length, length),
    )  # fmt: skip


def _in_order(blocks_QK: Tensor) -> tuple[Tensor, Tensor]:
    """By block of queries, how many blocks of keys there are, and which, those first."""
    indices = blocks_QK.int().argsort(dim=1, descending=True, stable=True)
    return blocks_QK.sum(1, dtype=torch.int32)[None, None], indices.int()[None, None]
