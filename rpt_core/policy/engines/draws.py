"""Random draws that depend on what is drawn, never on what is drawn beside it.

Each draw has a key of its own, (seed, step, document, cut, answer, position), hashed to a uniform
number by a counter: no generator state, so any batch, order or machine draws the same. A token is
the inverse of the cumulative distribution at that number. Two batches can then differ only where
rounding moves a boundary past the number: where it lies within :data:`BOUNDARY` of one.
"""

from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

from rpt_core.policy.trunk import Trunk

BOUNDARY = 1e-5
"""Distance from a boundary, in probability, below which rounding may decide a draw."""
BLOCK = 256
"""Tokens whose mass is summed before one of them is looked for."""
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)  # as signed numbers: torch multiplies int64 modulo 2**64
_MIX = (0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64))


def stream_keys(seed: int, step: int, rows: Iterable[tuple[str, str, int]]) -> Tensor:
    """A 64-bit key for every (document, cut, answer), the root of its draws; int64, shape ``(R,)``.

    Args:
        seed: The recipe's seed.
        step: The training step; 0 for evaluation.
        rows: (trunk key, name of the cut, answer) of each answer.
    """
    digests = (
        blake2b(f"{seed}/{step}/{cut}/{answer}/{key}".encode(), digest_size=8) for key, cut, answer in rows
    )
    return torch.from_numpy(np.frombuffer(bytearray().join(d.digest() for d in digests), "<i8"))


def cut_names(trunk: Trunk) -> list[str]:
    """Cuts by position, so that a stream does not depend on which other cuts are asked beside it."""
    seen: Counter[int] = Counter()
    names = []
    for cut in trunk.cuts:
        names.append(f"{cut.position}.{seen[cut.position]}")
        seen[cut.position] += 1
    return names


def uniforms(keys_R: Tensor, position: int | Tensor) -> Tensor:
    """Numbers in [0, 1) for one position of every stream (the finaliser of SplitMix64), float64.

    Whole numbers until the end, so every device gives the same ones; a position that is a tensor is read
    where it lies, without waiting for the device.

    Example:
        >>> keys = stream_keys(0, 1, [("doc", "7", 0), ("doc", "7", 1)])
        >>> float(uniforms(keys, 3)[1]) == float(uniforms(keys[1:], 3)[0])
        True
    """
    position = position if isinstance(position, Tensor) else keys_R.new_tensor(position)
    x = keys_R + (position + 1) * _GOLDEN
    x = (x ^ _shifted(x, 30)) * _MIX[0]
    x = (x ^ _shifted(x, 27)) * _MIX[1]
    return _shifted(x ^ _shifted(x, 31), 11).double() * 2.0**-53


def _shifted(x: Tensor, places: int) -> Tensor:
    """To the right, zeros moving in: torch shifts the sign instead."""
    return (x >> places) & ((1 << (64 - places)) - 1)


def inverse_cdf(probs_RV: Tensor, uniforms_R: Tensor) -> tuple[Tensor, Tensor]:
    """The token of each row in whose interval of the cumulative distribution the number falls.

    In two steps, first over blocks of tokens and then within one, which costs one pass over the
    vocabulary instead of a sequential sum.

    Args:
        probs_RV: Probabilities, rows summing to about one; float32.
        uniforms_R: Numbers in [0, 1), float64.

    Returns:
        Token ids, int64, never of probability zero; and the distance of each number from the nearer
        edge of its token's interval.
    """
    rows, vocab = probs_RV.shape
    if vocab % BLOCK:
        probs_RV = torch.nn.functional.pad(probs_RV, (0, BLOCK - vocab % BLOCK))
    blocks_RJB = probs_RV.view(rows, -1, BLOCK)
    ends_RJ = blocks_RJB.sum(2, dtype=torch.float64).cumsum(1)
    target_R1 = (uniforms_R * ends_RJ[:, -1])[:, None]
    block_R1 = _first_above(ends_RJ, target_R1)
    before_R1 = torch.where(block_R1 > 0, ends_RJ.gather(1, (block_R1 - 1).clamp(min=0)), 0.0)
    inside_RB = blocks_RJB.gather(1, block_R1[..., None].expand(-1, -1, BLOCK)).squeeze(1).double()
    upper_RB = inside_RB.cumsum(1)
    rest_R1 = target_R1 - before_R1
    token_R1 = _first_above(upper_RB, rest_R1)
    edge_R1 = upper_RB.gather(1, token_R1)
    mass_R1 = inside_RB.gather(1, token_R1)
    distance_R1 = torch.minimum(edge_R1 - rest_R1, rest_R1 - (edge_R1 - mass_R1)).abs()
    return (block_R1 * BLOCK + token_R1).squeeze(1), distance_R1.squeeze(1)


def _first_above(ends_RJ: Tensor, target_R1: Tensor) -> Tensor:
    """Index of the first end above the target; rounding never leads past the last one with mass."""
    last_R1 = torch.searchsorted(ends_RJ, ends_RJ[:, -1:].contiguous())
    return torch.minimum(torch.searchsorted(ends_RJ, target_R1, right=True), last_R1)


def truncate(logits_RV: Tensor, top_k: int, top_p: float) -> Tensor:
    """Logits with all but the ``top_k`` likeliest and the likeliest ``top_p`` of mass at minus infinity."""
    if top_k:
        least_R1 = logits_RV.topk(min(top_k, logits_RV.shape[1]), dim=1).values[:, -1:]
        logits_RV = logits_RV.masked_fill(logits_RV < least_R1, -torch.inf)
    if top_p < 1:
        sorted_RV, order_RV = logits_RV.sort(dim=1, descending=True, stable=True)
        probs_RV = sorted_RV.softmax(1)
        beyond_RV = probs_RV.cumsum(1) - probs_RV >= top_p
        beyond_RV = torch.zeros_like(beyond_RV).scatter(1, order_RV, beyond_RV)
        logits_RV = logits_RV.masked_fill(beyond_RV, -torch.inf)
    return logits_RV
