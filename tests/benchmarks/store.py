"""Bytes and keys a second of the store, over a folder and over a real S3 server on this machine.

sh infra/setup_s3.sh && python -m tests.benchmarks.store --megabytes 200
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from infra.storage.objects import Objects
from tests.s3_servers import environment, seaweedfs

NUM_KEYS = 50
ROUNDS = 3


def seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def measured(objects: Objects, folder: Path, num_bytes: int) -> dict[str, float]:
    """Best of a few rounds: whatever else runs here only makes one slower."""
    rounds = []
    for number in range(ROUNDS):
        path = folder / f"{number}.bin"
        path.write_bytes(os.urandom(num_bytes))
        entries = []
        put = seconds(lambda path=path, entries=entries: entries.append(objects.put_file(path, "x")))
        copy = folder / f"{number}.copy"
        get = seconds(lambda copy=copy, entries=entries: objects.fetch(entries[0], copy))
        keys = [objects.key("bench", f"{number}-{i}") for i in range(NUM_KEYS)]
        create = seconds(lambda keys=keys: [objects.create(key, b"x" * 1000) for key in keys])
        read = seconds(lambda keys=keys: [objects.read(key) for key in keys])
        listed = seconds(lambda: objects.list(objects.key("bench")))
        rounds.append({
            "put MB/s": num_bytes / put / 1e6,
            "get MB/s": num_bytes / get / 1e6,
            "create ms": 1e3 * create / NUM_KEYS,
            "read ms": 1e3 * read / NUM_KEYS,
            "list ms": 1e3 * listed,
        })  # fmt: skip
    best = {name: max if name.endswith("/s") else min for name in rounds[0]}
    return {name: best[name](one[name] for one in rounds) for name in rounds[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=200)
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(seaweedfs(folder / "server"))
        stack.enter_context(environment(server.environment()))
        stores = {
            "folder": Objects(str(folder / "store")),
            "SeaweedFS": Objects(f"s3://{server.new_place()}/x"),
        }
        load = os.getloadavg()[0]
        print(f"{given.megabytes} MB a file, {NUM_KEYS} keys of 1 kB, best of {ROUNDS}; load {load:.1f}")
        for name, objects in stores.items():
            there = folder / name
            there.mkdir()
            found = measured(objects, there, given.megabytes * 10**6)
            print(
                f"{name:<10}", ", ".join(f"{each} {value:.3g}" for each, value in found.items()), flush=True
            )


if __name__ == "__main__":
    main()
