"""One training step: what a batch of judged answers does to the policy.

The loss of a batch is a sum over micro-batches, each already divided by the denominators of the whole
batch, so it does not depend on how the batch is split (design 3.3).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rpt_core.artifacts.build import FLOPS, GIGA
from rpt_core.errors import EngineError, StarvedError
from rpt_core.objectives.objective import Observing, Seen
from rpt_core.objectives.verdicts import length_shares
from rpt_core.policy.forward import BranchScores, DocumentScores, branch_logprobs
from rpt_core.policy.parts import Part, micro_batches
from rpt_core.policy.trunk import Trunk
from rpt_core.train.rl import dual
from rpt_core.train.rl.advantages import group_advantages
from rpt_core.train.rl.gather import Answered, Batch
from rpt_core.train.rl.losses import (
    clipped,
    denominator,
    importance_weights,
    kl_terms,
    policy_terms,
    ratios,
    token_weights,
)
from rpt_core.train.rl.reference import follow
from rpt_core.train.rl.state import Progress, Trainer

IMPORTANCE_CAP = 2.0
"""Largest token-level weight between engine and trainer; 1 throughout when both share a module."""
MISMATCH_NATS_MAX = 0.5
"""Mean gap of log-probabilities between engine and trainer beyond which updates mean nothing."""


@dataclass(frozen=True)
class Lesson:
    """What is learnt from one document: the kept cuts, their answers and advantages."""

    trunk: Trunk
    answers: list[list[tuple[int, ...]]]
    engine_logprobs: list[list[tuple[float, ...]]]
    advantages: list[list[float]]
    counted: list[list[bool]]
    """False for answers that stay out of the loss and its denominator."""
    reasoned: frozenset[int]
    """Document tokens that were asked about: not part of the documents' own loss."""


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


@dataclass(frozen=True)
class Scales:
    """Denominators of the whole batch."""

    policy: float
    ntp: float


def step(trainer: Trainer, progress: Progress, batch: Batch) -> tuple[Progress, dict[str, float]]:
    """Update the policy on one batch, as often as the recipe says.

    A batch without a group worth an update changes nothing and counts as empty.

    Returns:
        How far the training is now, and the step's metrics.

    Raises:
        StarvedError: too many empty steps in a row.
        EngineError: the loss is not finite, or engine and trainer disagree about the answers drawn.
    """
    learns = batch.num_kept > 0 or (not batch.asks and trainer.ntp_weight > 0)
    learnt = _learn(trainer, batch, progress.step + 1) if learns else None
    follow(trainer)
    if isinstance(trainer.objective, Observing):
        entropies = learnt.first.entropies_nats if learnt else {}
        trainer.objective.observe(Seen([group.verdicts for group in batch.groups], entropies))
    advanced = _advance(trainer, progress, batch, learnt)
    if advanced.empty_steps >= trainer.recipe.selection.max_empty_steps:
        raise StarvedError(_starved(advanced, batch))
    return advanced, {**describe(batch), **(_means(learnt) if learnt else {}), **_totals(advanced)}


def _learn(trainer: Trainer, batch: Batch, number: int) -> Learnt:
    """Take the step's updates; each sees the whole batch, all but the first are off the sampled policy."""
    lessons = [_lesson(trainer, document) for document in batch.documents]
    before = _work(trainer)
    first = sums = _update(trainer, lessons, number, None)
    forwarded = first[0].forwarded
    for _ in range(trainer.recipe.updates_per_batch - 1):
        sums = _update(trainer, lessons, number, first[0].logprobs)
        forwarded += sums[0].forwarded
    return Learnt(first[0], sums[0], forwarded, _work(trainer) - before, sums[1])


def _work(trainer: Trainer) -> float:
    """Operations of the models that updates go through, so far."""
    reference = trainer.reference.work.flops if trainer.reference else 0.0
    return trainer.policy.work.flops + reference


def _update(
    trainer: Trainer, lessons: Sequence[Lesson], number: int, old: Sequence[Tensor] | None
) -> tuple[Sums, float]:
    """One optimiser step at the rate of step ``number``; its sums and the norm of its gradient."""
    sums = accumulate(trainer, lessons, old)
    _refuse_mismatch(sums, number)
    _refuse_not_finite(sums.loss, 0.0, number)
    norm = trainer.update.step(number)
    _refuse_not_finite(sums.loss, norm, number)
    return sums, norm


