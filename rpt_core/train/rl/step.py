"""One training step: what a batch of judged answers does to the policy.

The loss of a batch is a sum over micro-batches, each already divided by the denominators of the whole
batch, so it does not depend on how the batch is split.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from rpt_core.artifacts.build import GIGA
from rpt_core.errors import EngineError, StarvedError
from rpt_core.objectives.objective import Seen, StatefulObjective
from rpt_core.policy.forward import BranchScores, DocumentScores, branch_logprobs
from rpt_core.policy.parts import Part, has_branches, micro_batches, smallest
from rpt_core.train.backends.shares import in_step, own_share
from rpt_core.train.rl.collect import Batch
from rpt_core.train.rl.lessons import PolicyExample, Scales, lesson_of, scales_of
from rpt_core.train.rl.losses import dual
from rpt_core.train.rl.losses.policy import (
    clipped,
    importance_weights,
    kl_terms,
    policy_terms,
    ratios,
    token_weights,
)
from rpt_core.train.rl.losses.selection import followed
from rpt_core.train.rl.metrics import Learnt, Sums, describe, means, merged, staleness, totals
from rpt_core.train.rl.reference import follow
from rpt_core.train.rl.state import Progress, Trainer

DRAWN: Literal["drawn"] = "drawn"
"""In place of the log-probabilities of the policy that drew: those of its engine."""
Before = Sequence[Tensor] | Literal["drawn"] | None


def step(trainer: Trainer, progress: Progress, batch: Batch) -> tuple[Progress, dict[str, float]]:
    """Update the policy on one batch, as often as the recipe says.

    A batch without a group worth an update changes nothing and counts as empty.

    Returns:
        How far the training is now, and the step's metrics.

    Raises:
        StarvedError: too many empty steps in a row.
        EngineError: the loss is not finite, answers were drawn under other weights than the present ones, or
            engine and trainer disagree about their probabilities.
    """
    _refuse_stale(trainer, batch, progress.step)
    learns = batch.num_kept > 0 or (not batch.asks and trainer.ntp_weight > 0)
    learnt = _learn(trainer, batch, progress.step + 1) if learns else None
    follow(trainer, progress.step + 1)
    if isinstance(trainer.objective, StatefulObjective):
        entropies = learnt.first.entropies_nats if learnt else {}
        trainer.objective.observe(Seen([group.verdicts for group in batch.groups], entropies))
    advanced = _advance(trainer, progress, batch, learnt)
    if advanced.empty_steps >= trainer.recipe.selection.max_empty_steps:
        raise StarvedError(_starved(advanced, batch))
    stale = staleness(batch, progress.step) if trainer.recipe.off_policy_steps else {}
    return advanced, {**describe(batch), **stale, **(means(learnt) if learnt else {}), **totals(advanced)}


def _learn(trainer: Trainer, batch: Batch, number: int) -> Learnt:
    """Take the step's updates, each on a minibatch; all but the first are off the sampled policy."""
    lessons, before = [lesson_of(trainer, document) for document in batch.documents], _work(trainer)
    parts = minibatches(trainer, lessons)
    first = sums = _update(trainer, parts[0], scales_of(trainer, parts[0]), number, None)
    forwarded = first[0].forwarded
    again = first[0].logprobs if len(parts) == 1 else DRAWN
    for part in [*parts[1:], *(part for _ in range(trainer.recipe.updates_per_batch - 1) for part in parts)]:
        sums = _update(trainer, part, scales_of(trainer, part), number, again)
        forwarded += sums[0].forwarded
    flops = sum(trainer.backend.all_gather(_work(trainer) - before))
    return Learnt(first[0], sums[0], forwarded, flops, sums[1])


def minibatches(trainer: Trainer, lessons: Sequence[PolicyExample]) -> list[Sequence[PolicyExample]]:
    """The recipe's parts of a batch, by documents in turn; those that nothing is learnt from are in none."""
    if trainer.recipe.minibatches == 1:
        return [lessons]
    learnt = [one for one in lessons if one.answers or trainer.watches_documents]
    num = max(1, min(trainer.recipe.minibatches, len(learnt)))
    return [learnt[part::num] for part in range(num)]


def _work(trainer: Trainer) -> float:
    """Operations of the models that updates go through, so far."""
    reference = trainer.reference.work.flops if trainer.reference else 0.0
    return trainer.policy.work.flops + reference


def _update(
    trainer: Trainer,
    lessons: Sequence[PolicyExample],
    scales: Scales,
    number: int,
    old: Before,
) -> tuple[Sums, float]:
    """One optimiser step at the rate of step ``number``; sums over all ranks, and its gradient's norm."""
    sizes = [one.num_tokens if one.answers or trainer.watches_documents else 0 for one in lessons]
    mine = accumulate(trainer, lessons, scales, old, own_share(sizes, trainer.backend))
    sums = replace(merged(trainer.backend.all_gather(replace(mine, logprobs=[]))), logprobs=mine.logprobs)
    _refuse_mismatch(sums, number, trainer.recipe.mismatch_nats_max)
    _refuse_not_finite(sums.loss, 0.0, number)
    norm = trainer.backend.step(number)
    _refuse_not_finite(sums.loss, norm, number)
    return sums, norm


