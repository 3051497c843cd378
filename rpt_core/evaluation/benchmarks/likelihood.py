"""Log-probabilities of continuations: what ranking by likelihood stands on."""

from collections.abc import Sequence
from itertools import takewhile

import numpy as np
import torch

from rpt_core.policy.forward import branch_logprobs
from rpt_core.policy.model import Policy
from rpt_core.policy.parts import Part, micro_batches
from rpt_core.policy.trunk import Answers, Cut, Trunk

TOKENS_PER_BATCH = 16_384
"""Most tokens forwarded at once, padding included."""
SHARED_LEAST = 64
"""Tokens that contexts have in common from which on these are computed once for all of them."""
TOKENS_BELOW = 4096
"""Most tokens forwarded at once where contexts share their beginning: each below it looks at all of that."""


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
    totals, tokens = _totals(policy, trunks, [[some] for some in continuations])
    left = iter(totals)
    return [[next(left) for _ in some] for some in continuations], tokens


def shared_beginnings(contexts: Sequence[tuple[int, ...]]) -> list[tuple[tuple[int, ...], list[int]]]:
    """Contexts grouped by the tokens they begin with: the solved examples that many questions stand after.

    A context joins the group of the one before it, in the order of their tokens, where at least half of it
    and :data:`SHARED_LEAST` tokens are shared. Where nothing is shared, a group is one whole context.

    Args:
        contexts: Token ids.

    Returns:
        Shared tokens, and the indices of the contexts that begin with them.

    Example:
        >>> few = [tuple(range(100)) + (n,) for n in (7, 8)]
        >>> [(len(ids), some) for ids, some in shared_beginnings([few[0], (1, 2), few[1]])]
        [(100, [0, 2]), (2, [1])]
    """
    groups: list[tuple[tuple[int, ...], list[int]]] = []
    for index in sorted(range(len(contexts)), key=contexts.__getitem__):
        mine = contexts[index]
        if groups:
            common = _common(groups[-1][0], mine)
            if len(common) >= max(SHARED_LEAST, len(mine) / 2):
                groups[-1] = (common, [*groups[-1][1], index])
                continue
        groups.append((mine, [index]))
    return groups


def _common(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    pairs = zip(one, other, strict=False)
    return one[: sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))]


def nats_after(
    policy: Policy, contexts: Sequence[tuple[int, ...]], continuations: Sequence[Sequence[tuple[int, ...]]]
) -> tuple[list[list[float]], int]:
    """As :func:`continuation_nats`, with what contexts begin with alike forwarded once.

    Args:
        policy: The model.
        contexts: Token ids, at least one each.
        continuations: Token ids by context and continuation.

    Returns:
        Nats by context and continuation, and the tokens forwarded.
    """
    groups = shared_beginnings(contexts)
    trunks = [
        Trunk(str(number), (), ids, tuple(Cut(len(ids), contexts[index][len(ids) :]) for index in some))
        for number, (ids, some) in enumerate(groups)
    ]
    answers = [[continuations[index] for index in some] for _, some in groups]
    found = [[0.0] * len(some) for some in continuations]
    forwarded = 0
    for batch in micro_batches(trunks, answers, TOKENS_BELOW):
        totals, tokens = _scored(policy, trunks, answers, batch)
        forwarded += tokens
        left = iter(totals)
        for part in batch:
            for cut, number in part.branches:
                found[groups[part.trunk][1][cut]][number] = next(left)
    return found, forwarded


@torch.no_grad()
def _scored(
    policy: Policy, trunks: Sequence[Trunk], answers: Sequence[Sequence[Sequence[tuple[int, ...]]]],
    batch: Sequence[Part],
) -> tuple[list[float], int]:  # fmt: skip
    """Nats of every continuation of some parts, in their order, and the tokens forwarded."""
    picked = [part.pick(trunks[part.trunk], answers[part.trunk]) for part in batch]
    return _totals(policy, [trunk for trunk, _ in picked], [ids for _, ids in picked])


def _totals(policy: Policy, trunks: Sequence[Trunk], answers: Answers) -> tuple[list[float], int]:
    """Summed log-probabilities of answers in order of (trunk, cut, answer), added up in float64."""
    scored = branch_logprobs(policy, trunks, answers, with_document=False)
    totals = np.bincount(
        scored.answer_N.cpu().numpy(),
        weights=scored.logprobs_N.double().cpu().numpy(),
        minlength=scored.num_answers,
    )
    return totals.tolist(), scored.num_tokens
