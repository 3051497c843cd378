"""Typing errors on purpose, for studies of robustness: the same ones for the same document and seed."""

import random
import re
from collections.abc import Sequence

_NEIGHBOURS = {
    "a": "qwsz", "b": "vghn", "c": "xdfv", "d": "serfcx", "e": "wsdr", "f": "drtgvc", "g": "ftyhbv",
    "h": "gyujnb",
    "i": "ujko", "j": "huikmn", "k": "jiolm", "l": "kop", "m": "njk", "n": "bhjm", "o": "iklp", "p": "ol",
    "q": "wa", "r": "edft", "s": "awedxz", "t": "rfgy", "u": "yhji", "v": "cfgb", "w": "qase", "x": "zsdc",
    "y": "tghu", "z": "asx",
}  # fmt: skip
"""Keys beside a key."""
_WORD = re.compile(r"(?<![<_])[^\W\d_]{3,}+(?![>_])")
"""Words, but not the marks of masked personal data (``<EMAIL>``)."""


def with_noise(text: str, share: float, key: str, shielded: Sequence[tuple[int, int]] = ()) -> str:
    """The text with errors in a share of its words of three letters or more.

    Two letters swapped, one left out, one doubled, or one replaced by its neighbour on a keyboard (by a
    swap, in other scripts). Numbers, formulas and code stay as they are.

    Args:
        text: Any text.
        share: Of the words, 0 to 1.
        key: Decides which words and which errors; the document's id and the seed.
        shielded: Spans that stay, in order.

    Example:
        >>> with_noise("The tower stands by the river.", 0.5, "a") != "The tower stands by the river."
        True
        >>> with_noise("The tower stands by the river.", 0.0, "a")
        'The tower stands by the river.'
    """
    if share <= 0:
        return text
    rng = random.Random(key)
    out, position, waiting = [], 0, list(reversed(shielded))
    for match in _WORD.finditer(text):
        chosen = rng.random() < share
        while waiting and waiting[-1][1] <= match.start():
            waiting.pop()
        if not chosen or (waiting and waiting[-1][0] < match.end()):
            continue
        out += [text[position : match.start()], _wrong(match[0], rng)]
        position = match.end()
    return "".join([*out, text[position:]])


def _wrong(word: str, rng: random.Random) -> str:
    """One error within a word; its first letter stays, as most typing errors leave it."""
    kind, place = rng.randrange(4), rng.randrange(1, len(word) - 1)
    before, letter, following, after = word[:place], word[place], word[place + 1], word[place + 2 :]
    if kind == 0 or (kind == 3 and letter == following):
        return before + following + after
    if kind == 1:
        return before + letter + letter + following + after
    beside = _NEIGHBOURS.get(letter.lower())
    if kind == 2 and beside:
        other = rng.choice(beside)
        return before + (other.upper() if letter.isupper() else other) + following + after
    return before + following + letter + after
