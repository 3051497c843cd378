"""Templates of a name nobody knows: what they stand for is told by their form.

A formula stays. A number at the beginning stays, with its unit. Inside a sentence readable arguments stay.
What stands alone on its lines is a box and vanishes.
"""

import re
from collections.abc import Callable

from rpt_core.corpus.text.pieces import KEEP
from rpt_core.corpus.wiki import dates, numbers
from rpt_core.corpus.wiki.calls import Call

_FORMULA_ARGUMENTS = frozenset({
    "equation", "eq", "eqn", "formula", "formel", "fórmula", "math", "content", "contents", "text",
    "statement", "proof", "body", "inhalt", "1", "2", "3", "4", "titre", "texte", "contenu", "ecuación",
    "ecuacion", "title",
})  # fmt: skip
"""Arguments that may hold a formula."""


def unnamed(call: Call, in_sentence: Callable[[], bool]) -> str:
    """What it stands for, by its form.

    Args:
        call: The template.
        in_sentence: Whether words stand beside it on its line.
    """
    if any(KEEP in arg for arg in (*call.args, *call.named.values())):
        return _with_formula(call)
    if not call.texts or not in_sentence():
        return ""
    if numbers.NUMBER.match(call.texts[0]):
        return _quantity(call)
    readable = [text for text in call.texts if _is_readable(text)]
    shown = dict.fromkeys([text for text in readable if not _CODE.fullmatch(text)] or readable)
    return ", ".join(shown) or next((call.named[key] for key in _SHOWN if call.named.get(key)), "")


_SHOWN = ("text", "label", "texte", "texto", "testo", "tekst", "content", "name", "title")


def _with_formula(call: Call) -> str:
    held = [arg for arg in call.args if KEEP in arg]
    held += [text for name, text in call.named.items() if KEEP in text and name in _FORMULA_ARGUMENTS]
    return " ".join(held)


def _quantity(call: Call) -> str:
    """A number and what may be its unit, ``{{birim|5|km}}``; of three numbers that are a day, the day."""
    texts = call.texts
    if (
        len(texts) >= 3
        and all(text.isdecimal() for text in texts[:3])
        and {len(texts[0]), len(texts[2])} & {4}
    ):
        return dates.date_of(texts[:3], call.lang)
    whole = numbers.NUMBER.fullmatch(texts[0])
    if whole and len(texts) > 1 and _UNIT.fullmatch(texts[1]):
        return numbers.measure(call)
    return texts[0]


_UNIT = re.compile(r"[^\W\d_°%]{0,14}[°%′″]?[^\W\d_]{0,14}[23²³]?(?:[/·⋅. ][^\W\d_]{1,14}[23²³]?){0,2}")
_CODE = re.compile(
    r"[a-z]{2}(?:-[a-z]{2,8})?|grc|ang|gsw|nds|rus|eng|deu|ger|fra|fre|spa|ita|por|zho|jpn|ara|lat|pol|nld|swe|ukr|vie"
)
"""What may be the code of a language, where other words stand beside it."""
_UNREADABLE = re.compile(
    r"(?:https?:|//|www\.)|[^ ]{0,300}\.(?:jpe?g|png|svg|gif|og[gav]|webm|mp3|mid|wav|pdf|djvu)$|#\w{1,100}$|"
    r"\w{1,60}[-_:]\w{0,60}$(?<=\d)|(?:left|right|center|none|yes|no|on|off|y|n|thumb|small|nolink|link)$",
    re.IGNORECASE,
)


def _is_readable(text: str) -> bool:
    """Whether an argument is words a reader may see: no address, file, code or switch."""
    return any(map(str.isalpha, text)) and not _UNREADABLE.match(text)
