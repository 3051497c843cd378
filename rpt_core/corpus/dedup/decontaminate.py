r"""Which training rows give away a held-out problem: shared runs of words.

A text leaks an item when it holds a run of n (13) of the item's words that says something: runs that
many items share ("let's think step by step") or that many documents hold are phrases, not leaks (the
rule of GPT-3's appendix C, made order-free). Items of fewer than n words are matched whole, with their
answer near by. What n-grams cannot find, rephrased items above all, stays unfound: the report says how
many items were too short to be covered at all.

Formulas count by their letters and digits: ``\frac12`` and ``\frac{1}{2}`` are the same words.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rpt_core.corpus.text.words import U64, Words, ngrams, split_words

ITEM_FREQUENCY_MAX = 3
"""A run that stands in more items than this is a template of the benchmark."""
DOCUMENT_FREQUENCY_MAX = 10
"""A run that stands in more documents than this is a common phrase, unless most of an item is there."""
COVERAGE = 0.5
"""Share of an item's runs that makes a leak whatever their frequency."""
SHORT_WORDS_MIN = 6
ANSWER_WORDS = 48
"""How near the answer must stand after an item that was matched whole."""

_FRACTION = re.compile(r"\\[dt]?frac\s*(\w)\s*(\w)")
_SET_IN = re.compile(
    r"\\(?:text|mathrm|mathbf|mathit|operatorname|left|right|displaystyle|[dt]frac)(?![a-zA-Z])"
    r"|\\[,;:! ]|[{}$~]"
)
_SPELLING = re.compile(r"(?<=\d),(?=\d{3})|\\(?=[%$])")


def canonical(text: str) -> str:
    r"""LaTeX spellings that mean the same, made the same; everything else untouched.

    Example:
        >>> canonical(r"$\frac12$ of 1,000").split() == canonical(r"$\dfrac{1}{2}$ of $1000$").split()
        True
    """
    if "\\" not in text and "$" not in text and "{" not in text:
        return _SPELLING.sub("", text)
    text = _FRACTION.sub(r"\\frac{\1}{\2}", text)
    text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    return _SET_IN.sub(_blank, _SPELLING.sub("", text))


def _blank(match: re.Match[str]) -> str:
    return " " * (match.end() - match.start())


@dataclass(frozen=True, slots=True)
class HeldOutItem:
    """One held-out problem."""

    item_id: str
    benchmark: str
    """Its benchmark, or ``held-out`` for the corpus's own evaluation split."""
    problem: str
    answer: str


@dataclass(frozen=True, slots=True)
class Hit:
    """One item met in one row."""

    row: int
    item: int
    starts: list[int]
    """Words at which shared runs begin."""
    runs: U64
    coverage: float


@dataclass(slots=True)
class _Short:
    """Items of one length, matched whole."""

    hashes: U64
    items: list[int]


