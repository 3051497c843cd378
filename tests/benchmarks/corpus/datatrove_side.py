"""Datatrove's four stages of MinHash de-duplication over a folder of JSON lines, in two processes.

    .venv-peers/bin/python tests/benchmarks/corpus/datatrove_side.py FOLDER OUT SCRATCH

Its own defaults: 14 buckets of 8 hashes, 5-grams of its English tokeniser's words, xxhash in 64 bits.
Prints the seconds of every stage.
"""

import json
import sys
import time

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.hashing import HashConfig

WORKERS = 2


def stages(folder: str, out: str, scratch: str):
    """Name, steps and number of tasks of every stage."""
    config = MinhashConfig(hash_config=HashConfig(precision=64))
    signatures, pairs, remove = (f"{scratch}/{name}" for name in ("signatures", "pairs", "remove"))
    reader = JsonlReader(folder)
    writer = JsonlWriter(out, compression=None)
    yield "signatures", [reader, MinhashDedupSignature(signatures, config)], WORKERS
    yield "buckets", [MinhashDedupBuckets(signatures, pairs, config=config)], config.num_buckets
    yield "clusters", [MinhashDedupCluster(pairs, remove, config)], 1
    yield "filter", [reader, MinhashDedupFilter(remove), writer], WORKERS


def main() -> None:
    """Run the stages one after the other."""
    folder, out, scratch = sys.argv[1:]
    seconds = {}
    for name, steps, tasks in stages(folder, out, scratch):
        started = time.monotonic()
        logs = f"{scratch}/logs/{name}"
        LocalPipelineExecutor(steps, tasks=tasks, workers=min(tasks, WORKERS), logging_dir=logs).run()
        seconds[name] = time.monotonic() - started
    print(json.dumps(seconds))


if __name__ == "__main__":  # its processes import this file again
    main()
