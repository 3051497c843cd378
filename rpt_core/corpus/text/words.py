"""Words of many texts at once, as hashes: the ground under de-duplication, decontamination and quality.

A word is a run of letters, digits and marks, in lower case; in scripts without spaces (Chinese,
Japanese, Thai ...) every character is a word, a traditional Chinese one the same as its simplified form.
Texts are scanned many at once, as one array of code points, so the cost is that of a few passes over memory,
whatever the language.

Shapes: C code points, W words, D documents.
"""

import functools
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpt_core.corpus.text.han import SIMPLIFIED

U64 = NDArray[np.uint64]
BLOCK = 1 << 17
"""Code points scanned at once: arrays this small stay in the cache, and in the process, between blocks."""
_TABLE = 0x20000
"""Code points with an entry of their own; beyond them lie rare Han characters."""
_LONE_RANGES = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x2FDF),
    (0x3005, 0x3007), (0x3040, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
)  # fmt: skip
"""Scripts written without spaces between words."""
_BASE = np.uint64(0x9E3779B97F4A7C15 | 1)


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a batch of texts."""

    hashes_W: U64
    starts_W: NDArray[np.int64]
    """Code-point offset of each word within its own text."""
    ends_W: NDArray[np.int64]
    offsets: NDArray[np.int64]
    """Shape (D + 1,): words of text d are ``offsets[d]:offsets[d + 1]``."""

    def count(self, document: int) -> int:
        """Number of words of one text."""
        return int(self.offsets[document + 1] - self.offsets[document])


@functools.cache
def _tables() -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """For every code point: 0 between words, else 1 + its one form; and whether it is a word by itself."""
    folded = np.zeros(_TABLE + 1, np.uint32)
    for code in range(_TABLE):
        character = chr(code)
        if unicodedata.category(character)[0] in "LNM":
            small = character.lower()
            folded[code] = 1 + (ord(small) if len(small) == 1 and ord(small) < _TABLE else code)
    for traditional, simple in SIMPLIFIED.items():
        folded[ord(traditional)] = 1 + ord(simple)
    lone = np.zeros(_TABLE + 1, np.bool_)
    for start, end in _LONE_RANGES:
        lone[start : end + 1] = folded[start : end + 1] > 0
    lone[_TABLE] = True
    folded[_TABLE] = 1 + _TABLE
    return folded, lone


@functools.lru_cache(maxsize=3)
def _powers(num: int) -> tuple[U64, U64]:
    """Powers of the base and of its inverse modulo 2^64, from 0 to ``num`` - 1."""
    tables = []
    for base in (_BASE, np.uint64(pow(int(_BASE), -1, 1 << 64))):
        powers = np.ones(num, np.uint64)
        filled, step = 1, base
        with np.errstate(over="ignore"):
            while filled < num:  # doubling: log2(num) array products, not num of them
                more = min(filled, num - filled)
                powers[filled : filled + more] = powers[:more] * step
                filled, step = filled + more, step * step
        tables.append(powers)
    return tables[0], tables[1]


def mix64(values: U64) -> U64:
    """The 64-bit finaliser of MurmurHash3: a bijection that spreads every input bit over all output bits."""
    values = values ^ (values >> np.uint64(33))
    values = values * np.uint64(0xFF51AFD7ED558CCD)
    values = values ^ (values >> np.uint64(33))
    values = values * np.uint64(0xC4CEB9FE1A85EC53)
    return values ^ (values >> np.uint64(33))


def split_words(texts: Sequence[str]) -> Words:
    """Find and hash the words of a batch of texts.

    Args:
        texts: Any texts; the batch as a whole should stay within some tens of megabytes.

    Returns:
        Hashes depend on the word alone, not on where or in which batch it stands.

    Example:
        >>> words = split_words(["The cat", "the CAT sat", "猫だ"])
        >>> [words.count(i) for i in range(3)], bool(words.hashes_W[0] == words.hashes_W[2])
        ([2, 3, 2], True)
    """
    parts = [_split(block) for block in _blocks(texts)]
    shifts = np.cumsum([0] + [len(part.hashes_W) for part in parts])
    offsets = [part.offsets[1:] + shift for part, shift in zip(parts, shifts[:-1], strict=True)]
    return Words(
        np.concatenate([np.zeros(0, np.uint64), *(part.hashes_W for part in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(part.starts_W for part in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(part.ends_W for part in parts)]),
        np.concatenate([np.zeros(1, np.int64), *offsets]),
    )


def _blocks(texts: Sequence[str]) -> Iterator[list[str]]:
    """Runs of whole texts of about BLOCK code points; a longer text is a block of its own."""
    block: list[str] = []
    held = 0
    for text in texts:
        if block and held + len(text) > BLOCK:
            yield block
            block, held = [], 0
        block.append(text)
        held += len(text)
    if block:
        yield block


def _split(texts: list[str]) -> Words:
    """The words of one block."""
    lengths = np.fromiter((len(text) for text in texts), np.int64, len(texts))
    # A line feed after every text ends its last word.
    ends_D = np.cumsum(lengths + 1)
    joined = "\n".join(texts) + "\n"
    codes_C = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    folded_C, starts, ends = _runs(codes_C)
    offsets = np.concatenate([[0], np.searchsorted(starts, ends_D)]).astype(np.int64)
    shift = np.repeat(ends_D - lengths - 1, np.diff(offsets))
    return Words(_hash_runs(folded_C, starts, ends), starts - shift, ends - shift, offsets)


def _runs(codes_C: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64]]:
    """Folded code points, and where every word starts and ends."""
    folded, lone = _tables()
    high = int(codes_C.max(initial=0)) >= _LONE_RANGES[0][0]
    clipped = np.minimum(codes_C, _TABLE) if high else codes_C
    folded_C = folded.take(clipped, mode="clip")
    inside = np.zeros(len(codes_C) + 2, np.bool_)  # one False at each side: no word runs over an end
    np.greater(folded_C, 0, out=inside[1:-1])
    begins = inside[1:-1] & ~inside[:-2]
    finishes = inside[1:-1] & ~inside[2:]
    if high:
        alone = np.zeros_like(inside)
        alone[1:-1] = lone.take(clipped)
        # a character that is a word by itself (Chinese, Japanese) begins one, and so does what follows it
        begins |= inside[1:-1] & (alone[1:-1] | alone[:-2])
        finishes |= inside[1:-1] & (alone[1:-1] | alone[2:])
        np.copyto(folded_C, codes_C, where=codes_C >= _TABLE)
    return folded_C, np.flatnonzero(begins), np.flatnonzero(finishes) + 1


def _hash_runs(folded_C: NDArray[np.uint32], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> U64:
    """Polynomial hash of every word, by differences of one running sum over the whole batch.

    sum over i in word of c_i B^i, divided by B^start: the base is odd, so it has an inverse modulo 2^64.
    """
    size = 1 << max(16, len(folded_C).bit_length())
    powers, inverses = _powers(size)
    with np.errstate(over="ignore"):
        running = np.zeros(len(folded_C) + 1, np.uint64)  # (C + 1,): sums of c_i B^i, wrapping at 2^64
        np.multiply(folded_C, powers[: len(folded_C)], out=running[1:])
        np.cumsum(running, out=running)
        sums = (running[ends] - running[starts]) * inverses[starts]  # (W,): the place in the batch cancels
        return mix64(sums + (ends - starts).astype(np.uint64))


def ngrams(words: Words, n: int) -> tuple[U64, NDArray[np.int64]]:
    """Hashes of all runs of ``n`` words, none across two texts.

    Returns:
        The hashes, and offsets of shape (D + 1,) that tell which belong to which text. Run i of text d
        starts at the text's word i.
    """
    counts = np.maximum(np.diff(words.offsets) - (n - 1), 0)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    total = max(len(words.hashes_W) - n + 1, 0)
    if not offsets[-1]:
        return np.zeros(0, np.uint64), offsets
    with np.errstate(over="ignore"):
        combined = words.hashes_W[:total].copy()
        for k in range(1, n):
            combined = combined * _BASE + words.hashes_W[k : total + k]
        combined = mix64(combined + np.uint64(n))
    keep = np.zeros(total + 1, np.int64)
    starts = words.offsets[:-1][counts > 0]
    np.add.at(keep, starts, 1)
    np.add.at(keep, starts + counts[counts > 0], -1)
    return combined[np.cumsum(keep[:-1]) > 0], offsets


def shingles(words: Words, n: int) -> tuple[U64, NDArray[np.int64]]:
    """Like :func:`ngrams`, but a text shorter than ``n`` words is one shingle of all it has.

    A text without words has none.
    """
    hashes, offsets = ngrams(words, n)
    counts = np.diff(words.offsets)
    short = np.flatnonzero((counts > 0) & (counts < n))
    if not len(short):
        return hashes, offsets
    parts: list[U64] = []
    lengths = np.diff(offsets).copy()
    position = 0
    with np.errstate(over="ignore"):
        for document in short:
            run = words.hashes_W[words.offsets[document] : words.offsets[document + 1]]
            whole = np.uint64(len(run))
            for value in run:
                whole = whole * _BASE + value
            parts += [hashes[position : offsets[document]], mix64(np.array([whole], np.uint64))]
            position = int(offsets[document])
            lengths[document] = 1
    parts.append(hashes[position:])
    return np.concatenate(parts), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