@dataclass(slots=True)
class Contamination:
    """The index of all held-out items."""

    items: Sequence[HeldOutItem]
    n: int
    num_uncovered: Counter[str] = field(default_factory=Counter)
    _runs: U64 = field(default_factory=lambda: np.zeros(0, np.uint64))
    _owners: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    _sizes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    _short: dict[int, _Short] = field(default_factory=dict)
    _answers: dict[int, U64] = field(default_factory=dict)

    @classmethod
    def index(cls, items: Iterable[HeldOutItem], n: int) -> "Contamination":
        """Index items by their runs of ``n`` words; equal items count once."""
        found = cls(tuple(items), n)
        words = split_words([canonical(item.problem) for item in found.items])
        found._index_long(words)
        found._index_short(words)
        return found

    def _index_long(self, words: Words) -> None:
        runs, offsets = ngrams(words, self.n)
        owners = np.repeat(np.arange(len(self.items)), np.diff(offsets))
        # The same question in two packs is one item for the count of templates.
        first: dict[bytes, int] = {}
        keys = (
            words.hashes_W[words.offsets[i] : words.offsets[i + 1]].tobytes() for i in range(len(self.items))
        )
        same = np.array([first.setdefault(key, i) for i, key in enumerate(keys)], np.int64)
        distinct = same[owners]
        pairs = (
            np.unique(np.stack([runs, distinct.astype(np.uint64)], 1), axis=0)
            if len(runs)
            else np.zeros((0, 2), np.uint64)
        )
        unique, counts = np.unique(pairs[:, 0], return_counts=True)
        telling = unique[counts <= ITEM_FREQUENCY_MAX]
        keep = np.isin(runs, telling)
        order = np.argsort(runs[keep], kind="stable")
        self._runs, self._owners = runs[keep][order], owners[keep][order]
        self._sizes = np.bincount(self._owners, minlength=len(self.items))

    def _index_short(self, words: Words) -> None:
        by_length: dict[int, list[int]] = defaultdict(list)
        for i, item in enumerate(self.items):
            length = words.count(i)
            if self._sizes[i]:
                continue
            if SHORT_WORDS_MIN <= length < self.n:
                by_length[length].append(i)
            else:
                self.num_uncovered[item.benchmark] += 1
        for length, members in by_length.items():
            part = split_words([canonical(self.items[i].problem) for i in members])
            hashes, _ = ngrams(part, length)
            order = np.argsort(hashes, kind="stable")
            self._short[length] = _Short(hashes[order], [members[i] for i in order])
            answers = split_words([canonical(self.items[i].answer) for i in members])
            for k, i in enumerate(members):
                self._answers[i] = answers.hashes_W[answers.offsets[k] : answers.offsets[k + 1]]

    def scan(self, words: Words) -> list[Hit]:
        """What is met in a batch of texts (their words after :func:`canonical`), by row of the batch."""
        found: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        self._scan_long(words, found)
        self._scan_short(words, found)
        hits = []
        for (row, item), places in sorted(found.items()):
            runs = np.array([run for _, run in places], np.uint64)
            coverage = min(1.0, len(np.unique(runs)) / max(int(self._sizes[item]), 1))
            hits.append(Hit(row, item, [start for start, _ in places], runs, coverage))
        return hits

    def _scan_long(self, words: Words, found: dict[tuple[int, int], list[tuple[int, int]]]) -> None:
        runs, offsets = ngrams(words, self.n)
        if not len(self._runs) or not len(runs):
            return
        left = np.searchsorted(self._runs, runs)
        met = np.flatnonzero(self._runs[np.minimum(left, len(self._runs) - 1)] == runs)
        documents = np.searchsorted(offsets, met, side="right") - 1
        for place, document in zip(met, documents, strict=True):
            run = runs[place]
            first = left[place]
            while first < len(self._runs) and self._runs[first] == run:
                key = (int(document), int(self._owners[first]))
                found[key].append((int(place - offsets[document]), int(run)))
                first += 1

    def _scan_short(self, words: Words, found: dict[tuple[int, int], list[tuple[int, int]]]) -> None:
        for length, short in self._short.items():
            runs, offsets = ngrams(words, length)
            if not len(runs):
                continue
            left = np.searchsorted(short.hashes, runs)
            met = np.flatnonzero(short.hashes[np.minimum(left, len(short.hashes) - 1)] == runs)
            documents = np.searchsorted(offsets, met, side="right") - 1
            for place, document in zip(met, documents, strict=True):
                start = int(place - offsets[document])
                first = int(left[place])
                while first < len(short.hashes) and short.hashes[first] == runs[place]:
                    item = short.items[first]
                    if self._answer_near(words, int(document), start + length, item):
                        found[(int(document), item)].append((start, int(runs[place])))
                    first += 1

    def _answer_near(self, words: Words, document: int, start: int, item: int) -> bool:
        answer = self._answers[item]
        if not len(answer):
            return True
        begin = words.offsets[document] + start
        window = words.hashes_W[begin : min(begin + ANSWER_WORDS, words.offsets[document + 1])]
        return any(
            np.array_equal(window[i : i + len(answer)], answer) for i in range(len(window) - len(answer) + 1)
        )

    def is_covered(self, item: int) -> bool:
        """Whether an item can be met: it has telling runs, or is matched whole."""
        return bool(self._sizes[item]) or any(item in short.items for short in self._short.values())

    def run_words(self, item: int) -> int:
        """Words in the runs an item is known by."""
        if self._sizes[item]:
            return self.n
        return next(length for length, short in self._short.items() if item in short.items)


@dataclass(slots=True)
class Leaks:
    """What was met in all rows of a table; which of it is a leak is known when all were scanned."""

    hits: list[Hit] = field(default_factory=list)
    _documents: Counter[int] = field(default_factory=Counter)
    """Run -> rows that hold it."""

    def take(self, hits: Iterable[Hit], rows: Sequence[int]) -> None:
        """Remember what was met in a batch.

        Args:
            hits: From :meth:`Contamination.scan`, by row of the batch.
            rows: The table's number of every row of the batch.
        """
        met: dict[int, set[int]] = defaultdict(set)
        for hit in hits:
            self.hits.append(replace(hit, row=rows[hit.row]))
            met[hit.row].update(hit.runs.tolist())
        for runs in met.values():
            self._documents.update(runs)

    def by_row(self) -> dict[int, list[Hit]]:
        """Rows that leak, with the hits that show it."""
        found: dict[int, list[Hit]] = defaultdict(list)
        for hit in self.hits:
            telling = any(self._documents[int(run)] <= DOCUMENT_FREQUENCY_MAX for run in hit.runs)
            if telling or hit.coverage >= COVERAGE:
                found[hit.row].append(hit)
        return dict(found)
