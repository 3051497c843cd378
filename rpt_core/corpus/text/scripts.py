"""Superscripts and subscripts of wikitext, as plain text sets them: 10^6, m^2, 1st; a_(n+1), 101_2, H2O."""

import html
import re

_SCRIPT = re.compile(
    r"<(?P<tag>sup|sub)\b[^<>]{0,200}>(?P<text>[^<>]{1,100})</(?P=tag)\s{0,9}>", re.IGNORECASE
)
_CHARS_MAX = 60
"""Of a mark above or below the line; what is longer is words, and stays so."""
_FRACTION = re.compile(
    r"<sup\b[^<>]{0,60}>\s?(\d{1,6})\s?</sup>\s?[/⁄]\s?<sub\b[^<>]{0,60}>\s?(\d{1,6})\s?</sub>", re.IGNORECASE
)
_COUNTED = re.compile(r"(?:[A-Z][a-z]?|[)\]])$")
"""The end of a chemical symbol or group; of a variable in italics it is none."""
_HEX = re.compile(r"(?:\d[0-9A-F]{0,11}|[0-9A-F]{2,12})$")
_BASE_CHARS = 12


def with_scripts(text: str) -> str:
    """The text with its ``<sup>`` and ``<sub>`` set as plain text.

    Example:
        >>> with_scripts("10<sup>6</sup>, 101<sub>2</sub>, a<sub>n+1</sub>, H<sub>2</sub>O, 1<sup>st</sup>")
        '10^6, 101_2, a_(n+1), H2O, 1st'
        >>> with_scripts("6<sup>1</sup>/<sub>2</sub>")
        '6 1/2'
    """
    if "<" not in text:
        return text
    text = _FRACTION.sub(_fraction, text)
    return _SCRIPT.sub(_set, text)


def _fraction(match: re.Match[str]) -> str:
    before = match.string[match.start() - 1 : match.start()]
    return f"{' ' if before.isdigit() else ''}{match[1]}/{match[2]}"


def _set(match: re.Match[str]) -> str:
    inner = html.unescape(match["text"].strip())
    if not inner or "\n" in inner or len(inner) > _CHARS_MAX:
        return match[0]
    if match["tag"].lower() == "sup":
        return _superscript(inner)
    return _subscript(match.string[max(0, match.start() - _BASE_CHARS) : match.start()], inner)


def _superscript(raised: str) -> str:
    """``10<sup>6</sup>`` is 10^6; ordinals and trademarks stay letters."""
    if (re.fullmatch(r"[a-zA-Zº°ª™®]{1,4}", raised) and len(raised) > 1) or raised in "º°ª™®":
        return raised
    return f"^{raised}" if re.fullmatch(r"[-−+]?[\w.]+", raised) else f"^({raised})"


def _subscript(base: str, lowered: str) -> str:
    """Counts stay beside the symbol they count; other marks below a letter or a number are set apart."""
    plain = lowered.replace("''", "")
    if not base or base[-1].isspace() or any(bracket in plain for bracket in "()[]"):
        return lowered
    is_number = (_HEX.search(base) and plain == "16") or base[-1].isdigit()
    if not is_number and _COUNTED.search(base) and re.fullmatch(r"\d+(?:\.\d+)?", plain):
        return lowered
    return f"_{lowered}" if re.fullmatch(r"[\w.′']+", plain) else f"_({lowered})"
