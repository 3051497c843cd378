# ruff: noqa: SIM905  (word lists read better as text)
r"""Units and percent signs at the end of an answer, currencies before it.

A unit is what follows a number: upright text (``\text{cm}``), a known unit (``km/h``), or a plain noun
(``333 bags``). Single italic letters are variables. Words that change the number (*million*, *squared*,
*less*) are no units.
"""

import re
from dataclasses import dataclass

from rpt_core.objectives.problems.answers.expression import FUNCTIONS
from rpt_core.objectives.problems.answers.tokens import Token, Tokens

_ALIASES = {
    name: short
    for short, names in {
        "m": "meter metre", "cm": "centimeter centimetre", "mm": "millimeter millimetre",
        "km": "kilometer kilometre", "in": "inch inche", "ft": "foot feet", "yd": "yard", "mi": "mile",
        "g": "gram gramme", "kg": "kilogram kilo kilogramme", "mg": "milligram", "lb": "pound lbs",
        "oz": "ounce", "s": "second sec", "min": "minute", "h": "hour hr", "ms": "millisecond", "d": "day",
        "year": "yr",  "week": "wk", "month": "mo",
        "l": "liter litre L", "ml": "milliliter millilitre mL", "N": "newton", "J": "joule",
        "kJ": "kilojoule",
        "W": "watt", "kW": "kilowatt", "V": "volt", "A": "ampere amp", "ohm": "Ohm Omega", "Hz": "hertz",
        "Pa": "pascal", "K": "kelvin", "deg": "degree °", "rad": "radian", "dollar": "$ usd USD",
        "euro": "€ EUR", "cent": "¢", "pound sterling": "£ GBP", "yen": "¥ JPY", "unit": "",
        "mi/h": "mph", "eV": "", "MeV": "", "keV": "", "nm": "nanometer nanometre", "mol": "mole",
        "km/h": "kph kmh",
        "rpm": "", "dB": "", "GHz": "", "MHz": "", "kHz": "", "kPa": "", "atm": "", "erg": "", "AU": "",
        "pc": "",
        "times": "time", "c": "celsius centigrade", "f": "fahrenheit",
    }.items()
    for name in [short, *names.split()]
}  # fmt: skip
_NO_UNITS = frozenset(
    "hundred thousand million billion trillion dozen score half halve third quarter fourth fifth squared "
    "cubed factorial more less fewer not no mod modulo base plus minus over or and of is are to through than "
    "about approximately sqrt pi infinity point root power raised divided multiplied choose both either "
    "neither nor but except if when where otherwise any all none only with without for from by twice double "
    "triple gross up off each".split()
)
_PREFIXES = frozenset("square sq cubic cu".split())
_CURRENCIES = frozenset("$€£¥")
_VOWEL = re.compile("[aeiouy]", re.I)


@dataclass(frozen=True, slots=True)
class Marked:
    """An answer without its unit."""

    tokens: Tokens
    unit: str = ""
    percent: bool = False


def split_unit(tokens: Tokens) -> Marked:
    r"""Take a unit, a percent sign or a currency off an answer.

    Example:
        >>> from rpt_core.objectives.problems.answers.tokens import tokenize
        >>> split_unit(tokenize(r"15\text{ square meters}")).unit, split_unit(tokenize("12\\%")).percent
        ('m^2', True)
        >>> split_unit(tokenize("12 million")).unit
        ''
    """
    money, rest = _currency(tokens)
    begun = _unit_start(rest)
    if begun is None or begun == 0:
        return Marked(rest, money)
    tail = rest[begun:]
    texts = [token.text for token in tail]
    if texts[-1].lower() in _PREFIXES:
        return Marked(tokens)
    if texts in (["%"], ["percent"], ["per", "cent"], ["pct"]):
        return Marked(rest[:begun], money, percent=True)
    unit = _canonical(tail)
    if money and unit and unit != money:
        return Marked(tokens)
    return Marked(rest[:begun], unit or money)


def italic_unit(tokens: Tokens) -> Marked | None:
    """``5 m/s``: a number and unit symbols, each of which may as well be a variable.

    Returns:
        None where something else than symbols of units follows the number.
    """
    begun = next((at for at, token in enumerate(tokens) if token.is_word), 0)
    tail = tokens[begun:]
    known = all(
        token.text in _ALIASES
        if token.is_word
        else token.text in ("/", "^", "{", "}", "-", r"\cdot") or (token.is_number and before.text in "^{-")
        for before, token in zip(tokens[begun - 1 :], tail, strict=False)
    )
    return Marked(tokens[:begun], _canonical(tail)) if begun and known else None


def _currency(tokens: Tokens) -> tuple[str, Tokens]:
    """``$18``, ``-$18`` and ``18$``."""
    sign = tokens[:1] if tokens and tokens[0].text in "+-" else ()
    rest = tokens[len(sign) :]
    if rest and rest[0].text in _CURRENCIES and len(rest) > 1:
        return _ALIASES[rest[0].text], sign + rest[1:]
    return "", tokens


def _unit_start(tokens: Tokens) -> int | None:
    """Where the unit at the end begins; None without one."""
    if tokens and tokens[-1].text in _CURRENCIES | {"%", "°"}:
        return len(tokens) - 1
    begun = None
    for at in range(len(tokens) - 1, max(len(tokens) - 14, 0), -1):
        token = tokens[at]
        if token.text == "°":
            begun = at
        elif token.is_word:
            if not _is_unit_word(token, tokens[at - 1]):
                return None if token.text.lower() in _NO_UNITS else begun
            begun = at
        elif not (token.is_number or token.text in ("^", "{", "}", "-", "/", r"\cdot", "(", ")", ".")) or (
            token.is_number and tokens[at - 1].text not in ("^", "{", "-")
        ):
            break
    return begun


def _is_unit_word(token: Token, before: Token) -> bool:
    text = token.text
    if text.lower() in _NO_UNITS or text.lower().rstrip("s") in _NO_UNITS or text in FUNCTIONS:
        return False
    if token.upright:
        return text not in ("e", "i", "d")
    if len(text) == 1:
        degrees = before.text in ("°", "degree", "degrees") and text in "CF"
        return before.text == "/" or degrees or (text == "a" and before.is_word)
    if text in _ALIASES or text in _PREFIXES or text in ("percent", "pct", "per", "an"):
        return True
    if len(text) > 2 and text.removesuffix("s") in _ALIASES:
        return True
    return (
        len(text) > 2 and (token.gap or before.text == "/") and bool(_VOWEL.search(text)) and text != "cent"
    )


def _canonical(tail: Tokens) -> str:
    """One spelling of a unit: short names, no plural, powers after ``^``, ``/`` for *per*."""
    texts: list[str] = []
    raised = ""
    for token in tail:
        if token.text in ("{", "}", "(", ")", ".", r"\cdot"):
            continue
        lowered = token.text.lower()
        if lowered in _PREFIXES:
            raised = "^2" if lowered.startswith("sq") else "^3"
            continue
        name = _ALIASES.get(token.text) or _ALIASES.get(token.text.removesuffix("s"))
        name = name or _ALIASES.get(lowered) or _ALIASES.get(lowered.removesuffix("s"))
        if lowered == "per" or (lowered in ("a", "an") and texts):
            name = "/"
        if name is None:
            name = lowered.removesuffix("s") if token.is_word else token.text
        if texts and token.is_word and name != "/" and texts[-1] != "/":
            texts.append(" ")
        texts.append(name + raised)
        raised = ""
    return "".join(texts)
