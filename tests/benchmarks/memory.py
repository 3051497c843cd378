"""Peak memory of both data stages over an input and over one ten times as large, each in a fresh process.

The smaller input already fills what the stages hold at once: a row group of every table, the sample that
Punkt learns from, a batch of every array. Processes run in the environment that stages are given.

    python -m tests.benchmarks.memory 20000
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from infra.runs.launch import DATA_ENV, training_env
from tests.benchmarks import resident
from tests.benchmarks.corpus.cleanup import clean_up
from tests.benchmarks.table import Row, Table

SIZES = 20_000, 200_000
"""Documents of 300 words."""
SHARE, LEAST_BYTES = 0.05, 20 << 20
"""Growth that is allowed: this share of the smaller peak, or this much."""
_MIB = 1 << 20


def growth(table: Table, sizes: tuple[int, int] = SIZES) -> None:
    """Add the row."""
    env = {**os.environ, **training_env(), **DATA_ENV}
    command = [sys.executable, "-m", "tests.benchmarks.memory"]
    small, large = (
        int(subprocess.run([*command, str(num)], check=True, stdout=subprocess.PIPE, env=env).stdout)
        for num in sizes
    )
    measure = f"growth of peak memory, {sizes[0]:,} to {sizes[1]:,} documents, MiB"
    shown = f"{small / _MIB:.0f} to {large / _MIB:.0f} MiB"
    allowed = max(SHARE * small, LEAST_BYTES)
    table.add(Row(measure, shown, "", (large - small) / _MIB, allowed / _MIB, at_most=True))


def write(path: Path, num: int) -> None:
    """So many documents, no two alike."""
    rng = random.Random(0)
    with path.open("w") as stream:
        for number in range(num):
            choice = ("stone", "river", "old", "of", "the", f"n{number}")
            words = " ".join(rng.choice(choice) for _ in range(300))
            stream.write(json.dumps({"id": number, "title": str(number), "text": f"{words}."}) + "\n")


def peak_bytes(num: int) -> int:
    """Both stages over so many documents, then the most memory this process has held."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        write(folder / "data" / "rows.jsonl", num)
        clean_up(folder / "data", folder)
    return resident.peak_bytes()


if __name__ == "__main__":
    print(peak_bytes(int(sys.argv[1])))
