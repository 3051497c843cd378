"""Pieces of text that no later step may touch, held aside under a number, and the closing of gaps.

Converters put formulas, code and literal text aside (:meth:`Pieces.keep`), work on what is left, and
put them back at the end. The marks are private-use characters; readers remove those from their input.
"""

import re

KEEP, KEPT, BREAK = "\ue000", "\ue001", "\ue002"
"""Marks round a piece's number, and a line break that is meant; U+E000 to U+E00F are ours."""
_PIECE = re.compile(f"{KEEP}(\\d+){KEPT}")
_MARKS = re.compile(f"[{KEEP}-\ue00f\\0\\r]")


def without_marks(text: str) -> str:
    """The text without our marks, NULs and carriage returns."""
    return _MARKS.sub("", text) if _MARKS.search(text) else text


class Pieces:
    """Numbered pieces of one document."""

    def __init__(self) -> None:
        self._held: list[str] = []

    def keep(self, piece: str) -> str:
        """A mark that stands for ``piece`` until :meth:`restore`."""
        self._held.append(piece)
        return f"{KEEP}{len(self._held) - 1}{KEPT}"

    def restore(self, text: str) -> str:
        """The text with every mark replaced by its piece; pieces may hold marks of earlier ones."""
        while KEEP in text:
            text = _PIECE.sub(lambda match: self._held[int(match[1])], text)
        return text


_HOLE = re.compile(
    r"[(（][\s,;:،、，；：)）]|[\s,;:،、，；：][)）]|[;,،]\s*[;,،]|\s[.,;:!?،؛؟]|[ \t]{2}"
    r"|[(（](?:or|and|pron|years ago|aged?)"
)
"""Whether a line may have a hole: most have none, and one search is cheaper than eight substitutions."""
_EMPTY_PAREN = re.compile(r"[(（](?:[\s,;:،、，；：\-–—/]|\b(?:or|and|pronounced|years ago|aged?)\b)*+[)）]")
_HOLES = (
    (re.compile(r"([(（])[\s,;:،、，；：]++"), r"\1"),
    # Only from the start of a run: tried at every blank of a long one, this would take quadratic time.
    (re.compile(r"(?<![\s,;:،、，；：])[\s,;:،、，；：]++(?=[)）])"), ""),
    (re.compile(r"([;,،])(?:\s*+[;,،])++"), r"\1"),
    (re.compile(r"(?<![ \t])[ \t]++(?=[.,;:!?،؛؟](?:\s|$))"), ""),
    (re.compile(r"[ \t]{2,}+"), " "),
)


def fill_holes(line: str) -> str:
    """Close the holes that dropped mark-up leaves: empty brackets, doubled commas, spaces before stops.

    Example:
        >>> fill_holes("Achilles (; , Akhilleus, ) was a hero .")
        'Achilles (Akhilleus) was a hero.'
    """
    if not _HOLE.search(line):
        return line.strip()
    for _ in range(3):  # brackets in brackets; deeper nests are no prose
        line = _EMPTY_PAREN.sub("", line)
    for pattern, better in _HOLES:
        line = pattern.sub(better, line)
    return line.strip()
