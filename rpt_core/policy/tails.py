"""Log-probabilities of given tokens after the beginning of an answer: one branch pass on the same trunk.

A tail hangs below a cut like an answer: the cut's suffix, what is given, then the tokens that are scored.
So it costs the trunk once per document and its own tokens, and no trunk is computed for a single tail.
"""

from collections.abc import Iterator, Sequence
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
    closing: int | None = None
    """A token that could stand after each of the scored ones and end them there; its chance is asked for at
    every such place, in the same pass."""

    @property
    def path(self) -> tuple[int, ...]:
        """What is forwarded below the cut's suffix."""
        if not self.scored:
            return ()
        return (*self.given, *self.scored, *(() if self.closing is None else (self.closing,)))


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
        One tuple a tail, as long as its scored tokens (and, where it has a closing, as long again: the
        closing's after the first of them, after the second, ...), in the shape of ``tails``; and the tokens
        forwarded.
    """
    found: list[list[list[tuple[float, ...]]]] = [[[()] * len(of) for of in cuts] for cuts in tails]
    paths = [[[tail.path for tail in of] for of in cuts] for cuts in tails]
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
        places = [(part.trunk, *branch) for part in parts for branch in part.branches]
        here = [tails[trunk][cut][number] for trunk, cut, number in places]
        scores = branch_logprobs(
            policy, [trunk for trunk, _ in picked], [ids for _, ids in picked], layout, with_document=False,
            instead=_closings(here),
        )  # fmt: skip
        num_forwarded += scores.num_tokens
        logprobs = iter(scores.logprobs_N.float().tolist())  # (trunk, cut, answer, token)
        closed = iter([] if scores.instead_K is None else scores.instead_K.float().tolist())
        for (trunk, cut, number), tail in zip(places, here, strict=True):
            found[trunk][cut][number] = _of_tail(tail, [next(logprobs) for _ in tail.path], closed)
    return found, num_forwarded


def _closings(tails: Sequence[Tail]) -> list[tuple[int, int]]:
    """Every closing but the last, which is forced, by number of the scored token in whose place it stands."""
    found, first = [], 0
    for tail in tails:
        if tail.closing is not None:
            begin = first + len(tail.given)
            found += [(begin + after, tail.closing) for after in range(1, len(tail.scored))]
        first += len(tail.path)
    return found


def _of_tail(tail: Tail, own: list[float], closed: Iterator[float]) -> tuple[float, ...]:
    """What a tail asked for, from the log-probabilities of its path's tokens and the closings before."""
    if tail.closing is None:
        return tuple(own[len(tail.given) :])
    before = [next(closed) for _ in tail.scored[1:]]
    return (*own[len(tail.given) : -1], *before, own[-1])
