"""Locate formula and code spans in prose, and mask them in place.

Sentence splitters break at the point in ``$1.5$``, card numbers hide in long digit strings of code, and
quality rules count backslashes. So these spans are found once and covered, character for character.
"""

import re

_INSIDE = r"(?:\\.|[^$\\\n])"
_SPAN = re.compile(
    # One character class first: the engine then skips prose at the speed of memory.
    r"[`$\\](?:(?<=`)``.*?(?:```|\Z)"
    r"|(?<=\$)\$.+?\$\$"
    r"|(?<=\\)\[.+?\\\]|(?<=\\)\(.+?\\\)"
    rf"|(?<=(?<![\\$\w])\$)(?=[^\s$]){_INSIDE}{{0,2000}}?(?<=[^\s\\])\$(?![\d\w])"
    # Right after a word only what can be no price ("km$^2$"); right before one only "$n$th" and plurals.
    rf"|(?<=\w\$)(?=[\^_\\{{]){_INSIDE}{{0,2000}}?(?<=[^\s\\])\$(?!\d)"
    r"|(?<=(?<![\\$\w])\$)(?=[^\s$])[^\s$]{1,60}\$(?=(?:th|st|nd|rd|s)\b)"
    r"|(?<=(?<!`)`)[^`\n]{1,400}`(?!`))",
    re.DOTALL,
)
_MARKS = re.compile(r"[$`]|\\[\[(]")


def spans(text: str) -> list[tuple[int, int]]:
    r"""Start and end of every formula and piece of code; prices are no formulas.

    Example:
        >>> spans("It costs $5 and $10, and $x = 1.5$ holds.")
        [(25, 34)]
    """
    if not _MARKS.search(text):
        return []
    return [match.span() for match in _SPAN.finditer(text)]


def cover(text: str, found: list[tuple[int, int]] | None = None, letter: str = "x") -> str:
    """The same number of characters, with every shielded span turned into one long word.

    Example:
        >>> cover("so $a.b$ ends. Next")
        'so xxxxx ends. Next'
    """
    found = spans(text) if found is None else found
    if not found:
        return text
    out, position = [], 0
    for start, end in found:
        out += [text[position:start], letter * (end - start)]
        position = end
    return "".join([*out, text[position:]])


def without(text: str, found: list[tuple[int, int]] | None = None) -> str:
    """The prose alone: spans replaced by one blank each."""
    found = spans(text) if found is None else found
    if not found:
        return text
    out, position = [], 0
    for start, end in found:
        out += [text[position:start], " "]
        position = end
    return "".join([*out, text[position:]])
