"""A step's metrics: of its answers, of its updates, and how much the training has used so far."""

import numpy as np

from rpt_core.artifacts.build import FLOPS
from rpt_core.objectives.verdicts import length_shares
from rpt_core.train.rl.gather import Batch
from rpt_core.train.rl.state import Progress
from rpt_core.train.rl.sums import Learnt, Sums


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
