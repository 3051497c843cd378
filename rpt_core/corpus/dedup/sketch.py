"""What de-duplication keeps of a text: its hash, its shingles, the hashes of its signature's bands.

Made shard by shard in whatever process; :mod:`rpt_core.corpus.dedup.duplicates` collects them.
Shapes: D texts, B bands.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xxhash
from numpy.typing import NDArray

from rpt_core.corpus.dedup.minhash import U32, signatures
from rpt_core.corpus.text.words import U64, Words, mix64, shingles

SHINGLE_WORDS = 5
ROWS_PER_BAND = 8
"""14 bands of 8 rows find a pair of similarity 0.8 with probability 0.92, one of 0.5 with 0.05."""


@dataclass(frozen=True, slots=True)
class Sketches:
    """The sketches of some texts."""

    ids_D: NDArray[np.uint8]
    """Shape (D, 16)."""
    priorities_D: NDArray[np.int32]
    """Of two equal texts the one with the smaller priority stays."""
    texts_D: U64
    """Shape (D, 2), XXH3-128 of every text."""
    guards_D: U64
    """Texts of one cluster are duplicates only when these agree (a problem's answer)."""
    bands_DB: U64
    shingles: U32
    """Word 5-grams, 32 bits each, text after text."""
    num_shingles_D: NDArray[np.int64]


def sketch(
    ids: Sequence[str],
    priorities: Sequence[int],
    texts: Sequence[str],
    words: Words,
    num_permutations: int,
    guards: Sequence[int] | None = None,
) -> Sketches:
    """Sketch a batch of texts.

    Args:
        ids: Hex ids of 32 digits; the order between equals of one priority.
        priorities: Smaller stays.
        texts: What is equal or not, byte for byte.
        words: Their words, by which they are alike or not.
        num_permutations: Of the signature, 8 to a band; what is left over is not used.
        guards: 64-bit numbers; none for all alike.
    """
    hashes, offsets = shingles(words, SHINGLE_WORDS)
    short = (hashes >> np.uint64(32)).astype(np.uint32)
    return Sketches(
        np.frombuffer(bytes.fromhex("".join(ids)), np.uint8).reshape(-1, 16),
        np.asarray(priorities, np.int32),
        text_hashes(texts),
        np.zeros(len(ids), np.uint64) if guards is None else np.asarray(guards, np.uint64),
        band_hashes(signatures(short, offsets, num_permutations)),
        short,
        np.diff(offsets),
    )


def num_bands(num_permutations: int) -> int:
    """Bands of a signature of so many permutations."""
    return max(1, num_permutations // ROWS_PER_BAND)


def text_hashes(texts: Sequence[str]) -> U64:
    """XXH3-128 of every text, shape (D, 2)."""
    digests = b"".join(xxhash.xxh3_128_digest(text.encode()) for text in texts)
    return np.frombuffer(digests, ">u8").astype(np.uint64).reshape(-1, 2)


def band_hashes(signatures_DK: U32) -> U64:
    """One 64-bit hash per text and band, shape (D, B), of signatures with at least one band's slots."""
    num_texts, num = signatures_DK.shape
    bands = num_bands(num)
    slots_DBR = signatures_DK[:, : bands * ROWS_PER_BAND].reshape(num_texts, bands, ROWS_PER_BAND)
    out_DB = np.full((num_texts, bands), np.uint64(ROWS_PER_BAND))
    with np.errstate(over="ignore"):
        for row in range(ROWS_PER_BAND):
            out_DB = mix64(out_DB + slots_DBR[:, :, row].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return out_DB
