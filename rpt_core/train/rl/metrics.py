"""A step's metrics: of its answers, of its updates (sums over micro-batches and ranks), of the training."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rpt_core.artifacts.build import FLOPS
from rpt_core.objectives.outcomes import length_shares
from rpt_core.train.rl.collect import Batch
from rpt_core.train.rl.state import Progress


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


def describe(batch: Batch) -> dict[str, float]:
    """Metrics of the answers themselves; none where nothing was asked."""
    if not batch.asks:
        return {}
    verdicts = [verdict for group in batch.groups for verdict in group.verdicts]
    thoughts = np.array([verdict.thought_tokens for verdict in verdicts])
    counts = {f"verdict/{name}": float(count) for name, count in batch.verdict_counts().items()}
    lengths = [v.prediction_tokens for v in verdicts if v.verdict in ("correct", "wrong")]
    return {
        "reward_mean": float(np.mean([verdict.score for verdict in verdicts])),
        **counts,
        "kept_fraction": batch.num_kept / sum(1 for _ in batch.groups),
        "groups_kept": float(batch.num_kept),
        "think_share": float((thoughts > 0).mean()),
        "thought_tokens": float(thoughts.mean()),
        "answer_tokens": float(np.mean([verdict.answer_tokens for verdict in verdicts])),
        **{f"prediction_share/{name}": share for name, share in length_shares(lengths).items()},
        **_asked_for(batch),
    }


def _asked_for(batch: Batch) -> dict[str, float]:
    """Budget and tiers of the step's questions, where the objective has them (RMT)."""
    questions = [group.question for group in batch.groups]
    found = {}
    if questions[0].budget is not None:
        found["budget_tokens"] = float(questions[0].budget)
    tiers = [question.tier for question in questions if question.tier is not None]
    return found | {f"tier_share/{tier}": tiers.count(tier) / len(tiers) for tier in sorted(set(tiers))}


def staleness(batch: Batch, step: int) -> dict[str, float]:
    """Updates from the weights an answer was drawn under to those of ``step``, mean over answers."""
    ages = [step - sample.version for group in batch.groups for sample in group.samples]
    return {"staleness": float(np.mean(ages))} if ages else {}


def means(learnt: Learnt) -> dict[str, float]:
    """The step's metrics, at the policy that drew the answers; how far it went, where it took several."""
    sums, tokens = learnt.first, max(learnt.first.answer_tokens, 1)
    return {
        "loss": sums.loss,
        "policy_loss": sums.policy_loss,
        "ntp_loss": sums.ntp_loss,
        "kl": sums.kl / tokens,
        "entropy": sums.entropy / tokens,
        "mismatch_nats": sums.mismatch / tokens,
        "mismatch_kl": sums.mismatch_kl / tokens,
        "ratio_error_max": sums.ratio_error,
        "update_tokens": float(learnt.forwarded),
        "grad_norm": learnt.norm,
        **(_moved(learnt.last) if learnt.last is not learnt.first else {}),
    }


def _moved(last: Sums) -> dict[str, float]:
    """How far the last update of a batch was from the policy that drew it."""
    tokens = max(last.answer_tokens, 1)
    return {
        "clipped_share": last.clipped / tokens,
        "ratio_max": last.ratio_max,
        "old_kl": last.old_kl / tokens,
        "loss_last_update": last.loss,
    }


def totals(progress: Progress) -> dict[str, float]:
    """What the training has used so far."""
    return {
        "tokens_total": float(progress.tokens),
        FLOPS: progress.gflops,
        "questions_total": float(progress.asked),
    }
