r"""Reads the arguments of a command as they are written: brace groups, options, what closes a bracket."""

import re
from collections.abc import Mapping

from rpt_core.corpus.latex.lengths import REGISTER_FIRST

OPTION_CHARS_MAX = 2000
"""A bracket that closes no sooner is text."""
_BLANK = re.compile(r"[ \t]*+(?:\n(?![ \t]*+\n)[ \t]*+)?")


class Arguments:
    """Arguments in one expanded source; every position is an offset into its text."""

    def __init__(self, text: str, braces: Mapping[int, int]) -> None:
        """Nothing is read yet.

        Args:
            text: The source.
            braces: Where the brace opened at a position closes.
        """
        self._text = text
        self._braces = braces

    def group(self, position: int, end: int) -> tuple[int, int] | None:
        """Where the brace group that stands here begins and closes; white space before it is jumped over."""
        start = self.start(position, end)
        return (start, self._braces[start]) if start < end and self._text[start] == "{" else None

    def start(self, position: int, end: int) -> int:
        """Where an argument begins: after blanks and one line break at most."""
        return _BLANK.match(self._text, position, end).end()  # type: ignore[union-attr]

    def raw(self, position: int, end: int) -> tuple[str, int]:
        """One brace group as it is written; nothing when none stands here."""
        group = self.group(position, end)
        return (self._text[group[0] + 1 : group[1]], group[1] + 1) if group else ("", position)

    def skip(self, position: int, end: int, num: int) -> int:
        """Position after optional arguments and up to ``num`` brace groups."""
        position = self.skip_optional(position, end)
        for _ in range(num):
            start = self.start(position, end)
            if register := REGISTER_FIRST.match(self._text, start, end):
                position = self.skip_optional(register.end(), end)
                continue
            if start >= end or self._text[start] != "{":
                break
            position = self.skip_optional(self._braces[start] + 1, end)
        return position

    def skip_optional(self, position: int, end: int) -> int:
        """Position after the options that begin here."""
        while position < end and self._text[position] == "[" and (close := self.bracket_end(position, end)):
            position = close + 1
        return position

    def bracket_end(self, position: int, end: int) -> int | None:
        """Position of the ``]`` that closes the ``[`` at ``position``; brace groups are jumped over."""
        at, limit = position + 1, min(end, position + OPTION_CHARS_MAX)
        # Without this look ahead, a text full of open brackets costs its length for each of them.
        if self._text.find("]", at, limit) < 0:
            return None
        while at < limit:
            character = self._text[at]
            if character == "]":
                return at
            if character == "{":
                at = self._braces.get(at, end)
            elif character == "\\":
                at += 1
            elif character == "\n" and self._text[at : at + 2] == "\n\n":
                return None
            at += 1
        return None
