"""Learning with vLLM's answers beside the torch engine's: the same short training by both, seed by seed.

Both engines draw from the same distribution with other random numbers, so rewards differ by chance alone if
the engine is right. *Equal* is said only where the 90 % interval of the mean difference, over seeds, lies
within five hundredths; *not shown* else.

    python -m tests.benchmarks.engines [--seeds 8] [--steps 40]
"""

import argparse
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

from scipy.stats import t as student

from rpt_core.policy.engines.registry import ENGINES, open_engine
from tests.contracts.test_engines import _train, _trainer
from tests.toys import tiny_policy

MARGIN = 0.05
LAST = 20
"""Steps at the end whose rewards are compared."""


def reward(engine: str, seed: int, steps: int) -> float:
    """Mean reward of a training's last steps."""
    with tempfile.TemporaryDirectory() as scratch:
        trainer = _trainer(
            lambda policy: open_engine(engine, policy), steps, policy=tiny_policy(sharpness=1.5, head_dim=32)
        )
        trainer = replace(trainer, recipe=trainer.recipe.model_copy(update={"seed": seed}))
        with closing(trainer.engine):
            _, rewards = _train(trainer, steps, Path(scratch))
    return mean(rewards[-LAST:])


def verdict(differences: list[float]) -> str:
    """The interval of the mean difference, and what it shows."""
    half = student.ppf(0.95, len(differences) - 1) * stdev(differences) / len(differences) ** 0.5
    low, high = mean(differences) - half, mean(differences) + half
    shown = "equal" if max(-low, high) < MARGIN else "not shown"
    return f"difference {mean(differences):+.4f}, 90 % interval {low:+.4f} to {high:+.4f}: {shown}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--engine", default="vllm", choices=ENGINES)
    given = parser.parse_args()
    differences = []
    for seed in range(given.seeds):
        ours, theirs = (reward(engine, seed, given.steps) for engine in (given.engine, "torch"))
        differences.append(ours - theirs)
        print(f"seed {seed}: {given.engine} {ours:.4f}, torch {theirs:.4f}", flush=True)
    print(verdict(differences))


if __name__ == "__main__":
    main()
