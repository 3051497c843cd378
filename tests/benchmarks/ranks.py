"""Two processes of one thread beside one process: what data parallel training gains (``make bench-ranks``).

Three sides take the same updates on the same answers: one process with one thread, one with two, and two
processes with one each. Equality comes first: a side whose losses differ is not timed. Then all take turns,
round by round, so that a busy machine slows all of them; medians and CPU seconds are printed, and the load.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any, cast

SIDES = {"one thread": (1, 1), "two threads": (1, 2), "two processes": (2, 1)}
"""Processes, and threads of each."""
GOAL = 1.7
EQUAL = 1e-4


@dataclass(frozen=True)
class Timing:
    """One update of a side."""

    seconds: float
    cpu_seconds: float
    loss: float


class Side:
    """The processes of one side; they wait for a word before each update."""

    def __init__(self, name: str, documents: int) -> None:
        self.name = name
        num, threads = SIDES[name]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        env = {
            **os.environ, "WORLD_SIZE": str(num), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
            "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE", "RPT_COLLECTIVE_SECONDS": "600",
        }  # fmt: skip
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.benchmarks.ranks", "--documents", str(documents), "--worker"],
                env={**env, "RANK": str(rank)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for rank in range(num)
        ]

    def update(self) -> Timing:
        """Take one update; as long as the slowest process, as much CPU as all."""
        for process in self.processes:
            cast(Any, process.stdin).write("go\n")
            cast(Any, process.stdin).flush()
        found = [json.loads(cast(Any, process.stdout).readline()) for process in self.processes]
        return Timing(
            max(one["seconds"] for one in found), sum(one["cpu"] for one in found), found[0]["loss"]
        )

    def close(self) -> None:
        """End the processes."""
        for process in self.processes:
            cast(Any, process.stdin).close()
        for process in self.processes:
            process.wait(60)


def work(documents: int) -> None:
    """A rank: one update for every line that comes in."""
    import numpy as np
    import torch
    from transformers import AutoModelForCausalLM

    from rpt_core.artifacts.build import LocalBuild
    from rpt_core.policy.attention import ATTENTION
    from rpt_core.policy.model import Policy
    from rpt_core.policy.trunk import Cut, Trunk
    from rpt_core.recipes.supervised import Optimiser
    from rpt_core.train.backends.ranks import end_ranks
    from rpt_core.train.backends.registry import open_backend
    from rpt_core.train.backends.shares import own_share
    from tests.toys import NO_CODEC, random_ids, tiny_config

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    rng = np.random.default_rng(0)
    trunks = [
        Trunk(str(n), (), random_ids(rng, 256, 512), (Cut(128), Cut(192), Cut(256))) for n in range(documents)
    ]
    answers = [[[random_ids(rng, 64, 512) for _ in range(4)] for _ in trunk.cuts] for trunk in trunks]
    config = tiny_config(vocab=512, hidden_size=128, num_hidden_layers=4, head_dim=32, intermediate_size=512)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation=ATTENTION).eval()
    policy = Policy(model, NO_CODEC, config)
    numerics = LocalBuild.__dataclass_fields__["numerics"].default_factory()  # type: ignore[misc]
    numerics = numerics.model_copy(update={"world_size": int(os.environ["WORLD_SIZE"])})
    backend = open_backend(numerics, policy, Optimiser(learning_rate=1e-4), 1000)
    mine = own_share([1] * documents, backend)
    tokens = documents * 3 * 4 * 64
    for number, _ in enumerate(sys.stdin, 1):
        begun, cpu, loss = time.perf_counter(), time.process_time(), 0.0
        for index in mine:
            scores = backend.score([trunks[index]], [answers[index]])
            part = -scores.logprobs_N.sum() / tokens
            backend.backward(part)
            loss += float(part.detach())
        backend.step(number)
        took, used = time.perf_counter() - begun, time.process_time() - cpu
        loss = sum(backend.all_gather(loss))
        print(json.dumps({"seconds": took, "cpu": used, "loss": loss}), flush=True)
    end_ranks()


def main() -> int:
    """Compare the sides; 1 where they do not compute the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=24, help="of 256 tokens and 12 answers of 64")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(given.documents)
        return 0
    sides = [Side(name, given.documents) for name in SIDES]
    try:
        return _compare(sides, given.rounds)
    finally:
        for side in sides:
            side.close()


def _compare(sides: list[Side], rounds: int) -> int:
    first = {side.name: [side.update() for _ in range(2)] for side in sides}
    for name, timings in first.items():
        gap = max(abs(a.loss - b.loss) for a, b in zip(timings, first["one thread"], strict=True))
        print(f"{name:14} losses {', '.join(f'{one.loss:.6f}' for one in timings)}, off by at most {gap:.1e}")
        if not gap <= EQUAL:
            print("the sides do not compute the same: nothing is timed")
            return 1
    load = os.getloadavg()[0]
    found: dict[str, list[Timing]] = {side.name: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            found[side.name].append(side.update())
    alone = statistics.median(one.seconds for one in found["one thread"])
    print(f"load {load:.1f} before, {os.getloadavg()[0]:.1f} after; {rounds} rounds, medians")
    print("| side | s an update | CPU s | times one thread |\n|---|---|---|---|")
    for name, timings in found.items():
        seconds = statistics.median(one.seconds for one in timings)
        cpu = statistics.median(one.cpu_seconds for one in timings)
        print(f"| {name} | {seconds:.2f} | {cpu:.2f} | {alone / seconds:.2f} |")
    gain = alone / statistics.median(one.seconds for one in found["two processes"])
    print(f"two processes: {gain:.2f} times one thread; the goal on two quiet cores is {GOAL}")
    if alone < 1:
        print("an update took less than 1 s: give more --documents")
    return 0


if __name__ == "__main__":
    sys.exit(main())
