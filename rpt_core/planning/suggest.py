"""The placement a plan suggests: the smallest number of GPUs of one kind that holds a stage."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from rpt_core.planning.cards import GPUS_PER_NODE, GpuCard
from rpt_core.planning.jobs import StageJob
from rpt_core.planning.memory import MemoryPlan, Spread, memory
from rpt_core.planning.shape import Shape

ROOM = 0.9
"""Share of a GPU's memory that a plan gives away."""
COUNTS = (1, 2, 4, 8, 16, 32, 64)
MICRO_BATCHES = (32_768, 16_384, 8_192, 4_096)
"""Tokens of a micro-batch that are tried, the largest first."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A way to lay a stage out, and what one GPU then holds."""

    spread: Spread
    memory: MemoryPlan


def fits(fit: Fit, card: GpuCard) -> bool:
    """Whether one GPU holds it."""
    return fit.memory.peak <= card.memory_bytes * ROOM


def suggested(
    shape: Shape, job: StageJob, card: GpuCard, gpus: tuple[int, ...] = COUNTS, *, offload: bool = False
) -> Fit | None:
    """The first layout that fits: fewest GPUs, then the simplest update, then the largest micro-batch.

    Args:
        shape: The stage's model.
        job: Its work.
        card: The kind of GPU.
        gpus: Numbers of GPUs to try, in this order.
        offload: Also keep the update's float32 states in main memory, where nothing else fits.

    Returns:
        None where nothing fits.
    """
    for number in gpus:
        for spread in layouts(shape, job, number, offload=offload):
            fit = Fit(spread, memory(shape, job.load, spread))
            if fits(fit, card):
                return fit
    return None


def closest(shape: Shape, job: StageJob, card: GpuCard, gpus: int) -> Fit:
    """Of the layouts on a number of GPUs, the one that takes the least of each."""
    spreads = layouts(shape, job, gpus, offload=True)
    tried = [Fit(spread, memory(shape, job.load, spread)) for spread in spreads]
    return min(tried, key=lambda fit: fit.memory.peak)


def layouts(shape: Shape, job: StageJob, gpus: int, *, offload: bool = False) -> Iterator[Spread]:
    """Layouts on a number of GPUs, the most wanted first.

    Plain data parallel before ZeRO, a lower stage before a higher one, offload last; activations kept before
    computed again; engines on as few GPUs each as hold them; long micro-batches before short ones.
    """
    divided = (1, 2, 3) if gpus > 1 else (1,)
    places = (False, True) if offload else (False,)
    stages = [(0, False), *product(divided, places)] if job.load.trains else [(0, False)]
    stages.sort(key=lambda one: one[1])
    engines = [size for size in (1, 2, 4, 8) if size <= min(gpus, GPUS_PER_NODE)]
    engines = [size for size in engines if shape.kv_heads % size == 0 or size == 1]
    again = (False, True) if job.load.trains else (False,)
    for (stage, in_host), checkpointed, tokens, size in product(stages, again, MICRO_BATCHES, engines):
        yield Spread(
            ranks=gpus, zero_stage=stage, offload=in_host, tensor_parallel=size,
            engine="vllm" if job.load.draws or job.load.judge else "torch", layout="packed",
            dtype="bfloat16", micro_batch_tokens=tokens, checkpointed=checkpointed,
        )  # fmt: skip
