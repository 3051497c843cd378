"""Packed rows on a GPU: FlexAttention under the tree's block mask, compiled once for all lengths."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from rpt_core.policy.layout import Ragged


@dataclass
class Flex:
    """Attention of one packed row under a block mask; keys are never repeated per head."""

    mask: BlockMask

    def attend(self, layer: int, q_BHTC: Tensor, k_BKTC: Tensor, v_BKTC: Tensor, scaling: float) -> Tensor:
        """Attend where the mask allows."""
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


def flex_mask(tree: Ragged, device: torch.device) -> BlockMask:
    """The sight of :func:`rpt_core.policy.layout.visible` as a block mask of one packed row."""
    columns = (tree.document, tree.limit, tree.cut, tree.row, tree.position)
    document, limit, cut, row, position = (torch.from_numpy(x).to(device) for x in columns)

    def sees(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        in_trunk = (cut[key] == -1) & (position[key] < limit[query])
        same_branch = (row[key] == -1) | (row[key] == row[query])
        below = (cut[key] >= 0) & (cut[key] == cut[query]) & same_branch & (position[key] <= position[query])
        return (document[key] == document[query]) & (in_trunk | below)

    length = len(tree.ids)
    return create_block_mask(sees, None, None, length, length, device=device)
