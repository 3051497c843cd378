"""Continuations of contexts as lm-evaluation-harness asks for them: log-probability, and whether greedy.

Letters: N scored tokens, E hidden size, V vocabulary, P slots of a pass.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rpt_core.errors import RecipeError
from rpt_core.evaluation.benchmarks.likelihood import TOKENS_PER_BATCH
from rpt_core.policy.forward import forward_states
from rpt_core.policy.head import chunks, product, score_tokens
from rpt_core.policy.layout import lay_out
from rpt_core.policy.model import Policy
from rpt_core.policy.parts import padded_batches
from rpt_core.policy.trunk import Cut, Trunk

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """What a model says of one continuation."""

    nats: float
    """Natural logarithm of its probability after the context, at temperature 1, added up in float64."""
    is_greedy: bool
    """Whether every token of it is the likeliest one in its place."""
    num_tokens: int
    """That went through the model for it; a context counts for the first of its continuations."""


def fit(context: Ids, continuation: Ids, places: int) -> tuple[Ids, Ids]:
    """A pair cut on the left to what a model of ``places`` tokens can read; the last token is not read.

    Raises:
        RecipeError: the continuation alone is too long, or nothing stands before its first token.

    Example:
        >>> fit((1, 2, 3), (4, 5), 3), fit((1, 2, 3), (4, 5), 9)
        (((2, 3), (4, 5)), ((1, 2, 3), (4, 5)))
    """
    room = places + 1 - len(continuation)
    if not context or room < 1:
        raise RecipeError(
            f"a continuation of {len(continuation)} tokens after {len(context)} cannot be scored by a model "
            f"of {places} places: its first token needs one before it. Leave the task out."
        )
    return context[-room:], continuation


@torch.no_grad()
def continuations(policy: Policy, pairs: Sequence[tuple[Ids, Ids]]) -> Iterator[tuple[int, Scored]]:
    """The number of each pair and what the model says of it, in the order it is computed in.

    Pairs with one context share its pass through the model, whatever stands between them.

    Args:
        policy: The model.
        pairs: Contexts and continuations, neither of them empty.
    """
    places: dict[Ids, list[int]] = {}
    for number, (context, _) in enumerate(pairs):
        places.setdefault(context, []).append(number)
    held = list(places.items())
    sizes = [len(context) + max(len(pairs[i][1]) for i in numbers) for context, numbers in held]
    for batch in padded_batches(sizes, TOKENS_PER_BATCH):
        some = [held[i] for i in batch]
        scored = _scored(policy, some, [[pairs[i][1] for i in numbers] for _, numbers in some])
        yield from zip((i for _, numbers in some for i in numbers), scored, strict=True)


def _scored(policy: Policy, some: Sequence[tuple[Ids, list[int]]], below: list[list[Ids]]) -> list[Scored]:
    trunks = [Trunk(str(at), (), ids, (Cut(len(ids)),)) for at, (ids, _) in enumerate(some)]
    tree = lay_out(trunks, [[answers] for answers in below])
    hidden_PE, _ = forward_states(policy, tree, "two-pass")
    hidden_NE = hidden_PE.index_select(0, torch.from_numpy(tree.predictor_N).to(policy.device))
    targets_N = torch.from_numpy(tree.target_N).to(policy.device)
    policy.work.add_scores(2 * len(targets_N))
    logprobs_N, _ = score_tokens(hidden_NE, policy.output_weight, targets_N)
    missed_N = (likeliest(hidden_NE, policy.output_weight) != targets_N).cpu().numpy()
    count = tree.num_answers
    nats = np.bincount(tree.answer_N, logprobs_N.double().cpu().numpy(), minlength=count)
    missed = np.bincount(tree.answer_N, missed_N, minlength=count)
    sizes = [
        len(ids) + (len(trunk.document_ids) if at == 0 else 0)
        for trunk, answers in zip(trunks, below, strict=True)
        for at, ids in enumerate(answers)
    ]
    return [Scored(float(one), not wrong, size) for one, wrong, size in zip(nats, missed, sizes, strict=True)]


def likeliest(hidden_NE: Tensor, weight_VE: Tensor) -> Tensor:
    """The likeliest token after each state, shape ``(N,)``, without ever holding all logits."""
    parts = [
        product(hidden_NE[chunk], weight_VE.mT).argmax(1)  # (J, V) -> (J,)
        for chunk in chunks(len(hidden_NE), weight_VE)
    ]
    return torch.cat(parts) if parts else hidden_NE.new_zeros(0, dtype=torch.int64)
