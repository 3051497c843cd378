"""Quality of prose: measured first, decided second, both recorded.

The measures are those of Gopher (Rae et al. 2021, table A1), C4 (Raffel et al. 2020, section 2.2) and
FineWeb (Penedo et al. 2024, section 3.6). They are taken on the text without its formulas and code, so
that mathematics is not punished for its symbols; thresholds are a profile of the source.
"""

import re
from collections import Counter
from dataclasses import dataclass, fields

import numpy as np

from rpt_core.corpus.origins import Profile
from rpt_core.corpus.segments.sentence_ends import MARKS
from rpt_core.corpus.text.shield import cover
from rpt_core.corpus.text.words import U64, Words

REPETITION_WORDS_MIN = 200
"""Shares of repeated phrases say little below this: a short text on one thing repeats its words."""

LINES_MIN = 5
"""A text of fewer lines is prose that was typed without line ends: how its lines end says nothing."""

_BULLET = ("-", "*", "•", "‣", "▪", "#")
_STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with", "is", "in", "a", "it"})
_BOILERPLATE = re.compile(r"lorem ipsum|enable javascript|javascript is (disabled|required)", re.I)
_END = tuple("\"'.!?:;…)”’»」』$`" + MARKS)


@dataclass(frozen=True, slots=True)
class Metrics:
    """What was measured on one text."""

    num_words: int
    word_chars: float
    """Mean characters per word."""
    letter_share: float
    """Words with a letter."""
    symbol_share: float
    """Hash marks and ellipses per word."""
    bullet_share: float
    """Lines that begin with a bullet."""
    ellipsis_share: float
    """Lines that end in an ellipsis."""
    ended_share: float
    """Lines that end in a punctuation mark (FineWeb); a formula or code ends a line as well."""
    repeated_line_share: float
    """Characters in lines that stood before."""
    top_ngram_share: float
    """Words covered by the commonest phrase of 2 to 4 words, largest excess over its limit."""
    repeated_ngram_share: float
    """Words in phrases of 10 that stood before."""
    stop_words: int
    """How many of twelve common English words occur."""
    formula_share: float
    """Characters in formulas and code."""

    def as_dict(self) -> dict[str, float]:
        """Numbers by name, rounded so that they print the same everywhere."""
        return {field.name: round(float(getattr(self, field.name)), 4) for field in fields(self)}


def measure(text: str, prose: str, words: Words, document: int) -> Metrics:
    """Measure one text.

    Args:
        text: The whole text.
        prose: The same without formulas and code.
        words: Words of a batch of proses.
        document: Which of the batch.
    """
    start, end = words.offsets[document], words.offsets[document + 1]
    hashes = words.hashes_W[start:end]
    lengths = words.ends_W[start:end] - words.starts_W[start:end]
    lines = [line for line in (raw.strip() for raw in prose.split("\n")) if line]
    pieces = prose.split()
    num = len(hashes)
    return Metrics(
        num_words=num,
        word_chars=float(lengths.mean()) if num else 0.0,
        letter_share=_letter_share(pieces),
        symbol_share=(prose.count("#") + prose.count("…") + prose.count("...")) / max(num, 1),
        bullet_share=sum(line.startswith(_BULLET) for line in lines) / max(len(lines), 1),
        ellipsis_share=sum(line.endswith(("…", "...")) for line in lines) / max(len(lines), 1),
        ended_share=_ended(lines if len(prose) == len(text) else cover(text, letter="$").split("\n")),
        repeated_line_share=_repeated_lines(lines),
        top_ngram_share=_top_ngrams(hashes),
        repeated_ngram_share=_repeated_ngrams(hashes, 10),
        stop_words=len(_STOP_WORDS.intersection(word.lower() for word in pieces[:2000])),
        formula_share=(len(text) - len(prose)) / max(len(text), 1),
    )


def _ended(lines: list[str]) -> float:
    ends = [line.rstrip().endswith(_END) for line in lines if line.strip()]
    return sum(ends) / max(len(ends), 1)


def _letter_share(pieces: list[str]) -> float:
    sample = pieces[:5000]
    return sum(any(map(str.isalpha, piece)) for piece in sample) / max(len(sample), 1)


def _repeated_lines(lines: list[str]) -> float:
    counts = Counter(line for line in lines if len(line) > 15)
    repeated = sum((count - 1) * len(line) for line, count in counts.items())
    return repeated / max(sum(len(line) for line in lines), 1)


_TOP_LIMITS = ((2, 0.20), (3, 0.18), (4, 0.16))
"""Gopher's limits on the share of the commonest 2-, 3- and 4-gram."""


