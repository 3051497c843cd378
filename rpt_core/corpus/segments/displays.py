r"""Displayed formulas as parts of sentences: "we have", the display on its own line and "where ..." are one.

A display is a formula in ``$$`` or ``\[``, or one that has its line to itself. Line ends round it are the
typesetter's. It ends a sentence when the point stands in it, or when a capital follows.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_REST_OF_LINE = re.compile(r"[ \t]*+(?:[.,;:][ \t]*+)?+(?:\n|\Z)")
_MARK = re.compile(r"[ \t]*+[.,;:](?!\S)")
"""The point or comma of the sentence, set after the display."""
_ENDED = re.compile(r"(?:(?<!\.)[.?!]|[。！？｡।॥])[\"'”’»」』）)\]*_]*\Z")
_POINT_INSIDE = re.compile(
    r"(?<!\.)(?<!\\left)(?<!\\right)[.?!]"
    r"(?:\s|~|\\[,;:! ]|\\q?quad(?![a-z])|\\end\{[a-zA-Z]+\*?\}|\})*(?:\$\$?|\\\]|\\\))\Z"
)
"""The point as the last thing of a formula: behind it stand blanks and ends of blocks alone.

``\\left.`` and ``\\right.`` are brackets that are not drawn.
"""
_TAIL_CHARS = 100
"""How far from its end a formula is searched for that point."""
_LETTERED = re.compile(r"[^\W\d_]{1,4}[.)](?=\s)")
"""The mark of a list item, "b. otherwise", which goes on with nothing."""
_HANGING = frozenset(",;:.?!)]}")


@dataclass(frozen=True, slots=True)
class Layout:
    """What the displays of a text say about its sentences."""

    joined: set[int] = field(default_factory=set)
    """Places of line ends that end no sentence."""
    cuts: set[int] = field(default_factory=set)
    """Where a sentence begins after a display on the same line."""


def layout(text: str, found: Iterable[tuple[int, int]]) -> Layout:
    r"""Line ends to overlook, and cuts to make, round the displays among the shielded spans of a text.

    A line end before a display is overlooked unless a sentence ended there; one after it where a small
    letter goes on.

    Example:
        >>> sorted(layout("We have\n$$a = b$$\nwhere $b$ is small.", [(8, 17), (24, 27)]).joined)
        [7, 17]
        >>> layout("We have $$a = b$$ But no.", [(8, 17)]).cuts
        {18}
    """
    told = Layout()
    last_end, last_over = -1, False
    for start, end in _displays(text, found):
        before, after = _back_over_blanks(text, start), _over_blanks(text, end)
        ended = last_over if before == last_end else bool(_ENDED.search(text, max(0, before - 10), before))
        if before > 0 and not ended:
            told.joined.update(_line_ends(text, before, start))
        over = bool(
            _ENDED.search(text, end - 1, end)
            or _POINT_INSIDE.search(text, max(start, end - _TAIL_CHARS), end)
        )
        if end < after < len(text):
            goes_on = text[after].islower() and not over and not _LETTERED.match(text, after)
            if "\n" in text[end:after]:
                told.joined.update(_line_ends(text, end, after) if goes_on else ())
            elif text[after].isupper() or (over and text[after] not in _HANGING):
                told.cuts.add(after)
        last_end, last_over = end, over
    return told


def _displays(text: str, found: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Start and end of every display, the mark after it included."""
    for start, end in found:
        if text[start] == "`":
            continue
        if text.startswith(("$$", "\\["), start) or _has_its_line(text, start, end):
            mark = _MARK.match(text, end)
            yield start, mark.end() if mark else end


def _has_its_line(text: str, start: int, end: int) -> bool:
    before = _back_over_blanks(text, start)
    return (before == 0 or "\n" in text[before:start]) and bool(_REST_OF_LINE.match(text, end))


def _back_over_blanks(text: str, position: int) -> int:
    while position > 0 and text[position - 1].isspace():
        position -= 1
    return position


def _over_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _line_ends(text: str, start: int, end: int) -> Iterator[int]:
    return (place for place in range(start, end) if text[place] == "\n")
