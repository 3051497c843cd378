"""Held-out rows, chosen by a hash of their near-duplicate cluster: two like rows never part."""

import hashlib
from typing import Literal

Split = Literal["train", "eval"]


def split_of(cluster: str, seed: int, eval_share: float) -> Split:
    """The side of a cluster; independent of every other row of the corpus.

    Args:
        cluster: Id of the row that stands for it.
        seed: Another seed is another choice.
        eval_share: Expected share of clusters held out.

    Example:
        >>> split_of("ab", 0, 0.5) == split_of("ab", 0, 0.5)
        True
    """
    digest = hashlib.blake2b(f"split {seed} {cluster}".encode(), digest_size=8).digest()
    return "eval" if int.from_bytes(digest, "big") < eval_share * 2**64 else "train"
