"""One step off: seconds a step and reward with answers drawn during the update, or after it.

The engine is the torch engine in a process of its own, with weights that are handed over; trainer and engine
compute on one thread each, so what overlaps is real work of both. The model is tiny and random, its answers
are a few tokens, and its reward is the toy objective's: nothing here says how much a large model loses by
learning from answers that are one update old.

    python -m tests.benchmarks.ahead [--seeds 8] [--steps 30] [--tokens 16]
"""

import argparse
import multiprocessing
import os
import tempfile
from contextlib import closing
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch

from rpt_core.policy.engines.engine import Drawn
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Sampling, Trunk
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.clock import Clock
from rpt_core.train.rl.ahead import step_and_draw
from rpt_core.train.rl.collect import collect
from rpt_core.train.rl.hand_over import hand_over
from rpt_core.train.rl.state import Progress
from tests.benchmarks.engines import verdict
from tests.toys import tiny_policy
from tests.unit.train.rl.test_step import RECIPE, make_trainer

FIRST = 2
"""Steps at the beginning whose seconds are not counted: nothing is drawn ahead yet."""
LAST = 5
"""Steps at the end whose rewards are compared."""


def model() -> Policy:
    """The same at every call; short rows keep the canary short."""
    return tiny_policy(sharpness=1.5, max_position_embeddings=64)


def serve(pipe: Connection) -> None:
    """The engine's process: one call after another until there is none."""
    torch.set_num_threads(1)
    engine = TorchEngine(model())
    while (call := pipe.recv()) is not None:
        name, given = call
        pipe.send((getattr(engine, name)(*given), engine.num_forwarded, engine.flops))


class Remote:
    """An engine in a process of its own."""

    shares_weights, replayable = False, True

    def __init__(self) -> None:
        self.version, self.num_forwarded, self.flops = -1, 0, 0.0
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
        self._process.start()

    def generate(self, trunks: list[Trunk], sampling: Sampling, step: int) -> Drawn:
        drawn: Drawn = self._call("generate", trunks, sampling, step)
        return drawn

    def load_weights(self, path: Path, version: int) -> None:
        self._call("load_weights", path, version)
        self.version = version

    def close(self) -> None:
        self._pipe.send(None)
        self._process.join()

    def _call(self, name: str, *given: Any) -> Any:
        self._pipe.send((name, given))
        answer, self.num_forwarded, self.flops = self._pipe.recv()
        return answer


@dataclass(frozen=True)
class Run:
    """One training: median seconds of a step and of its phases, and the mean reward of its last steps."""

    step: float
    rollout: float
    update: float
    reward: float


def trained(engine: Remote, off_policy_steps: int, seed: int, steps: int, tokens: int) -> Run:
    """A short training, hand-overs and canaries included."""
    recipe = RECIPE.model_copy(
        update={
            "off_policy_steps": off_policy_steps, "seed": seed, "steps": steps, "reasoning_tokens": tokens,
            "optimiser": Optimiser(learning_rate=1e-2),
        }
    )  # fmt: skip
    trainer = replace(make_trainer(recipe, policy=model()), engine=engine)
    progress, rows, rewards = Progress(), [], []
    engine.version = -1  # whatever it serves, these weights are others
    with tempfile.TemporaryDirectory() as scratch:
        hand_over(trainer, 0, Path(scratch))
        for _ in range(steps):
            clock = Clock()
            batch = collect(trainer, progress, clock)
            progress, metrics = step_and_draw(trainer, progress, batch, clock)
            with clock.phase("sync"):
                hand_over(trainer, progress.step, Path(scratch))
            rows.append(clock.read(0))
            rewards.append(metrics["reward_mean"])
    counted = rows[FIRST:-1]  # nothing is drawn during the last update
    names = ("seconds", "seconds/rollout", "seconds/update")
    return Run(*(median(row[name] for row in counted) for name in names), mean(rewards[-LAST:]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--tokens", type=int, default=16, help="longest answer")
    given = parser.parse_args()
    torch.set_num_threads(1)
    runs: dict[int, list[Run]] = {0: [], 1: []}
    with closing(Remote()) as engine:
        for seed in range(given.seeds):
            for off in (0, 1) if seed % 2 else (1, 0):  # in turns: the machine's load drifts
                run = trained(engine, off, seed, given.steps, given.tokens)
                runs[off].append(run)
                print(
                    f"seed {seed}, off_policy_steps={off}: {run.step:.3f} s a step (waiting for answers "
                    f"{run.rollout:.3f}, update {run.update:.3f}), reward {run.reward:.3f}, load "
                    f"{os.getloadavg()[0]:.1f}",
                    flush=True,
                )
    in_turn, ahead = (median(run.step for run in runs[off]) for off in (0, 1))
    print(f"a step: {in_turn:.3f} s in turn, {ahead:.3f} s one step off: {in_turn / ahead:.2f} times as fast")
    pairs = zip(runs[1], runs[0], strict=True)
    print("reward, one step off less in turn:", verdict([one.reward - other.reward for one, other in pairs]))


if __name__ == "__main__":
    main()
