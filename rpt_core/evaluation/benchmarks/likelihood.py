"""Log-probabilities of continuations: what ranking by likelihood stands on."""

from collections.abc import Sequence

import numpy as np
import torch

from rpt_core.policy.forward import branch_logprobs
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Trunk

TOKENS_PER_BATCH = 16_384
"""Most tokens forwarded at once, padding included."""


@torch.no_grad()
def continuation_nats(
    policy: Policy, trunks: Sequence[Trunk], continuations: Sequence[Sequence[Sequence[int]]]
) -> tuple[list[list[float]], int]:
    """The summed log-probability of each continuation after its trunk's one cut, and the tokens forwarded.

    Args:
        policy: The model.
        trunks: Contexts, each with one cut at its end.
        continuations: Token ids by trunk and continuation.

    Returns:
        Nats by trunk and continuation, at temperature 1, added up in float64.
    """
    scored = branch_logprobs(policy, trunks, [[some] for some in continuations], with_document=False)
    totals = np.bincount(
        scored.answer_N.cpu().numpy(),
        weights=scored.logprobs_N.double().cpu().numpy(),
        minlength=scored.num_answers,
    )
    left = iter(totals.tolist())
    return [[next(left) for _ in some] for some in continuations], scored.num_tokens
