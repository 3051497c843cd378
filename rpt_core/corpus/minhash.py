"""MinHash signatures, bit for bit those of datasketch's ``affine32`` scheme, many documents at a time.

datasketch supplies the permutations and is the oracle of the tests; only the evaluation differs: for
every permutation one multiply-add over a flat block of shingles and one segmented minimum, in scratch
memory of fixed size. h_k(S) = min over s in S of (a_k * fmix32(s) + b_k) mod 2^32.

Shapes: S shingles, D documents, K permutations.
"""

import functools

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray

SCHEME = "affine32"
SEED = 1
BLOCK = 1 << 16
"""Shingles evaluated at once: two scratch arrays of 256 KiB stay in the processor's cache."""
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
    num_documents = len(offsets) - 1
    out = np.full((num_documents, num), EMPTY, np.uint32)
    mixed = fmix32(hashes_S)
    filled = np.flatnonzero(np.diff(offsets))
    for rows, start, end in _blocks(offsets, filled):
        _fold(out, rows, mixed[start:end], offsets[rows] - start, num)
    return out


def _blocks(
    offsets: NDArray[np.int64], filled: NDArray[np.int64]
) -> list[tuple[NDArray[np.int64], int, int]]:
    """Runs of documents of about BLOCK shingles; a longer document is a block of its own."""
    blocks, first = [], 0
    while first < len(filled):
        start = offsets[filled[first]]
        last = int(np.searchsorted(offsets[filled + 1], start + BLOCK, side="right"))
        last = max(last, first + 1)
        rows = filled[first:last]
        blocks.append((rows, int(start), int(offsets[rows[-1] + 1])))
        first = last
    return blocks


def _fold(out: U32, rows: NDArray[np.int64], mixed: U32, starts: NDArray[np.int64], num: int) -> None:
    """Segmented minimum under every permutation; one long document is folded block by block."""
    factors, summands = permutations(num)
    for begin in range(0, len(mixed), BLOCK) if len(rows) == 1 else (0,):
        part = mixed[begin : begin + BLOCK] if len(rows) == 1 else mixed
        first = np.zeros(1, np.int64) if len(rows) == 1 else starts
        scratch = np.empty_like(part)
        for k in range(num):
            np.multiply(part, factors[k], out=scratch)
            np.add(scratch, summands[k], out=scratch)
            out[rows, k] = np.minimum(out[rows, k], np.minimum.reduceat(scratch, first))
