"""Rendered paragraphs put together: blanks folded, holes filled, closing sections left out."""

import re
from collections.abc import Iterable

from rpt_core.corpus.text.pieces import BREAK, KEEP, fill_holes

HEADING = "\ue003"
"""Stands before a heading, with its level, until closing sections are gone."""
_CLOSING = re.compile(
    r"(acknowledge?ments?|references|bibliography|funding|author contributions?|data availability.*|"
    r"conflicts? of interest.*|"
    r"competing interests|contents|list of (figures|tables)|index|disclosures?|supplementary materials?)\W*$",
    re.IGNORECASE,
)


def without_closing_sections(blocks: Iterable[str]) -> list[str]:
    """Blocks without acknowledgements and lists of sources, and without headings nothing follows."""
    kept: list[str] = []
    waiting: list[tuple[int, str]] = []
    skipping: int | None = None
    for part in blocks:
        if not part.startswith(HEADING):
            if skipping is None:
                kept.extend(heading for _, heading in waiting)
                kept.append(part)
                waiting = []
            continue
        level, heading = int(part[1]), part[2:]
        if skipping is not None and level > skipping:
            continue
        skipping = level if _CLOSING.match(heading) else None
        waiting = [above for above in waiting if above[0] < level]
        if skipping is None:
            waiting.append((level, heading))
    return kept


def flat(text: str) -> str:
    """A heading or label on one line."""
    return fill_holes(" ".join(text.replace(BREAK, " ").split()))


def block(text: str) -> str:
    """One paragraph: blanks folded, meant line breaks kept, holes filled."""
    lines = (fill_holes(" ".join(line.split())) for line in text.split(BREAK))
    return "\n".join(line for line in lines if line and line != "-")


def has_words(text: str) -> bool:
    """Whether a letter, a digit or a kept piece is in it."""
    return any(character.isalnum() or character == KEEP for character in text)
