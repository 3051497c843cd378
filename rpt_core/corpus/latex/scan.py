r"""Arguments of TeX commands in raw source: brace groups, optional and delimited arguments.

Every search starts where the argument must start and moves forward once. A group that never closes raises:
TeX itself stops there ("file ended while scanning"), and a second search over the same text would make a
thousand unclosed groups quadratic.
"""

import functools
import re

from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.corpus.latex.structure import around

SPACE = re.compile(r"\s*+")
STAR = re.compile(r"\s*+\*")
NAME = re.compile(r"\s*+(?:\{\s*+\\([a-zA-Z@]++|.)\s*+\}|\\([a-zA-Z@]++|.))", re.DOTALL)
COUNT = re.compile(r"\s*+\[\s*+([0-9])\s*+\]")
COMMAND = re.compile(r"\\(?:@*+[a-zA-Z][a-zA-Z@]*+|.)", re.DOTALL)
OPTIONAL_CHARS_MAX = 5000
"""A bracket that is still open after so many characters opens no optional argument."""

UNTIL_CHARS_MAX = 400_000
"""Of a delimited argument; a bibliography can be one."""

_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_BRACKET = re.compile(r"\\.|[{}\[\]]", re.DOTALL)
_SLOT = re.compile(r"(\\[a-zA-Z@]++)?(?:##([1-9])|#([1-9]))(?=([a-zA-Z]?))")
_ENDS_IN_WORD = re.compile(r"\\[a-zA-Z@]+\Z")
_NAME_TAIL_CHARS = 60
_PER_CENT = re.compile(r"(?<!\\)%")
LINE_CHARS = 500
"""Before a word, in which a comment that holds it is looked for."""


def over_blanks(buffer: str, position: int) -> int:
    """Position of the first character that is no blank."""
    match = SPACE.match(buffer, position)
    return match.end() if match else position


def group(buffer: str, position: int) -> tuple[str, int] | None:
    """The content of the brace group that starts exactly at ``position``, and the position after it.

    Raises:
        Broken: ``latex-unbalanced``, the group never closes.

    Example:
        >>> group("{a{b}}c", 0)
        ('a{b}', 6)
    """
    if buffer[position : position + 1] != "{":
        return None
    depth = 0
    for match in _BRACE.finditer(buffer, position):
        brace = match[0]
        if brace == "{":
            depth += 1
        elif brace == "}":
            depth -= 1
            if depth == 0:
                return buffer[position + 1 : match.start()], match.end()
    raise BrokenInput("latex-unbalanced", f"a {{ that never closes in: {around(buffer, position)}")


def next_group(buffer: str, position: int) -> tuple[str, int] | None:
    """The next brace group, blanks before it skipped."""
    return group(buffer, over_blanks(buffer, position))


def optional(buffer: str, position: int) -> tuple[str, int] | None:
    """The content of ``[..]`` at ``position`` (after blanks), braces inside respected."""
    start = over_blanks(buffer, position)
    if buffer[start : start + 1] != "[" or start - position > 100:
        return None
    if buffer.find("]", start, start + OPTIONAL_CHARS_MAX) < 0:
        return None
    depth = 0
    for match in _BRACKET.finditer(buffer, start + 1):
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            depth -= 1
            if depth < 0:
                return None
        elif match[0] == "]" and depth == 0:
            return buffer[start + 1 : match.start()], match.end()
        if match.end() - start > OPTIONAL_CHARS_MAX:
            return None
    return None


def mandatory(buffer: str, position: int) -> tuple[str, int]:
    """A brace group, one command, or one character."""
    start = over_blanks(buffer, position)
    if found := group(buffer, start):
        return found
    if command := COMMAND.match(buffer, start):
        return command[0], command.end()
    return buffer[start : start + 1].replace("}", ""), min(start + 1, len(buffer))


def between(buffer: str, position: int, opening: str, closing: str) -> tuple[str, int] | None:
    """The content between two marks of an xparse argument (``(..)``, ``<..>``), braces inside respected."""
    start = over_blanks(buffer, position)
    return until(buffer, start + len(opening), closing) if buffer.startswith(opening, start) else None


def until(buffer: str, position: int, delimiter: str) -> tuple[str, int] | None:
    r"""The text up to a delimiter at the same depth of braces, and the position after the delimiter.

    Example:
        >>> until(r" a_{\eea} \eea b", 0, r"\eea")
        (' a_{\\eea} ', 15)
    """
    depth = 0
    for match in _delimiter(delimiter).finditer(buffer, position, position + UNTIL_CHARS_MAX):
        if match[1] is not None:
            if depth == 0:
                return buffer[position : match.start()], match.end()
        elif match[0] == "{":
            depth += 1
        elif match[0] == "}":
            depth -= 1
            if depth < 0:
                return None
    return None


@functools.lru_cache(256)
def _delimiter(delimiter: str) -> re.Pattern[str]:
    shown = re.escape(delimiter)
    if _ENDS_IN_WORD.search(delimiter):
        shown += r"(?![a-zA-Z@])[ \t]*+(?:\n(?![ \t]*+\n)[ \t]*+)?"
    if delimiter == r"\par":
        shown += r"|\n[ \t]*+\n"
    return re.compile(rf"({shown})|\\(?:[a-zA-Z@]++|.)|[{{}}]", re.DOTALL)


def without_outer_braces(text: str) -> str:
    """A delimited argument as TeX passes it: one pair of braces round all of it comes off.

    Example:
        >>> without_outer_braces("{a}"), without_outer_braces("{a}{b}")
        ('a', '{a}{b}')
    """
    stripped = text.strip()
    if not stripped.startswith("{"):
        return text
    found = group(stripped, 0)
    return found[0] if found and found[1] == len(stripped) else text


def ends_in_word(text: str) -> bool:
    r"""Whether a text ends in a command's name, which a letter after it would go on with.

    Example:
        >>> ends_in_word(r"a \b"), ends_in_word(r"a \b ")
        (True, False)
    """
    return _ENDS_IN_WORD.search(text[-_NAME_TAIL_CHARS:]) is not None


def is_commented(before: str) -> bool:
    r"""Whether a per cent sign stands in the line that a text, such as the last :data:`LINE_CHARS`, ends in.

    Example:
        >>> is_commented("a % b"), is_commented("% a\n b"), is_commented(r"5\% ")
        (True, False, False)
    """
    return _PER_CENT.search(before, before.rfind("\n") + 1) is not None


def fill(body: str, args: list[str]) -> str:
    r"""A macro's body with its arguments in place; ``##1`` is the ``#1`` of a definition within.

    A command word and the letter that follows it stay two tokens.

    Example:
        >>> fill(r"\mathbf#1 \def\b##1{#2}", ["x", "y"])
        '\\mathbf x \\def\\b#1{y}'
    """

    def slot(match: re.Match[str]) -> str:
        word = match[1] or ""
        if match[2]:
            return f"{word}#{match[2]}"
        number = int(match[3])
        arg = args[number - 1] if number <= len(args) else ""
        before = " " if word and arg[:1].isalpha() else ""
        after = " " if match[4] and ends_in_word(arg) else ""
        return f"{word}{before}{arg}{after}"

    return _SLOT.sub(slot, body) if "#" in body else body
