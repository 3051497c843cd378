"""Documents with planted near-copies, and the truth about them: exact Jaccard of all pairs by brute force."""

import json
from pathlib import Path

import numpy as np

from rpt_core.corpus.text.words import shingles, split_words

ALIKE = 0.8
"""Two documents this alike are duplicates."""
BANDS, ROWS = 14, 8
"""The bands of every side."""
NUM = BANDS * ROWS
Pair = tuple[int, int]


def texts(num: int) -> list[str]:
    """Documents of 500 words drawn by Zipf's law, a fifth of them near-copies of an earlier one."""
    rng = np.random.default_rng(0)
    vocabulary = np.array([f"w{i:x}" for i in range(30_000)])
    weights = 1 / np.arange(1, len(vocabulary) + 1)
    out: list[list[str]] = []
    for number in range(num):
        if number % 5 == 4:
            words = list(out[rng.integers(len(out))])
            for place in np.flatnonzero(rng.random(len(words)) < rng.choice([0.0, 0.005, 0.01, 0.02, 0.05])):
                words[place] = str(rng.choice(vocabulary))
        else:
            words = rng.choice(vocabulary, 500, p=weights / weights.sum()).tolist()
        out.append(words)
    return [" ".join(words) for words in out]


def write(documents: list[str], folder: Path, num_files: int) -> None:
    """The documents as JSON lines, their number as id, in so many files of equal length."""
    folder.mkdir(parents=True)
    for part, numbers in enumerate(np.array_split(np.arange(len(documents)), num_files)):
        with (folder / f"{part:05d}.jsonl").open("w") as stream:
            for number in numbers.tolist():
                stream.write(json.dumps({"id": str(number), "text": documents[number]}) + "\n")


def jaccard(documents: list[str]) -> dict[Pair, float]:
    """Similarity of the sets of word 5-grams, for all pairs (larger number first) that share one."""
    hashes, offsets = shingles(split_words(documents), 5)
    owners = np.repeat(np.arange(len(documents), dtype=np.int64), np.diff(offsets))
    order = np.lexsort((owners, hashes))
    hashes, owners = hashes[order], owners[order]
    first = np.append(True, (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1]))
    hashes, owners = hashes[first], owners[first]
    sizes = np.bincount(owners, minlength=len(documents))
    keys, shared = _counts(hashes, owners, len(documents))
    a, b = np.divmod(keys, len(documents))
    values = shared / (sizes[a] + sizes[b] - shared)
    return dict(zip(zip(a.tolist(), b.tolist(), strict=True), values.tolist(), strict=True))


def _counts(hashes: np.ndarray, owners: np.ndarray, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of owners of equal hashes, which lie together, as one number; and how many each pair shares."""
    keys = np.zeros(0, np.int64)
    counts = np.zeros(0, np.int64)
    places = np.arange(len(hashes))
    for distance in range(1, len(hashes)):
        places = places[places + distance < len(hashes)]
        places = places[hashes[places] == hashes[places + distance]]
        if not len(places):
            break
        found, times = np.unique(owners[places + distance] * num + owners[places], return_counts=True)
        keys, index = np.unique(np.concatenate([keys, found]), return_inverse=True)
        counts = np.bincount(index, np.concatenate([counts, times]), len(keys)).astype(np.int64)
    return keys, counts


def chance(value: float) -> float:
    """That the bands let two documents of this similarity meet."""
    return 1 - (1 - value**ROWS) ** BANDS


def chance_errors(values: dict[Pair, float], num_found: int) -> tuple[float, float]:
    """Standard errors of the difference of two sides' recalls, and precisions, if only chance parts them."""
    variance = {pair: 2 * chance(value) * (1 - chance(value)) for pair, value in values.items()}
    alike = [pair for pair, value in values.items() if value >= ALIKE]
    missed = sum(variance[pair] for pair in alike)
    false = sum(variance.values()) - missed
    return missed**0.5 / len(alike), false**0.5 / num_found
