"""What RMT's next-token loss costs a training step: with it and without it, on the same questions.

    python -m tests.benchmarks.ntp_overhead --rounds 12

A step draws answers, judges them and updates. The arms take turns in random order within a round; the
first round is discarded. Seconds are the processor's, so that other work on the machine counts little.
Exits with 1 when the loss on the branches' own trunk costs more than 5 % of a step.
"""

import argparse
import json
import random
import statistics
import sys
from dataclasses import replace

import torch

from tests.benchmarks.workload import Ours, Shape, model_of

MOST = 0.05
"""Share of a step the loss may cost."""
SHAPES = (
    Shape("sample world: 8 documents of 85 tokens, 4 cuts, G=8", 85, (30, 45, 60, 75), 8, answer_tokens=24),
    Shape("1 document of 1024 tokens, 16 cuts, G=8", 1024, tuple(range(64, 1024, 60)), 1),
    Shape("large vocabulary: 8 documents of 85 tokens", 85, (30, 45, 60, 75), 8, 24, vocab=32_768),
)
ARMS = {
    "none": {"ntp_weight": 0.0},
    "instructed": {"ntp_weight": 0.1},
    "raw": {"ntp_weight": 0.1, "ntp_text": "raw"},
}


def arm_of(shape: Shape, changes: dict[str, object]) -> Ours:
    """One arm: its own copy of the model, the same questions."""
    ours = Ours(shape, model_of(shape))
    ours.trainer = replace(ours.trainer, recipe=ours.trainer.recipe.model_copy(update=changes))
    return ours


def measured(shape: Shape, rounds: int) -> dict[str, float]:
    """Median seconds a step by arm, and each loss's median cost as a share of the same round's step."""
    arms = {name: arm_of(shape, changes) for name, changes in ARMS.items()}
    taken: dict[str, list[float]] = {name: [] for name in ARMS}
    order = random.Random(0)
    for number in range(rounds + 1):
        for name in order.sample(list(ARMS), len(ARMS)):
            seconds = arms[name].step().cpu.whole
            if number:
                taken[name].append(seconds)
    found = {f"seconds {name}": statistics.median(values) for name, values in taken.items()}
    for name in ("instructed", "raw"):
        shares = [ours / bare - 1 for ours, bare in zip(taken[name], taken["none"], strict=True)]
        found[f"cost {name}"] = statistics.median(shares)
    return {name: round(value, 4) for name, value in found.items()}


def main() -> None:
    """Measure every shape and say whether the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    found = {shape.name: measured(shape, given.rounds) for shape in SHAPES}
    print(json.dumps(found, indent=1))
    sys.exit(int(any(one["cost instructed"] > MOST for one in found.values())))


if __name__ == "__main__":
    main()
