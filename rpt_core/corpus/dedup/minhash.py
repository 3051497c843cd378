"""MinHash signatures, bit for bit those of datasketch's ``affine32`` scheme, many documents at a time.

datasketch supplies the permutations and is the oracle of the tests; only the evaluation differs: for
every permutation one multiply-add over a flat block of shingles and one segmented minimum, in scratch
memory of fixed size. h_k(S) = min over s in S of (a_k * fmix32(s) + b_k) mod 2^32.

Shapes: S shingles, D documents, K permutations.
"""

import functools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rpt_core.deferred import defer

defer("datasketch")
from datasketch.minhash import MinHash  # noqa: E402  (after its package is deferred)

SCHEME = "affine32"
SEED = 1
BLOCK = 1 << 17
"""Shingles evaluated at once: these and one scratch array take 512 KiB each, whatever the input."""
EMPTY = np.uint32(0xFFFFFFFF)
"""Value of every slot of a set without shingles, as in datasketch."""
U32 = NDArray[np.uint32]


@functools.cache
def permutations(num: int) -> tuple[U32, U32]:
    """The factors and summands of ``num`` permutations, from datasketch."""
    factors, summands = MinHash(num_perm=num, seed=SEED, scheme=SCHEME).permutations
    return np.asarray(factors, np.uint32), np.asarray(summands, np.uint32)


def fmix32(values: U32) -> U32:
    """The 32-bit finaliser of MurmurHash3, which datasketch applies to every input once."""
    values = values ^ (values >> np.uint32(16))
    values = values * np.uint32(0x85EBCA6B)
    values = values ^ (values >> np.uint32(13))
    values = values * np.uint32(0xC2B2AE35)
    return values ^ (values >> np.uint32(16))


def signatures(hashes_S: U32, offsets: NDArray[np.int64], num: int) -> U32:
    """Signatures of all documents of a batch.

    Args:
        hashes_S: 32-bit shingle hashes, documents one after another; repeats do not matter.
        offsets: Shape (D + 1,); document d has ``hashes_S[offsets[d]:offsets[d + 1]]``.
        num: K, the number of permutations.

    Returns:
        Shape (D, K). Equal to ``MinHash(num_perm=K, seed=1, scheme="affine32")`` fed with the same hashes.
    """
    out = np.full((len(offsets) - 1, num), EMPTY, np.uint32)
    mixed_S = fmix32(hashes_S)
    for rows, start, end in _blocks(offsets, np.flatnonzero(np.diff(offsets))):
        starts = np.maximum(offsets[rows] - start, 0)
        out[rows] = np.minimum(out[rows], _minima(mixed_S[start:end], starts, num).T)
    return out


def _blocks(
    offsets: NDArray[np.int64], filled: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], int, int]]:
    """Runs of whole documents of at most BLOCK shingles; a longer document comes in several blocks."""
    first = 0
    while first < len(filled):
        start = int(offsets[filled[first]])
        last = int(np.searchsorted(offsets[filled + 1], start + BLOCK, side="right"))
        last = max(last, first + 1)
        end = int(offsets[filled[last - 1] + 1])
        for begin in range(start, end, BLOCK):
            yield filled[first:last], begin, min(begin + BLOCK, end)
        first = last


def _minima(mixed_S: U32, starts: NDArray[np.int64], num: int) -> U32:
    """Shape (K, D): under every permutation the least value of each run that begins at one of ``starts``."""
    least_KD = np.empty((num, len(starts)), np.uint32)
    scratch_S = np.empty_like(mixed_S)
    # permutation by permutation in one scratch row: (K, S) at once would be K times the memory
    for factor, summand, least_D in zip(*permutations(num), least_KD, strict=True):
        np.multiply(mixed_S, factor, out=scratch_S)
        np.add(scratch_S, summand, out=scratch_S)
        np.minimum.reduceat(scratch_S, starts, out=least_D)
    return least_KD
