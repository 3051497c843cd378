"""How hard every token of some texts is to guess, for a model that has read only what stands before it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rpt_core.errors import EngineError
from rpt_core.policy.forward import document_scores
from rpt_core.policy.model import Policy
from rpt_core.policy.parts import padded_batches
from rpt_core.policy.trunk import Trunk

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Span:
    """One window over a document: tokens ``start`` to ``end``, scored from ``new`` on."""

    document: int
    start: int
    end: int
    new: int

    @property
    def num_tokens(self) -> int:
        """Length of the window."""
        return self.end - self.start


def spans(document: int, num_tokens: int, context_tokens: int, stride_tokens: int) -> Iterator[Span]:
    """Windows that score every token but the first exactly once.

    Example:
        >>> [(s.start, s.end, s.new) for s in spans(0, 11, context_tokens=6, stride_tokens=3)]
        [(0, 6, 1), (3, 9, 6), (6, 11, 9)]
    """
    start, new = 0, 1
    while new < num_tokens:
        end = min(start + context_tokens, num_tokens)
        yield Span(document, start, end, new)
        start, new = start + stride_tokens, end


@torch.no_grad()
def score_documents(
    policy: Policy,
    documents: Sequence[Sequence[int]],
    windows: Sequence[Span],
    top_k: int,
    budget: int,
    scored: Callable[[int], None] = lambda num_windows: None,
) -> tuple[list[Floats], list[Floats], int]:
    """Entropy of the ``top_k`` likeliest next tokens, renormalised, and negative log-likelihood.

    The logits are taken over a chunk of positions at a time; see :mod:`rpt_core.policy.head`.

    Args:
        policy: The proxy model; it sees the documents alone, without any instruction. Every window begins
            with BOS where the model has one; BOS is not scored.
        documents: Token ids.
        windows: Windows over the documents.
        top_k: Likeliest tokens kept (RPT, section 3.3).
        budget: Most tokens of a forward pass, padding included.
        scored: Told after every forward pass how many windows are scored.

    Returns:
        Entropies and negative log-likelihoods in nats by document, NaN for the first token, which nothing
        predicts; and the number of tokens forwarded.

    Raises:
        EngineError: a score is NaN. It is never taken for "easy": the proxy failed on that text.
    """
    entropies = [np.full(len(ids), np.nan, np.float32) for ids in documents]
    nlls = [np.full(len(ids), np.nan, np.float32) for ids in documents]
    forwarded = num_windows = 0
    for bucket in buckets(windows, budget, len(policy.begin_ids)):
        trunks = [
            Trunk(str(s.document), policy.begin_ids, tuple(documents[s.document][s.start : s.end]))
            for s in bucket
        ]
        scores = document_scores(policy, trunks, top_k=top_k)
        entropy_M, nll_M = scores.entropies_M.cpu().numpy(), scores.nll_M.cpu().numpy()
        if not (np.isfinite(entropy_M).all() and np.isfinite(nll_M).all()):
            raise EngineError(
                f"the proxy model gave a NaN or infinite score in a batch of {len(bucket)} windows. Its "
                "weights are broken, or its numbers overflow: score with dtype=float32."
            )
        forwarded += len(bucket) * max(trunk.num_tokens for trunk in trunks)
        for number, span in enumerate(bucket):
            of = scores.trunk_M == number
            at = scores.token_M[of] + span.start
            fresh = at >= span.new
            entropies[span.document][at[fresh]] = entropy_M[of][fresh]
            nlls[span.document][at[fresh]] = nll_M[of][fresh]
        num_windows += len(bucket)
        scored(num_windows)
    return entropies, nlls, forwarded


def buckets(windows: Sequence[Span], budget: int, before: int = 0) -> list[list[Span]]:
    """Windows of like length together, padded size within the budget where one alone allows it.

    Args:
        windows: Windows over documents.
        budget: Most tokens of a forward pass.
        before: Tokens that stand before every window (BOS).
    """
    ordered = sorted(windows, key=lambda span: (span.document, span.start))
    lengths = [before + span.num_tokens for span in ordered]
    return [[ordered[index] for index in batch] for batch in padded_batches(lengths, budget)]