def accumulate(trainer: Trainer, lessons: Sequence[Lesson], old: Sequence[Tensor] | None = None) -> Sums:
    """Leave the gradient of the whole batch's loss in the model; the sums behind its metrics.

    Args:
        trainer: Its policy is scored.
        lessons: The batch.
        old: ``Sums.logprobs`` of the policy that drew the answers; none where it is the present one.
    """
    sums = Sums()
    counted = [len(ids) for one in lessons for ids, counts in _flat(one.answers, one.counted) if counts]
    scales = Scales(
        denominator(counted, trainer.preset, trainer.recipe.reasoning_tokens),
        float(max(sum(_num_own(trainer, one) for one in lessons), 1)),
    )
    trunks, answers = [one.trunk for one in lessons], [one.answers for one in lessons]
    for parts in micro_batches(trunks, answers, trainer.tokens_per_micro_batch):
        useful = [part for part in parts if part.branches or trainer.watches_documents]
        if useful:
            sampled = None if old is None else old[len(sums.logprobs)]
            loss = _part_loss(trainer, lessons, useful, scales, sums, sampled)
            loss.backward()  # type: ignore[no-untyped-call]
            sums.loss += float(loss.detach())
    return sums


def _part_loss(
    trainer: Trainer, lessons: Sequence[Lesson], parts: Sequence[Part], scales: Scales, sums: Sums,
    old_N: Tensor | None,
) -> Tensor:  # fmt: skip
    """The loss of one micro-batch, its share of the batch's."""
    picked = [part.pick(lessons[part.trunk].trunk, lessons[part.trunk].answers) for part in parts]
    trunks, answers = [trunk for trunk, _ in picked], [ids for _, ids in picked]
    scores = branch_logprobs(
        trainer.policy, trunks, answers, trainer.layout, trainer.recipe.temperature,
        with_document=trainer.watches_documents and trainer.ntp_text == "instructed", as_drawn=True,
    )  # fmt: skip
    sums.forwarded += scores.num_tokens
    loss = _policy_loss(trainer, lessons, parts, scores, scales, sums, old_N)
    if trainer.reference is not None:
        with torch.no_grad():
            reference = branch_logprobs(
                trainer.reference,
                trunks,
                answers,
                trainer.layout,
                trainer.recipe.temperature,
                with_document=False,
                as_drawn=True,
            )
        terms_N = kl_terms(scores.logprobs_N, reference.logprobs_N)
        sums.kl += float(terms_N.detach().sum())
        weights_N = token_weights(
            scores.answer_N, _counted(lessons, parts, scores), trainer.preset, scales.policy
        )
        loss = loss + trainer.recipe.kl_weight * (weights_N * terms_N).sum()
    own = _document_loss(trainer, lessons, parts, scores.document, scales, sums)
    return loss if own is None else loss + own


def _policy_loss(
    trainer: Trainer, lessons: Sequence[Lesson], parts: Sequence[Part], scores: BranchScores,
    scales: Scales, sums: Sums, old_N: Tensor | None,
) -> Tensor:  # fmt: skip
    """This micro-batch's share of the policy's loss.

    Two ratios are kept apart: the surrogate compares the present policy with the one that drew the
    answers, as the trainer scored it before the batch's first update; the weight corrects that one for
    the engine, which may have computed it slightly otherwise.
    """
    device = scores.logprobs_N.device
    rows = [(lessons[part.trunk], *branch) for part in parts for branch in part.branches]
    advantages_A = torch.tensor([one.advantages[c][a] for one, c, a in rows], device=device)
    engine_N = torch.tensor([x for one, c, a in rows for x in one.engine_logprobs[c][a]], device=device)
    now_N = scores.logprobs_N.detach()
    old_N = now_N if old_N is None else old_N
    counted_A = _counted(lessons, parts, scores)
    weights_N = token_weights(scores.answer_N, counted_A, trainer.preset, scales.policy)
    weights_N = weights_N * importance_weights(old_N, engine_N, IMPORTANCE_CAP)
    terms_N = policy_terms(scores.logprobs_N, old_N, advantages_A, scores.answer_N, trainer.preset)
    loss = (weights_N * terms_N).sum()
    sums.policy_loss += float(loss.detach())
    sums.entropy += float(scores.entropies_N.detach().sum())
    sums.mismatch += float((engine_N - old_N).abs().sum())
    if len(now_N):
        sums.ratio_error = max(sums.ratio_error, float(((old_N - engine_N).exp() - 1).abs().max()))
        sums.mismatch_kl += float(kl_terms(engine_N, old_N).sum())
        ratio_N = ratios(now_N, old_N, scores.answer_N, scores.num_answers, trainer.preset)
        sums.ratio_max = max(sums.ratio_max, float(ratio_N.max()))
        sums.clipped += int((clipped(ratio_N, trainer.preset) != ratio_N).sum())
        sums.old_kl += float(kl_terms(now_N, old_N).sum())
    sums.logprobs.append(now_N)
    sums.answer_tokens += len(now_N)
    return loss


def _counted(lessons: Sequence[Lesson], parts: Sequence[Part], scores: BranchScores) -> Tensor:
    """By answer of the micro-batch, whether it is in the loss and its denominator."""
    counted = [lessons[part.trunk].counted[cut][answer] for part in parts for cut, answer in part.branches]
    return torch.tensor(counted, dtype=torch.bool, device=scores.logprobs_N.device)


