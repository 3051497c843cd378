r"""Lengths, numbers and key words of TeX that follow a word without braces, and where they end."""

import re

_LENGTH = (
    r"[-+]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)[ \t]*+(?:true[ \t]?)?"
    r"(?:pt|em|ex|cm|mm|in|pc|bp|sp|mu|fil+|\\[a-zA-Z]++)"
)
_GLUE = re.compile(rf"[ \t]*+=?[ \t]*+{_LENGTH}(?:[ \t]*+(?:plus|minus)[ \t]*+{_LENGTH}){{0,2}}")
_WHOLE = re.compile(r"[ \t]*+=?[ \t]*+[-+]?(?:[0-9]++|\\magstep(?:half|[ \t]*+[0-5]))(?![a-zA-Z.])")
_ASSIGNED = re.compile(rf"[ \t]*+=[ \t]*+(?:{_LENGTH}|[-+]?[0-9]++(?![0-9.,]*[a-zA-Z]))(?=\s|\\|\Z)")
r"""A register of the author's own that is set: ``\myskip=3pt``."""
_RULE = re.compile(
    rf"[ \t]*+(?:(?:to|spread|by|height|width|depth)?[ \t]*+{_LENGTH}[ \t]*+"
    r"|(?:to|spread)[ \t]*+\\[a-zA-Z]++[ \t]*+"
    r"|(?:by|width|height|depth)[ \t]*+(?:[-+]?[0-9]++|\\[a-zA-Z]++)[ \t]*+){0,3}+"
)
_FONT = re.compile(
    r"[ \t]*+\\[a-zA-Z]++[ \t]*+=?[ \t]*+[\w.-]{1,60}"
    r"(?:[ \t]++(?:scaled|at)[ \t]*+(?:\\magstep(?:half|[ \t]*+[0-5])|[0-9.]++"
    r"(?:[ \t]*+(?:true)?pt)?))?"
)
_REGISTER = re.compile(
    r"[ \t]*+(?:\\[a-zA-Z]++|[0-9]{1,3})[ \t]*+(?:=|by)?[ \t]*+"
    r"[-+]?(?:[0-9]++(?:\.[0-9]*+)?[a-z]{0,2}|\\[a-zA-Z]++)?"
)
REGISTER_FIRST = re.compile(r"\\[a-zA-Z@]++[ \t]*+(?=\{)")
r"""A bare word as the first argument: ``\setlength\parindent{0pt}``."""
_CODE_POINT = re.compile(r"[ \t]*+(?:\"([0-9A-F]{2})|'([0-7]{2,3})|([0-9]{1,3}))")


def after_length(text: str, position: int, end: int) -> int:
    r"""Position after ``\vskip 10pt plus 2pt``, ``\parindent=0pt``, ``\magnification=1200``.

    Example:
        >>> after_length("=10pt plus 1fil word", 0, 20), after_length("none", 0, 4)
        (15, 0)
    """
    found = _GLUE.match(text, position, end) or _WHOLE.match(text, position, end)
    return found.end() if found else position


def after_rule(text: str, position: int, end: int) -> int:
    r"""Position after the key words of ``\hrule height 1pt`` or ``\hbox to 5cm{..}``.

    Example:
        >>> after_rule("height 1pt depth2pt word", 0, 24)
        20
    """
    found = _RULE.match(text, position, end)
    return found.end() if found else position


def after_font(text: str, position: int, end: int) -> int:
    r"""Position after ``\font\big=cmr10 scaled 1200``.

    Example:
        >>> after_font(r"\big=cmr10 scaled\magstep1 word", 0, 31)
        26
    """
    found = _FONT.match(text, position, end)
    return found.end() if found else position


def after_register(text: str, position: int, end: int) -> int:
    r"""Position after ``\advance\x by 1`` or ``\count1=3``.

    Example:
        >>> after_register(r"\x by 1 word", 0, 12)
        7
    """
    found = _REGISTER.match(text, position, end)
    return found.end() if found else position


def after_assignment(text: str, position: int, end: int) -> int | None:
    r"""Position after the value that an author's register is set to (``\myskip=3pt``); None without one.

    Example:
        >>> after_assignment("=3pt word", 0, 9), after_assignment("= x", 0, 3)
        (4, None)
    """
    found = _ASSIGNED.match(text, position, end)
    return found.end() if found else None


def code_point(text: str, position: int, end: int) -> tuple[str, int]:
    r"""The character of ``\char"41`` and the position after it; beyond ASCII a font's own order is not known.

    Example:
        >>> code_point('"41 b', 0, 5)
        ('A', 3)
    """
    code = _CODE_POINT.match(text, position, end)
    if not code:
        return "", position
    point = int(code[1], 16) if code[1] else int(code[2], 8) if code[2] else int(code[3])
    return chr(point) if 32 < point < 127 else "", code.end()