def _top_ngrams(hashes: U64) -> float:
    """Largest share of a commonest phrase as a multiple of its limit; above 1 breaks the rule."""
    if len(hashes) < REPETITION_WORDS_MIN:
        return 0.0
    worst = 0.0
    for n, limit in _TOP_LIMITS:
        _, counts = np.unique(_phrases(hashes, n), return_counts=True)
        top = int(counts.max(initial=0))
        worst = max(worst, (top * n / len(hashes) / limit) if top > 1 else 0.0)
    return worst


def _repeated_ngrams(hashes: U64, n: int) -> float:
    if len(hashes) < REPETITION_WORDS_MIN:
        return 0.0
    phrases = _phrases(hashes, n)
    return 1 - len(np.unique(phrases)) / max(len(phrases), 1)


def _phrases(hashes: U64, n: int) -> U64:
    with np.errstate(over="ignore"):
        combined = hashes[: len(hashes) - n + 1].copy()
        for k in range(1, n):
            combined = combined * np.uint64(0x9E3779B97F4A7C15) + hashes[k : len(hashes) - n + 1 + k]
    return combined


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """One rule that a text breaks."""

    reason: str
    measure: str
    """Name of what was measured; empty for a rule about words."""


def broken_rules(
    metrics: Metrics, prose: str, profile: Profile, lang: str, min_words: int, rules: bool
) -> list[BrokenRule]:
    """All rules that a text breaks, in the order in which they are asked; the first is why it is dropped.

    Args:
        metrics: What was measured.
        prose: The text without formulas, for the phrases nobody means.
        profile: The thresholds of its source.
        lang: Stop words are asked for in English only.
        min_words: The recipe's least length; formulas are not words.
        rules: Whether anything but the length counts.
    """
    # A page of formulas has few words: eight characters of a formula stand for one.
    length = metrics.num_words + int(
        metrics.formula_share * len(prose) / max(1e-9, 1 - metrics.formula_share) / 8
    )
    if length < min_words:
        return [BrokenRule("too-short", "num_words")]
    if not rules:
        return []
    has_lines = (
        prose.count("\n") + 1 >= LINES_MIN and sum(map(bool, map(str.strip, prose.split("\n")))) >= LINES_MIN
    )
    checks = (
        ("boilerplate", "", bool(_BOILERPLATE.search(prose[:20_000]))),
        (
            "word-length",
            "word_chars",
            _scripted(lang) and not profile.word_chars[0] <= metrics.word_chars <= profile.word_chars[1],
        ),
        ("few-letters", "letter_share", metrics.letter_share < profile.letter_share_min),
        ("symbols", "symbol_share", metrics.symbol_share > profile.symbol_share_max),
        ("list-like", "bullet_share", metrics.bullet_share > profile.bullet_share_max),
        ("list-like", "ellipsis_share", has_lines and metrics.ellipsis_share > profile.ellipsis_share_max),
        ("list-like", "ended_share", has_lines and metrics.ended_share < profile.ended_share_min),
        (
            "line-repetition",
            "repeated_line_share",
            metrics.repeated_line_share > profile.repeated_line_share_max,
        ),
        ("ngram-repetition", "top_ngram_share", metrics.top_ngram_share > profile.top_ngram_share_max),
        (
            "ngram-repetition",
            "repeated_ngram_share",
            metrics.repeated_ngram_share > profile.repeated_ngram_share_max,
        ),
        (
            "few-stop-words",
            "stop_words",
            lang == "en"
            and metrics.num_words >= REPETITION_WORDS_MIN
            and metrics.stop_words < profile.stop_words_min,
        ),
    )
    return [BrokenRule(reason, measure) for reason, measure, broken in checks if broken]


def limits(profile: Profile) -> dict[str, tuple[float | None, float | None]]:
    """The least and the largest value of every measure that a profile allows; None for no limit."""
    return {
        "word_chars": profile.word_chars,
        "letter_share": (profile.letter_share_min, None),
        "symbol_share": (None, profile.symbol_share_max),
        "bullet_share": (None, profile.bullet_share_max),
        "ellipsis_share": (None, profile.ellipsis_share_max),
        "ended_share": (profile.ended_share_min or None, None),
        "repeated_line_share": (None, profile.repeated_line_share_max),
        "top_ngram_share": (None, profile.top_ngram_share_max),
        "repeated_ngram_share": (None, profile.repeated_ngram_share_max),
        "stop_words": (profile.stop_words_min, None),
        "formula_share": (None, None),
    }


def _scripted(lang: str) -> bool:
    """Whether words of the language are runs of letters, so that their length says something."""
    return lang not in ("zh", "ja", "th", "lo", "km", "my", "ko")
