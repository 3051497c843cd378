"""What the micro-batches of an update add up to, on one rank and over all of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass
class Sums:
    """What the micro-batches add up to; means are taken once, at the end."""

    loss: float = 0.0
    policy_loss: float = 0.0
    ntp_loss: float = 0.0
    kl: float = 0.0
    entropy: float = 0.0
    mismatch: float = 0.0
    mismatch_kl: float = 0.0
    ratio_error: float = 0.0
    answer_tokens: int = 0
    forwarded: int = 0
    entropies_nats: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """By trunk key, at each document token; for objectives that follow the policy."""
    logprobs: list[Tensor] = field(default_factory=list)
    """Of every micro-batch's answer tokens, without gradient; what further updates are compared with."""
    clipped: int = 0
    """Answer tokens whose ratio to the sampled policy was outside the clip range."""
    ratio_max: float = 1.0
    old_kl: float = 0.0
    """Divergence from the sampled policy (k3), summed over answer tokens."""


@dataclass(frozen=True)
class Learnt:
    """What the updates of one step did."""

    first: Sums
    """At the policy that drew the answers: the step's metrics."""
    last: Sums
    forwarded: int
    """Tokens of all updates."""
    flops: float
    """Operations of all updates, the reference's included."""
    norm: float
    """Of the last update's gradient."""


def merged(ranks: Sequence[Sums]) -> Sums:
    """The sums of all ranks as one; log-probabilities stay with the rank whose micro-batches they are of."""
    added = {
        name: sum(getattr(one, name) for one in ranks)
        for name in (
            "loss", "policy_loss", "ntp_loss", "kl", "entropy", "mismatch", "mismatch_kl", "answer_tokens",
            "forwarded", "clipped", "old_kl",
        )
    }  # fmt: skip
    largest = {name: max(getattr(one, name) for one in ranks) for name in ("ratio_error", "ratio_max")}
    entropies = {key: nats for one in ranks for key, nats in one.entropies_nats.items()}
    return Sums(**added, **largest, entropies_nats=entropies)
