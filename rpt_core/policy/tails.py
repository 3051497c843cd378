"""Log-probabilities of given tokens after the beginning of an answer: one branch pass on the same trunk.

A tail hangs below a cut like an answer: the cut's suffix, what is given, then the tokens that are scored.
So it costs the trunk once per document and its own tokens, and no trunk is computed for a single tail.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from rpt_core.policy.forward import Layout, branch_logprobs
from rpt_core.policy.model import Policy
from rpt_core.policy.parts import micro_batches
from rpt_core.policy.trunk import Trunk


@dataclass(frozen=True, slots=True)
class Tail:
    """Tokens forced below a cut."""

    given: tuple[int, ...]
    """After the cut's suffix and before what is scored: conditions, not targets."""
    scored: tuple[int, ...]
    """None of them: nothing is forwarded, and nothing comes back."""


@torch.no_grad()
def forced_logprobs(
    policy: Policy, trunks: Sequence[Trunk], tails: Sequence[Sequence[Sequence[Tail]]],
    layout: Layout = "two-pass", tokens_per_batch: int = 16_384,
) -> tuple[list[list[list[tuple[float, ...]]]], int]:  # fmt: skip
    """``log p(scored_k | path to the cut, given, scored_<k)`` in nats, at temperature 1.

    Args:
        policy: Under which the tokens are scored.
        trunks: Documents with their cuts.
        tails: By document, cut and tail.
        layout: Of the passes; results agree to rounding.
        tokens_per_batch: Most tokens forwarded at once.

    Returns:
        One tuple a tail, as long as its scored tokens, in the shape of ``tails``; and the tokens forwarded.
    """
    found: list[list[list[tuple[float, ...]]]] = [[[()] * len(of) for of in cuts] for cuts in tails]
    paths = [[[(*t.given, *t.scored) if t.scored else () for t in of] for of in cuts] for cuts in tails]
    num_forwarded = 0
    for batch in micro_batches(trunks, paths, tokens_per_batch):
        asked = [
            replace(part, branches=tuple((c, a) for c, a in part.branches if paths[part.trunk][c][a]))
            for part in batch
        ]
        parts = [part for part in asked if part.branches]
        if not parts:
            continue
        picked = [part.pick(trunks[part.trunk], paths[part.trunk]) for part in parts]
        scores = branch_logprobs(
            policy, [trunk for trunk, _ in picked], [ids for _, ids in picked], layout, with_document=False
        )
        num_forwarded += scores.num_tokens
        logprobs = iter(scores.logprobs_N.float().tolist())  # (trunk, cut, answer, token)
        for part in parts:
            for cut, number in part.branches:
                own = [next(logprobs) for _ in paths[part.trunk][cut][number]]
                wanted = len(tails[part.trunk][cut][number].scored)
                found[part.trunk][cut][number] = tuple(own[len(own) - wanted :])
    return found, num_forwarded
