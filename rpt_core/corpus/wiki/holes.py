"""Sentences with a value that the page does not hold (of a data page, of today's date) are left out whole."""

import re

from rpt_core.corpus.wiki.calls import HOLE

_ASIDE = re.compile(rf"\s?[(（][^()（）\n{HOLE}]{{0,300}}{HOLE}[^()（）\n]{{0,300}}[)）]")
_END = re.compile(
    r"([^\s.]{0,20})([.!?])[)”\"»\]]?\s{1,99}(?=[\"'“«(]{0,3}[^\W\d_a-zà-öø-ÿа-яё])|[。！？؟।;；]\s?"
)
"""Where a sentence may end, or a part of one that a semicolon sets apart; and the word before."""
_ABBREVIATION = re.compile(
    r"(?:.*\W)?(?:[A-Z][a-z]{0,3}|\w|ca|cf|vs|vol|no|pp|fig|eq|approx|resp|z|bzw|env|núm)?"
)


def without_holes(text: str) -> tuple[str, list[str]]:
    """The text without such sentences and asides, and what was left out.

    Example:
        >>> without_holes(f"The town is old. It has {HOLE} people. It (now {HOLE}) stands.")
        ('The town is old. It stands.', [' (now )', 'It has  people.'])
    """
    lines, lost = [], []
    for line in text.split("\n"):
        kept = line
        if HOLE in line:
            lost += [found[0].replace(HOLE, "") for found in _ASIDE.finditer(line)]
            kept = _ASIDE.sub("", line)
        if HOLE in kept:
            sentences = _with_ends(kept)
            lost += [sentence.replace(HOLE, "").strip() for sentence in sentences if HOLE in sentence]
            kept = "".join(sentence for sentence in sentences if HOLE not in sentence)
        lines.append(kept)
    return "\n".join(lines), [sentence for sentence in lost if any(map(str.isalnum, sentence))]


def _with_ends(line: str) -> list[str]:
    """The sentences of a line, each with the blanks behind it."""
    ends = [
        match.end()
        for match in _END.finditer(line)
        if match[2] != "." or not _ABBREVIATION.fullmatch(match[1])
    ]
    return [line[start:end] for start, end in zip([0, *ends], [*ends, len(line)], strict=True)]
