"""Operations of a stage, by the counting of :mod:`rpt_core.policy.work`, from sizes alone.

A forward pass over n tokens with p pairs of query and key and s scored tokens takes ``2 W n + 4 H C L p +
2 V E s``; a backward pass twice that, the head's logits and checkpointed layers once more. Decoding attends
from every token of an answer to its trunk, its suffix and what was drawn before it.
``tests/unit/planning/test_work.py`` holds the sums against those counted while a step really runs.
"""

from dataclasses import dataclass

from rpt_core.planning.jobs import StageJob
from rpt_core.planning.load import Load, micro_batch
from rpt_core.planning.memory import Spread
from rpt_core.planning.shape import Shape


@dataclass(frozen=True, slots=True)
class StageWork:
    """Operations of a whole stage, over all devices."""

    prefill: float = 0.0
    """Of reading documents and suffixes before answers are drawn."""
    decode: float = 0.0
    """Of drawing answers."""
    update: float = 0.0
    """Of learning, or of scoring given text."""
    judge: float = 0.0
    """Of a judge that runs in the same process."""

    @property
    def total(self) -> float:
        """Of all of it."""
        return self.prefill + self.decode + self.update + self.judge


def stage_work(shape: Shape, job: StageJob, spread: Spread) -> StageWork:
    """Operations of all steps of a stage."""
    prefill = sum(_prefill(shape, load) for load in job.draws)
    decode = sum(_decode(shape, load) for load in job.draws)
    update = 0.0
    if job.update is not None:
        update = job.updates * update_flops(shape, job.update, spread)
    elif job.scored is not None:
        update = _scored_text(shape, job.scored)
    judge = job.load.judge.flops_per_token * job.judged_tokens if job.load.judge else 0.0
    return StageWork(*(job.steps * part for part in (prefill, decode, update, judge)))


def update_flops(shape: Shape, load: Load, spread: Spread) -> float:
    """Of one optimiser step; a trunk is computed again for every micro-batch its answers are split over."""
    part = micro_batch(load, spread.micro_batch_tokens)
    times = load.answers / part.answers if part.answers else load.documents / part.documents
    answers, documents = part.answers * part.answer, part.trunk_tokens
    pairs = part.documents * part.trunk**2
    pairs += part.branch_tokens * part.trunk + part.answers * part.answer * (part.suffix + part.answer)
    layers = shape.flops_per_token * part.tokens + shape.flops_per_pair * pairs
    with_documents = load.scores_document or not load.group
    # a document that is split over several micro-batches is scored in each, and counted once
    scored = answers + documents * with_documents
    again = 0.0
    if spread.checkpointed:  # all but the layer's last product, whose output the backward pass does not need
        again = layers - 2 * shape.layers * shape.hidden * shape.feed_forward * part.tokens
    reference = load.references * (layers + shape.flops_per_score * answers)
    branches = times * (3 * layers + again + 4 * shape.flops_per_score * scored + reference)
    if not load.raw_documents:
        return branches
    alone = Load(documents=load.documents, trunk=load.trunk, scores_document=True)
    return branches + update_flops(shape, alone, spread)


def _prefill(shape: Shape, load: Load) -> float:
    tokens = load.documents * (load.trunk + load.cuts * load.suffix)
    pairs = load.documents * (load.trunk**2 + load.cuts * load.suffix * (load.trunk + load.suffix))
    return shape.flops_per_token * tokens + shape.flops_per_pair * pairs


def _decode(shape: Shape, load: Load) -> float:
    """The first token is predicted by the prefill, the last is not forwarded."""
    tokens = load.answers * max(load.answer - 1, 0)
    pairs = tokens * (load.trunk + load.suffix + load.answer / 2)
    scored = load.answers * load.answer
    return shape.flops_per_token * tokens + shape.flops_per_pair * pairs + shape.flops_per_score * scored


def _scored_text(shape: Shape, load: Load) -> float:
    tokens = load.documents * load.trunk
    return (shape.flops_per_token + shape.flops_per_score + shape.flops_per_pair * load.trunk) * tokens