def _document_loss(
    trainer: Trainer, lessons: Sequence[Lesson], parts: Sequence[Part], own: DocumentScores | None,
    scales: Scales, sums: Sums,
) -> Tensor | None:  # fmt: skip
    """This micro-batch's share of the documents' own loss, weighted; None where nothing asks for it.

    Args:
        trainer: Says which text the loss is taken on.
        lessons: All documents of the batch.
        parts: Of this micro-batch. A document split over several is counted in one of them.
        own: Scores of the branches' own trunks, where the loss is taken on those.
        scales: Denominators.
        sums: Added to.
    """
    if not trainer.watches_documents:
        return None
    trunks = [lessons[part.trunk].trunk for part in parts]
    counted = np.array([part.counts_document for part in parts])
    if own is None:
        trunks = [
            dual.raw(trunk, trainer.policy.begin_ids)
            for trunk, counts in zip(trunks, counted, strict=True)
            if counts
        ]
        if not trunks:
            return None
        own, num_tokens = dual.raw_scores(trainer.policy, trunks)
        sums.forwarded += num_tokens
        parts = [part for part in parts if part.counts_document]
    else:
        own = own.where(counted[own.trunk_M])
    sums.entropies_nats |= dual.entropies_by_trunk(trunks, own)
    loss = dual.own_loss(trunks, [lessons[part.trunk].reasoned for part in parts], own) / scales.ntp
    sums.ntp_loss += float(loss.detach())
    return trainer.ntp_weight * loss


def _num_own(trainer: Trainer, lesson: Lesson) -> int:
    trunk = lesson.trunk
    if trainer.ntp_text == "raw":
        trunk = dual.raw(trunk, trainer.policy.begin_ids)
    return dual.num_own_tokens(trunk, lesson.reasoned)


def _lesson(trainer: Trainer, document: Answered) -> Lesson:
    trunk, groups = document.asked.trunk, document.groups
    kept = [(cut, group) for cut, group in zip(trunk.cuts, groups, strict=True) if group.keep]
    masked = trainer.recipe.selection.mask_truncated
    return Lesson(
        trunk=replace(trunk, cuts=tuple(cut for cut, _ in kept)),
        answers=[[sample.token_ids for sample in group.samples] for _, group in kept],
        engine_logprobs=[[sample.logprobs for sample in group.samples] for _, group in kept],
        advantages=[
            group_advantages(group.scores, by_deviation=trainer.preset.by_deviation).tolist()
            for _, group in kept
        ],
        counted=[[not (masked and s.finish == "length") for s in group.samples] for _, group in kept],
        reasoned=frozenset(cut.position for cut in trunk.cuts),
    )


def _flat(
    answers: list[list[tuple[int, ...]]], counted: list[list[bool]]
) -> list[tuple[tuple[int, ...], bool]]:
    pairs = zip(answers, counted, strict=True)
    return [pair for ids, counts in pairs for pair in zip(ids, counts, strict=True)]


def _advance(trainer: Trainer, progress: Progress, batch: Batch, learnt: Learnt | None) -> Progress:
    forwarded, flops = (learnt.forwarded, learnt.flops) if learnt else (0, 0.0)
    return replace(
        progress,
        step=progress.step + 1,
        cursor=batch.cursor,
        empty_steps=0 if learnt else progress.empty_steps + 1,
        asked=progress.asked + sum(1 for _ in batch.groups),
        used=progress.used + batch.num_kept,
        tokens=progress.tokens + batch.num_forwarded + forwarded,
        gflops=progress.gflops + (batch.flops + flops) / GIGA,
    )


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


def _means(learnt: Learnt) -> dict[str, float]:
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


def _totals(progress: Progress) -> dict[str, float]:
    return {
        "tokens_total": float(progress.tokens),
        FLOPS: progress.gflops,
        "questions_total": float(progress.asked),
    }


def _refuse_mismatch(sums: Sums, number: int) -> None:
    gap = sums.mismatch / max(sums.answer_tokens, 1)
    if gap > MISMATCH_NATS_MAX:
        raise EngineError(
            f"engine and trainer differ by {gap:.2f} nats a token at step {number} (at most "
            f"{MISMATCH_NATS_MAX}): the engine serves other weights or another temperature than the trainer "
            "updates. Look at the engine's log for its last weight version."
        )


def _refuse_not_finite(loss: float, norm: float, number: int) -> None:
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise EngineError(
            f"the loss is {loss} (gradient norm {norm}) at step {number}; the last good step was "
            f"{number - 1}. Nothing was published. Lower optimiser.learning_rate or lengthen warmup_steps."
        )


def _starved(progress: Progress, batch: Batch) -> str:
    mix = ", ".join(f"{count} {name}" for name, count in batch.verdict_counts().items() if count)
    return (
        f"{progress.empty_steps} steps in a row, up to step {progress.step}, had no group whose answers "
        f"differ in reward; the last one's answers were {mix}. There is nothing to compare and nothing to "
        "learn from. All wrong or unparsed: start from a better cold start, or ask easier questions. All "
        "correct: ask harder ones (raise entropy_floor_nats)."
    )
