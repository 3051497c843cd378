"""A stage's estimate: memory, operations and hours on one machine."""

import math
from dataclasses import dataclass, replace

from rpt_core.planning.cards import GpuCard
from rpt_core.planning.jobs import StageJob
from rpt_core.planning.memory import FRAMEWORK_BYTES, MemoryPlan, Spread
from rpt_core.planning.shape import Shape
from rpt_core.planning.speed import CPU_ANCHOR, CPU_CORE_FLOPS, Anchor, anchor_for, decode_seconds
from rpt_core.planning.suggest import ROOM, Fit
from rpt_core.planning.work import StageWork, stage_work

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class StageForecast:
    """What a stage needs and how long it takes; hours are None where no step count or speed is known."""

    stage: str
    role: str
    model: str
    parameters: int
    card: str
    """The kind of GPU; empty on a CPU, and where the GPU's speed is not known."""
    spread: Spread
    memory: MemoryPlan
    work: StageWork | None
    """None where a recipe does not say how many steps there are."""
    draw_hours: float | None
    update_hours: float | None
    anchor: Anchor | None
    """Where the update's share of peak is from."""

    @property
    def hours(self) -> float | None:
        """By the clock."""
        if self.draw_hours is None or self.update_hours is None:
            return None
        return self.draw_hours + self.update_hours

    @property
    def gpu_hours(self) -> float | None:
        """Hours times GPUs."""
        return None if self.hours is None or not self.spread.gpu else self.hours * self.spread.ranks


def estimated(
    names: tuple[str, str, str], shape: Shape, job: StageJob, fit: Fit, card: GpuCard | None, cores: int = 1
) -> StageForecast:
    """One stage on one machine.

    Args:
        names: Stage, role of its artifact, and model.
        shape: Sizes of the model.
        job: Its work.
        fit: How it is laid out.
        card: The GPU; None for a CPU, or for a GPU whose speed is not known.
        cores: Of the CPU that are used, where it runs on one.
    """
    job = _within_operations(shape, job, fit.spread)
    work = stage_work(shape, job, fit.spread) if job.steps else None
    draw = update = None
    anchor: Anchor | None = None
    if work is not None and not fit.spread.gpu:
        anchor, speed = CPU_ANCHOR, CPU_CORE_FLOPS * cores * CPU_ANCHOR.share
        draw = (work.prefill + work.decode + work.judge) / speed / HOUR
        update = work.update / speed / HOUR
    elif work is not None and card is not None:
        kind = "rl" if job.update is not None and job.draws else "supervised"
        anchor = anchor_for(shape.parameters, kind)
        reading = anchor_for(shape.parameters, "supervised").share * card.flops * fit.spread.ranks
        drawn = decode_seconds(shape, job.draws, fit.spread, card, _pool(fit, card)) * job.steps
        draw = (drawn + (work.prefill + work.judge) / reading) / HOUR
        update = work.update / (card.flops * fit.spread.ranks * anchor.share) / HOUR
    name = card.name if card and fit.spread.gpu else ""
    return StageForecast(*names, shape.parameters, name, fit.spread, fit.memory, work, draw, update, anchor)


def _within_operations(shape: Shape, job: StageJob, spread: Spread) -> StageJob:
    """The job with the steps that its operations allow."""
    if not (job.steps and job.most_flops):
        return job
    one = stage_work(shape, replace(job, steps=1), spread).total
    return replace(job, steps=min(job.steps, math.ceil(job.most_flops / one)))


def _pool(fit: Fit, card: GpuCard) -> float:
    """Room for keys and values on a GPU: all that is left beside what is there while answers are drawn."""
    others = sum(row.bytes for row in fit.memory.rows if row.phase == "rollout")
    others -= fit.memory.part("keys and values")
    return max(card.memory_bytes * ROOM - fit.memory.always - others, FRAMEWORK_BYTES[True] / 2)
