"""How long a stage takes: operations at a share of a card's peak, decoding at a share of its bandwidth.

    update      seconds = FLOPs / (GPUs x peak x MFU)
    prefill     the same, at the share of supervised training
    decode      a step of n answers reads the engine's weights once and every answer's keys and values:
                seconds = (weights + n x context x bytes a token) / (tensor parallel x bandwidth x share),
                or its FLOPs at the MFU of prefill, whichever is longer; n is what fits into the pool

The MFU is by the nearest published size, and its row is printed with the plan. :data:`BANDWIDTH_SHARE` is an
assumption: no decoding speed of models of these sizes was found published beside a training's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rpt_core.planning.cards import GpuCard
from rpt_core.planning.load import Load
from rpt_core.planning.memory import Spread, cache_bytes_per_token
from rpt_core.planning.shape import Shape

BANDWIDTH_SHARE = 0.5
"""Of the data sheet's bandwidth that decoding reaches; assumed."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """One published share of peak."""

    parameters: float
    kind: str
    """``rl`` or ``supervised``."""
    share: float
    source: str


_PRIME = "prime-rl, benchmarks/baselines (run January 2026), {}, sequences of 16 k, full recompute"
ANCHORS: tuple[Anchor, ...] = (
    Anchor(0.6e9, "rl", 0.111, _PRIME.format("Qwen3-0.6B on 1 H100")),
    Anchor(0.6e9, "supervised", 0.237, _PRIME.format("Qwen3-0.6B on 1 H100")),
    Anchor(4.0e9, "rl", 0.139, _PRIME.format("Qwen3-4B on 8 H100")),
    Anchor(4.0e9, "supervised", 0.266, _PRIME.format("Qwen3-4B on 8 H100")),
)
"""The rows at 64 k tokens are two and a half times as high, attention being counted in: these are the careful
end. Nothing above 4 B was found in the seven trees read; larger models take the 4 B row."""
CPU_CORE_FLOPS = 50e9
"""Float32 operations a second of one core in large products: two cores gave about 100 GFLOP/s."""
CPU_ANCHOR = Anchor(
    0, "cpu", 0.47, "one core, from the README's demo: 347 s for a whole journey of about 8e12 operations"
)


def anchor_for(parameters: float, kind: str) -> Anchor:
    """The published row nearest in size, by ratio.

    Example:
        >>> [anchor_for(size, "rl").share for size in (0.6e9, 1.5e9, 1.7e9, 14e9)]
        [0.111, 0.111, 0.139, 0.139]
    """

    def distance(anchor: Anchor) -> float:
        return max(parameters / anchor.parameters, anchor.parameters / max(parameters, 1.0))

    return min((anchor for anchor in ANCHORS if anchor.kind == kind), key=distance)


def decode_seconds(
    shape: Shape, loads: Sequence[Load], spread: Spread, card: GpuCard, pool_bytes: float
) -> float:
    """Of drawing some loads, one after the other, over all engines.

    Args:
        shape: The model that draws.
        loads: What is drawn, over all engines.
        spread: How many engines, and over how many GPUs each.
        card: The GPU.
        pool_bytes: Room for keys and values on each GPU.
    """
    return sum(_one(shape, load, spread, card, pool_bytes) for load in loads)


def _one(shape: Shape, load: Load, spread: Spread, card: GpuCard, pool_bytes: float) -> float:
    engines = max(1, spread.ranks // spread.tensor_parallel)
    answers = load.answers / engines
    if not answers:
        return 0.0
    token = cache_bytes_per_token(shape, spread)
    context = load.trunk + load.suffix + load.answer / 2
    own = token * (load.suffix + load.answer / 2 + load.trunk / max(load.cuts * load.group, 1))
    at_once = max(1.0, min(answers, pool_bytes / own))
    weights = shape.parameters * spread.product_bytes / spread.tensor_parallel
    reading = (weights + at_once * context * token) / (card.bandwidth * BANDWIDTH_SHARE)
    flops = shape.flops_per_token + shape.flops_per_score + shape.flops_per_pair * context
    share = anchor_for(shape.parameters, "supervised").share
    computing = at_once * flops / (spread.tensor_parallel * card.flops * share)
    return max(reading, computing) * load.answer * answers / at_once
