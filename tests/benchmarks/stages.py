"""What a stage costs beside its work: the smallest journey, one stage after another (``make bench-stages``).

The seconds of the journey less those that its stages worked, over their number: processes, imports, the
store, MLflow and Prefect. What a command takes to begin and to end is told apart: it is once for a command.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from infra.storage.store import Store
from tests.faults.random_kills import SMALLEST

GOAL_SECONDS = 1.0
_DONE = re.compile(r"is done \((\d+) s\)")


@dataclass(frozen=True)
class Journey:
    """One run of the command, in seconds."""

    stages: int
    command: float
    journey: float
    """From the first flow to its end, as the command says it: to the second."""
    worked: float
    """In the stages' own processes, as their manifests say it."""

    @property
    def per_stage(self) -> float:
        """Beside the work of a stage."""
        return (self.journey - self.worked) / self.stages


def journey() -> Journey:
    """Run it in a fresh state folder."""
    with tempfile.TemporaryDirectory(prefix="rpt-stages-") as folder:
        env = {name: value for name, value in os.environ.items() if name != "RPT_STORE"}
        words = [word for setting in SMALLEST for word in ("-p", setting)]
        begin = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "flows", "run", "tiny_rpt", *words, "--placement", "stages_at_once=1"],
            env={**env, "RPT_HOME": folder},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - begin
        said = _DONE.search(done.stdout + done.stderr)
        if done.returncode or said is None:
            raise SystemExit(f"the journey ended with {done.returncode}:\n{done.stderr[-2000:]}")
        manifests = list(Store(f"{folder}/store", Path(folder) / "cache").manifests())
    stages = [one for one in manifests if one.kind != "checkpoint"]
    worked = sum(attempt.seconds for one in stages for attempt in one.attempts)
    return Journey(len(stages), seconds, float(said[1]), worked)


def main() -> None:
    """Run it a few times, and print each and the median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print("stages  command s  journey s  worked s  beside the work, s a stage  load before")
    found = []
    for _ in range(rounds):
        load = os.getloadavg()[0]
        one = journey()
        found.append(one.per_stage)
        print(
            f"{one.stages:6}  {one.command:9.1f}  {one.journey:9.0f}  {one.worked:8.1f}"
            f"  {one.per_stage:26.2f}  {load:11.2f}"
        )
    print(f"median {statistics.median(found):.2f} s a stage; the goal is under {GOAL_SECONDS:.0f}")


if __name__ == "__main__":
    main()
