r"""Where a completion says its answer: the last *closed* box after the end of the thought.

``\boxed{12}``, ``\boxed {12}``, ``\boxed12`` and ``\fbox{12}`` are boxes; one that never closes (the word in
prose, an answer cut off) is none, and what follows a box does not belong to it.
"""

import re

END_OF_THOUGHT = "</think>"
_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?:(?P<open>\{)|(?P<bare>\d+(?:\.\d+)?|[A-Za-z]\b))")
BOXES_MAX = 200
"""Boxes tried from the end; an answer of more is no answer."""


def boxed_answer(text: str) -> str | None:
    r"""The content of the last closed box after the end of the thought.

    Example:
        >>> boxed_answer("</think> \\boxed {\\{1,2\\}} } and \\boxed{ in prose")
        '\\{1,2\\}'
        >>> boxed_answer("\\boxed{1}</think> no box") is None
        True
    """
    _, ended, rest = text.partition(END_OF_THOUGHT)
    if not ended:
        return None
    end = len(rest)
    for match in reversed(list(_BOX.finditer(rest))[-BOXES_MAX:]):
        if match["bare"]:
            return match["bare"]
        closing = _closing(rest, match.end(), end)
        if closing is not None:
            return _outermost(rest, match.start(), rest[match.end() : closing])
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
