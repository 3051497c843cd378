"""The peers' side of the races, run by the Python of their own environments (`make peers`); nothing of ours.

Reads one request a line, ``{"job": .., "texts": file.json, "out": file.npy}``, and answers with processor
seconds and what it found. What a job loads is loaded before its clock starts.
"""

import json
import logging
import re
import sys
import time
from functools import cached_property, partial
from pathlib import Path

import numpy as np

WORD = re.compile(r"\w+")
TYPES = ("EMAIL_ADDRESS", "CREDIT_CARD", "IBAN_CODE", "IP_ADDRESS")
BANDS, ROWS = 14, 8


def shingles_as_strings(text: str) -> list[str]:
    words = WORD.findall(text.lower())
    return list({" ".join(words[i : i + 5]) for i in range(len(words) - 4)})


class Jobs:
    """One method a job: from texts to an array or a list, and the seconds that took."""

    @cached_property
    def _datatrove(self):
        """Its signature step with its defaults: 14 buckets of 8, words by its tokeniser, 64-bit hashes."""
        from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
        from datatrove.utils.hashing import HashConfig

        config = MinhashConfig(hash_config=HashConfig(precision=64))
        return MinhashDedupSignature("unused", config=config)

    @cached_property
    def _text_dedup(self):
        """What its pipeline maps over documents, by its command line's defaults: SHA-1, 64 bits, 5-grams."""
        from text_dedup import minhash
        from text_dedup.utils import sha1_hash

        prime, most = np.uint64((1 << 61) - 1), np.uint32((1 << 32) - 1)
        return partial(
            minhash.embed_func,
            num_perm=BANDS * ROWS,
            ngram_size=5,
            min_length=5,
            hashranges=[(band * ROWS, (band + 1) * ROWS) for band in range(BANDS)],
            permutations=tuple(
                minhash.RNG.randint(low, prime, size=(BANDS * ROWS,), dtype=np.uint64) for low in (1, 0)
            ),
            hash_func=partial(sha1_hash, d=32),
            dtype=np.uint64,
            max_hash=most,
            modulo_prime=prime,
        )

    @cached_property
    def _recognisers(self):
        """Presidio's patterns, one by one: its engine wants a language model."""
        from presidio_analyzer import predefined_recognizers as known

        return [
            known.EmailRecognizer(), known.CreditCardRecognizer(),
            known.IbanRecognizer(), known.IpRecognizer(),
        ]  # fmt: skip

    def signature(self, texts: list[str]):
        step = self._datatrove
        started = time.process_time()
        found = [step.get_signature(step.get_shingles(text)) for text in texts]
        return time.process_time() - started, np.array(found, np.uint64).reshape(len(texts), -1)

    def shingles(self, texts: list[str]):
        step = self._datatrove
        started = time.process_time()
        found = [step.get_shingles(text).reshape(-1) for text in texts]
        seconds = time.process_time() - started
        sizes = np.array([len(row) for row in found], np.uint64)
        return seconds, np.concatenate([np.array([len(found)], np.uint64), sizes, *found])

    def kernel(self, texts: list[str]):
        rows = [self._datatrove.get_shingles(text) for text in texts]
        started = time.process_time()
        for row in rows:
            self._datatrove.get_signature(row)
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

    def text_dedup(self, texts: list[str]):
        embed = self._text_dedup
        started = time.process_time()
        found = [embed(text, number) for number, text in enumerate(texts)]
        seconds = time.process_time() - started
        bands = b"".join(band for row in found for band in row["__signatures__"])
        return seconds, np.frombuffer(bands, ">u8").astype(np.uint64).reshape(len(texts), -1)

    def personal(self, texts: list[str]):
        recognisers = self._recognisers
        started = time.process_time()
        found = [
            (number, TYPES.index(hit.entity_type), hit.start, hit.end)
            for number, text in enumerate(texts)
            for recogniser, kind in zip(recognisers, TYPES, strict=True)
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
