"""What a card tells in numbers: counts that add up, of a size that does not grow with the corpus.

Shards are counted where they are read, and their counts are added; sums do not depend on the order, so
neither workers nor shards show in a card.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

STEPS_PER_OCTAVE = 4
"""Bins of lengths: each begins a fifth further than the one before, in whole characters."""
LOWEST, HIGHEST = 0.05, 0.95
"""Quantiles that say where most documents lie."""


class Lengths:
    """How many documents there are of every length, in characters.

    It has an entry for every length that occurs, at most as many as the longest document has characters,
    however many documents there are; so quantiles are exact, and memory does not grow with the corpus.
    """

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, chars: int) -> None:
        """One more document."""
        self._counts[chars] += 1

    def summary(self) -> dict[str, float]:
        """Number, sum, median and largest.

        Example:
            >>> lengths = Lengths()
            >>> for chars in (5, 1, 4, 2):
            ...     lengths.add(chars)
            >>> lengths.summary()
            {'documents': 4, 'chars': 12, 'median_chars': 3.0, 'max_chars': 5}
        """
        num = self._counts.total()
        low, high = self._ranked([(num - 1) // 2, num // 2])
        return {
            "documents": num,
            "chars": sum(chars * count for chars, count in self._counts.items()),
            "median_chars": low if num % 2 else (low + high) / 2,
            "max_chars": max(self._counts),
        }

    def described(self) -> dict[str, Any]:
        """The summary, the least, lengths of two ranks (``LOWEST``, ``HIGHEST``), and a histogram."""
        num = self._counts.total()
        low, high = self._ranked([int(share * (num - 1)) for share in (LOWEST, HIGHEST)])
        edges = _edges(min(self._counts), max(self._counts))
        counts = [0] * (len(edges) - 1)
        for chars, count in self._counts.items():
            counts[bisect_right(edges, chars) - 1] += count
        return {
            **self.summary(),
            "min_chars": min(self._counts),
            "low_chars": low,
            "high_chars": high,
            "edges": edges,
            "counts": counts,
        }

    def _ranked(self, ranks: list[int]) -> list[int]:
        """The lengths of some ranks, counted from zero."""
        lengths = sorted(self._counts)
        ends = list(accumulate(self._counts[chars] for chars in lengths))
        return [lengths[bisect_right(ends, rank)] for rank in ranks]


def _edges(least: int, largest: int) -> list[int]:
    """Whole numbers, a fifth apart, from at most the least to more than the largest.

    Example:
        >>> _edges(7, 20)
        [7, 8, 10, 11, 13, 16, 19, 23]
    """
    edges, step = [0], 0
    while edges[-1] <= largest:
        edge = round(2 ** (step / STEPS_PER_OCTAVE))
        edges += [edge] if edge > edges[-1] else []
        step += 1
    return edges[bisect_right(edges, least) - 1 :]


@dataclass(frozen=True, slots=True)
class Axis:
    """Equal bins over a range; what lies beyond an end counts in the bin at that end."""

    low: float
    high: float
    num_bins: int

    def bin_of(self, value: float) -> int:
        """Number of the bin of a value."""
        place = int((value - self.low) / (self.high - self.low) * self.num_bins)
        return min(max(place, 0), self.num_bins - 1)


_SHARE = Axis(0.0, 1.0, 40)
AXES: dict[str, Axis] = {
    "word_chars": Axis(0.0, 16.0, 40),
    "letter_share": _SHARE,
    "symbol_share": Axis(0.0, 0.2, 40),
    "bullet_share": _SHARE,
    "ellipsis_share": _SHARE,
    "ended_share": _SHARE,
    "repeated_line_share": _SHARE,
    "top_ngram_share": Axis(0.0, 2.0, 40),
    "repeated_ngram_share": _SHARE,
    "stop_words": Axis(0.0, 12.0, 12),
    "formula_share": _SHARE,
    "stem": Axis(0.0, 3.0, 30),
    "llm_quality": Axis(0.0, 6.0, 6),
}
"""The measures whose distribution a card shows."""


@dataclass
class Measured:
    """Histograms of all measures by source, and how many documents break the rule about each."""

    documents: Counter[str] = field(default_factory=Counter)
    """Source -> documents measured."""
    counts: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    """Source -> measure -> documents by bin of its axis."""
    broken: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Source -> measure -> documents. One document may break several rules."""

    def add(self, source: str, measures: Mapping[str, float], broken: Iterable[str]) -> None:
        """One document.

        Args:
            source: Where it is from.
            measures: Its values; those without an axis are passed over.
            broken: Measures whose rules it breaks.
        """
        self.documents[source] += 1
        of_source = self._of(source)
        for name, axis in AXES.items():
            if name in measures:
                of_source[name][axis.bin_of(measures[name])] += 1
        self.broken[source].update(broken)

    def merge(self, other: "Measured") -> None:
        """Add what was counted elsewhere."""
        self.documents.update(other.documents)
        for source, theirs in other.counts.items():
            ours = self._of(source)
            for name, counts in theirs.items():
                ours[name] = [a + b for a, b in zip(ours[name], counts, strict=True)]
        for source, broken in other.broken.items():
            self.broken[source].update(broken)

    def _of(self, source: str) -> dict[str, list[int]]:
        if source not in self.counts:
            self.counts[source] = {name: [0] * axis.num_bins for name, axis in AXES.items()}
        return self.counts[source]
