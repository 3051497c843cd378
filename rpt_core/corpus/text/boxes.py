r"""Where a mathematical text says its result: the last *closed* box.

``\boxed{12}``, ``\boxed {12}``, ``\boxed12`` and ``\fbox{12}`` are boxes; one that never closes (the word in
prose, an answer cut off) is none, and what follows a box does not belong to it.
"""

import re

_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?:(?P<open>\{)|(?P<bare>\d+(?:\.\d+)?|[A-Za-z]\b))")
BOXES_MAX = 200
"""Boxes tried from the end; an answer of more is no answer."""


def last_box(text: str) -> str | None:
    r"""The content of the last closed box of a text.

    Example:
        >>> last_box("\\boxed {\\{1,2\\}} } and \\boxed{ in prose")
        '\\{1,2\\}'
    """
    end = len(text)
    for match in reversed(list(_BOX.finditer(text))[-BOXES_MAX:]):
        if match["bare"]:
            return match["bare"]
        closing = _closing(text, match.end(), end)
        if closing is not None:
            return _outermost(text, match.start(), text[match.end() : closing])
        end = match.start()
    return None


def _outermost(rest: str, start: int, content: str) -> str:
    r"""The content, unless the box stands in another: ``\boxed{\boxed{12}}`` is told by what encloses it."""
    for match in _BOX.finditer(rest, 0, start):
        if (
            match["open"]
            and (closing := _closing(rest, match.end(), len(rest))) is not None
            and closing > start
        ):
            return rest[match.end() : closing]
    return content


def _closing(text: str, begun: int, end: int) -> int | None:
    """Where the brace opened before ``begun`` closes; escaped braces do not count."""
    level, at = 1, begun
    while at < end:
        if text[at] == "\\":
            at += 2
            continue
        level += (text[at] == "{") - (text[at] == "}")
        if level == 0:
            return at
        at += 1
    return None