def accumulate(
    trainer: Trainer, lessons: Sequence[PolicyExample], scales: Scales, old: Before = None,
    share: Sequence[int] | None = None,
) -> Sums:  # fmt: skip
    """Add the lessons' share of the batch's gradient to the model's; the sums behind the batch's metrics.

    Args:
        trainer: Its policy is scored.
        lessons: The batch.
        scales: Its denominators: shares of any split then add up to the same gradient.
        old: ``Sums.logprobs`` of the policy that drew the answers; none where it is the present one;
            :data:`DRAWN` for what the engine said as it drew them.
        share: Indices of the lessons that this rank learns from; all where it is left out.
    """
    sums = Sums()
    trunks, answers = [one.trunk for one in lessons], [one.answers for one in lessons]
    apart = trainer.watches_documents and trainer.ntp_text == "raw"

    def kind(parts: Sequence[Part]) -> int:
        """Which passes it makes: over a trunk and its branches, and over documents apart."""
        return int(has_branches(parts)) + 2 * int(apart and any(part.counts_document for part in parts))

    def filler(kind: int) -> list[Part]:
        counts = not apart or kind >= 2
        return [smallest(trunks, answers, branches=kind % 2 == 1, counts_document=counts)]

    found = micro_batches(trunks, answers, trainer.tokens_per_micro_batch, share)
    useful = [[p for p in parts if p.branches or trainer.watches_documents] for parts in found]
    for parts, counts in in_step([parts for parts in useful if parts], kind, filler, trainer.backend):
        taken = old if old is None or old == DRAWN else old[len(sums.logprobs)] if counts else None
        loss = _part_loss(trainer, lessons, parts, scales, sums if counts else Sums(), taken)
        trainer.backend.backward(loss * float(counts))
        sums.loss += float(loss.detach()) * counts
    return sums


def _part_loss(
    trainer: Trainer, lessons: Sequence[PolicyExample], parts: Sequence[Part], scales: Scales, sums: Sums,
    old_N: Tensor | Literal["drawn"] | None,
) -> Tensor:  # fmt: skip
    """The loss of one micro-batch, its share of the batch's."""
    picked = [part.pick(lessons[part.trunk].trunk, lessons[part.trunk].answers) for part in parts]
    trunks, answers = [trunk for trunk, _ in picked], [ids for _, ids in picked]
    scores = trainer.backend.score(
        trunks, answers, trainer.layout, trainer.recipe.temperature,
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
    trainer: Trainer, lessons: Sequence[PolicyExample], parts: Sequence[Part], scores: BranchScores,
    scales: Scales, sums: Sums, old_N: Tensor | Literal["drawn"] | None,
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
    if old_N is None:
        old_N = now_N
    elif not isinstance(old_N, Tensor):
        old_N = engine_N
    counted_A = _counted(lessons, parts, scores)
    weights_N = token_weights(scores.answer_N, counted_A, trainer.preset, scales.policy)
    weights_N = weights_N * importance_weights(old_N, engine_N, trainer.recipe.importance_cap)
    if any(one.emphases for one, _, _ in rows):
        weights_N = weights_N * torch.tensor([x for row in rows for x in _emphasis(*row)], device=device)
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


def _emphasis(lesson: PolicyExample, cut: int, answer: int) -> Sequence[float]:
    """By token of an answer, a factor of its weight."""
    return lesson.emphases.get((cut, answer)) or [1.0] * len(lesson.engine_logprobs[cut][answer])


def _counted(lessons: Sequence[PolicyExample], parts: Sequence[Part], scores: BranchScores) -> Tensor:
    """By answer of the micro-batch, whether it is in the loss and its denominator."""
    counted = [lessons[part.trunk].counted[cut][answer] for part in parts for cut, answer in part.branches]
    return torch.tensor(counted, dtype=torch.bool, device=scores.logprobs_N.device)


def _document_loss(
    trainer: Trainer, lessons: Sequence[PolicyExample], parts: Sequence[Part], own: DocumentScores | None,
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
        own, num_tokens = dual.raw_scores(trainer.backend, trunks)
        sums.forwarded += num_tokens
        parts = [part for part in parts if part.counts_document]
    else:
        own = own.where(counted[own.trunk_M])
    sums.entropies_nats |= dual.entropies_by_trunk(trunks, own)
    loss = dual.own_loss(trunks, [lessons[part.trunk].reasoned for part in parts], own) / scales.ntp
    sums.ntp_loss += float(loss.detach())
    return trainer.ntp_weight * loss


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
        deviation=followed(
            progress.deviation,
            [group.scores for group in batch.groups],
            trainer.recipe.selection,
            progress.step + 1,
        ),
        ahead=None,
    )


def _refuse_stale(trainer: Trainer, batch: Batch, version: int) -> None:
    """Refuse answers of an engine that did not follow; one that shares the weights cannot lag behind."""
    if trainer.engine.shares_weights:
        return
    most = trainer.recipe.off_policy_steps
    versions = {sample.version for group in batch.groups for sample in group.samples}
    if other := {one for one in versions if not 0 <= version - one <= most}:
        allowed = f" (off_policy_steps={most} allows {most} between them)" if most else ""
        raise EngineError(
            f"answers of step {version + 1} were drawn under the weights of step {min(other)}, and the "
            f"trainer is at step {version}{allowed}: the update would not be on the policy that was sampled. "
            "Look at the engine's log for its last load; rerun to resume from the last checkpoint."
        )


def _refuse_mismatch(sums: Sums, number: int, most: float) -> None:
    gap = sums.mismatch / max(sums.answer_tokens, 1)
    if gap > most:
        raise EngineError(
            f"engine and trainer differ by {gap:.2f} nats a token at step {number} (at most "
            f"{most:g}): the engine serves other weights or another temperature than the trainer "
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
