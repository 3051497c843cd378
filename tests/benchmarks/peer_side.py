"""The peers' side of the races, run by the Python of their own environment (`make peers`); nothing of ours.

Reads one request a line, ``{"job": .., "texts": file.json, "out": file.npy}``, and answers with processor
seconds and what it found. Everything is loaded before the first answer, so nothing of that is charged.
"""

import json
import logging
import re
import sys
import time
from pathlib import Path

import numpy as np

WORD = re.compile(r"\w+")
TYPES = ("EMAIL_ADDRESS", "CREDIT_CARD", "IBAN_CODE", "IP_ADDRESS")


def datatrove():
    """Its signature step with its defaults: 14 buckets of 8 hashes, words by its tokeniser, 64-bit hashes."""
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
    from datatrove.utils.hashing import HashConfig

    config = MinhashConfig(hash_config=HashConfig(precision=64))
    return MinhashDedupSignature("unused", config=config)


def recognisers():
    """Presidio's patterns, one by one: its engine wants a language model."""
    from presidio_analyzer import predefined_recognizers as known

    return [
        known.EmailRecognizer(), known.CreditCardRecognizer(), known.IbanRecognizer(), known.IpRecognizer()
    ]  # fmt: skip


def shingles_as_strings(text: str) -> list[str]:
    words = WORD.findall(text.lower())
    return list({" ".join(words[i : i + 5]) for i in range(len(words) - 4)})


class Jobs:
    """One method a job: from texts to an array or a list, and the seconds that took."""

    def __init__(self) -> None:
        self._step = None
        self._recognisers = None

    def ready(self, texts: list[str]):
        self._step = datatrove()
        return self.signature(texts[:2])

    def signature(self, texts: list[str]):
        step = self._step
        started = time.process_time()
        found = [step.get_signature(step.get_shingles(text)) for text in texts]
        return time.process_time() - started, np.array(found, np.uint64).reshape(len(texts), -1)

    def shingles(self, texts: list[str]):
        started = time.process_time()
        found = [self._step.get_shingles(text).reshape(-1) for text in texts]
        seconds = time.process_time() - started
        sizes = np.array([len(row) for row in found], np.uint64)
        return seconds, np.concatenate([np.array([len(found)], np.uint64), sizes, *found])

    def kernel(self, texts: list[str]):
        rows = [self._step.get_shingles(text) for text in texts]
        started = time.process_time()
        for row in rows:
            self._step.get_signature(row)
        return time.process_time() - started, np.zeros(0)

    def rensa(self, texts: list[str]):
        from rensa import RMinHash

        started = time.process_time()
        found = []
        for text in texts:
            sketch = RMinHash(num_perm=128, seed=1)
            sketch.update(shingles_as_strings(text))
            found.append(sketch.digest())
        return time.process_time() - started, np.array(found, np.uint64)

    def personal(self, texts: list[str]):
        self._recognisers = self._recognisers or recognisers()
        started = time.process_time()
        found = [
            (number, TYPES.index(hit.entity_type), hit.start, hit.end)
            for number, text in enumerate(texts)
            for recogniser, kind in zip(self._recognisers, TYPES, strict=True)
            for hit in recogniser.analyze(text, [kind], None)
        ]
        return time.process_time() - started, np.array(found, np.uint64).reshape(-1, 4)


def main() -> None:
    """Answer until the input ends."""
    logging.disable(logging.CRITICAL)  # one recogniser asks the network for a list and has its own anyway
    jobs = Jobs()
    for line in sys.stdin:
        asked = json.loads(line)
        seconds, found = getattr(jobs, asked["job"])(json.loads(Path(asked["texts"]).read_text()))
        np.save(asked["out"], found)
        print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
