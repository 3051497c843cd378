"""Clauses of classical Chinese that was written without punctuation, at the particles that close or open one.

Only what grammar says nearly always is used: final particles, ``曰`` before what is said, openings of a new
thought. Most clauses have neither, so cuts are few and good; the recipe's least length joins short ones.
"""

import re
from collections.abc import Iterator

from rpt_core.corpus.text.han import simplified

CHARS_MIN = 20
"""Shorter paragraphs are headings and names."""
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
_BARE = re.compile(rf"[{_HAN}○\s]{{{CHARS_MIN},}}")
_MODERN = re.compile("[的了们这那她]")
"""One of these in simplified form, and the text is modern prose that lost its marks."""
_CUT = re.compile(
    # After the last of a run of final particles; 者 makes a noun of the clause before it.
    "(?:[也矣哉焉兮]|(?<!於)(?<!于)(?<![之])乎)(?![也矣哉乎焉兮耳者夫])"
    # After the verb of speech and the mark of a section.
    "|曰(?!者)|○"
    # Before what opens a new thought.
    "|(?=今夫|是故|是以|然则|若夫|且夫|故夫|虽然)"
)


def unpointed(text: str, start: int, end: int) -> Iterator[int]:
    """Where clauses begin in a paragraph of classical Chinese without any mark; nothing for other paragraphs.

    Args:
        text: The whole text.
        start: Start of the paragraph.
        end: Its end.

    Example:
        >>> text = "顏淵問仁子曰克己復禮為仁一日克己復禮天下歸仁焉為仁由己而由人乎哉顏淵曰請問其目"
        >>> [text[a:] for a in unpointed(text, 0, len(text))][-2:]
        ['顏淵曰請問其目', '請問其目']
    """
    if not _BARE.fullmatch(text, start, end):
        return
    folded = simplified(text[start:end])
    if _MODERN.search(folded):
        return
    for match in _CUT.finditer(folded):
        if 0 < match.end() < len(folded):
            yield start + match.end()
