"""One form for every text: composed characters, no controls, no trailing blanks."""

import re
import unicodedata

_UNWANTED = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b\u2060\ufeff\ufff0-\uffff\ue000-\ue00f]"
)
_BROKEN = re.compile("[\u0000-\u0008\u000e-\u001f\u0080-\u0084\u0086-\u009f\ufffd]")
_LINES = re.compile("\r\n?|[\u0085\u2028\u2029\u000b\u000c]")
_GAPS = re.compile(r"\n{3,}")
BROKEN_SHARE_MAX = 0.002
"""Controls and replacement characters per character; a page that was decoded wrongly has far more."""


def normalise(text: str) -> str:
    r"""NFC, ``\n`` line ends, no control or zero-width characters (joiners of Indic and Arabic stay).

    Idempotent; plain text without such characters comes back unchanged.

    Example:
        >>> normalise("Cafe\u0301\r\n\r\n\r\n\r\nau\u00a0lait\u200b ")
        'Café\n\nau lait'
    """
    if not text.isascii():
        if not unicodedata.is_normalized("NFC", text):
            text = unicodedata.normalize("NFC", text)
        text = text.replace("\u00a0", " ").replace("\u202f", " ")
    text = _LINES.sub("\n", text)
    text = _UNWANTED.sub("", text)
    if " \n" in text or "\t\n" in text:  # line by line: a pattern would try a run of blanks from each of them
        text = "\n".join(line.rstrip(" \t") for line in text.split("\n"))
    return _GAPS.sub("\n\n", text).strip()


def is_broken(text: str) -> bool:
    """Whether controls and replacement characters show that this was no text, or another encoding."""
    return len(_BROKEN.findall(text)) > max(2.0, BROKEN_SHARE_MAX * len(text))
