"""Numbers as a language edition writes them, and the templates and parser functions that make them."""

import re
from typing import Final

from rpt_core.corpus.wiki.calls import Call

_COMMA: Final = (",", ".")
_DOT: Final = (".", ",")
_BLANK: Final = (" ", ",")
MARKS: dict[str, tuple[str, str]] = dict.fromkeys(["de", "nl", "vi", "da", "tr", "id", "el", "ro", "ca",
"sr", "hr", "sl", "gl", "eu", "is"], _DOT) | dict.fromkeys(
    ["fr", "es", "it", "pt", "ru", "pl", "sv", "uk", "cs", "sk", "no", "nb", "nn", "fi", "hu", "bg", "be",
    "et", "lv", "lt", "eo", "kk", "hy", "ka", "af", "sq"], _BLANK
) | {"ar": ("٬", "٫"), "fa": ("٬", "٫")}  # fmt: skip
"""Language -> what stands between thousands, and before the fraction (MediaWiki's separatorTransformTable);
others as in English."""
UNGROUPED_THOUSANDS = frozenset(["es", "pt", "pl", "bg", "hu", "sl", "eu"])
"""Editions that group from five digits on (minimumGroupingDigits 2)."""
_INDIAN = frozenset(["hi", "bn", "mr", "ta", "te", "gu", "kn", "ml", "pa", "ne"])
_PLAIN = re.compile(r"([-−+]?)(\d+)(\.\d+)?([eE][-+]?\d+)?")
NUMBER = re.compile(r"[-−–+±~≈<>≤≥]?\s?\d[\d.,’' \u00a0\u202f٬٫]*(?:\s?[-–/×]\s?\d[\d.,]*)?")
"""What a person writes as a number, in any edition."""


def marks(lang: str) -> tuple[str, str]:
    """What stands between thousands, and before the fraction.

    Example:
        >>> marks("de"), marks("ja")
        (('.', ','), (',', '.'))
    """
    return MARKS.get(lang, _COMMA)


def grouped(number: str, lang: str) -> str:
    """A plain number as an edition shows it; anything else as it is.

    Example:
        >>> grouped("12345.6", "de"), grouped("1234", "es"), grouped("1234567", "hi"), grouped("12-13", "en")
        ('12.345,6', '1234', '12,34,567', '12-13')
    """
    match = _PLAIN.fullmatch(number.strip())
    if not match:
        return number.strip()
    between, point = marks(lang)
    sign, whole, rest, exponent = match[1], match[2], match[3] or "", match[4] or ""
    if len(whole) > 4 or (len(whole) == 4 and lang not in UNGROUPED_THOUSANDS):
        whole = between.join(_groups(whole, 2 if lang in _INDIAN else 3))
    return f"{sign}{whole}{point if rest else ''}{rest[1:]}{exponent}"


def _groups(digits: str, size: int) -> list[str]:
    """Three digits last, and groups of a size before them."""
    head, tail = digits[:-3], digits[-3:]
    starts = range(len(head) % size, len(head), size)
    return [
        part for part in (head[: len(head) % size], *(head[at : at + size] for at in starts), tail) if part
    ]


def plain(number: str, lang: str) -> str:
    """The number without an edition's marks, its fraction after a dot.

    Example:
        >>> plain("12.345,6", "de")
        '12345.6'
    """
    between, point = marks(lang)
    bare = re.sub(r"(?<=\d)[\s\u202f](?=\d)", "", number.strip()).replace(between, "")
    return bare.replace(point, ".").replace("−", "-")


def format_number(call: Call) -> str:
    """``{{formatnum:..}}`` and the templates named after it, with their switches ``R`` and ``NOSEP``."""
    number = call.arg(0)
    switch = call.arg(1).upper()
    if switch == "R":
        return plain(number, call.lang)
    if switch == "NOSEP":
        return number.replace(".", marks(call.lang)[1])
    return grouped(number, call.lang)


def value(call: Call) -> str:
    """``{{val|1.2|+0.3|-0.2|e=6|u=kg}}``: the number, its errors, the power of ten and the unit.

    Example:
        >>> value(Call("val", ("1.2", "+0.3", "-0.2"), {"e": "6", "u": "kg"}))
        '(1.2 +0.3/−0.2)×10^6 kg'
    """
    as_given = call.lang == "en" and "fmt" not in call.named
    shown = call.arg(0) if as_given else grouped(call.arg(0), call.lang)
    up, down = (arg if _is_error(arg) else "" for arg in (call.arg(1), call.arg(2)))
    if up and down:
        shown += f" {_signed(up, '+')}/{_signed(down, '−')}"
    elif up.startswith("("):
        shown += up
    elif up:
        shown += f"±{up.lstrip('±')}"
    power = call.named.get("e") or call.named.get("10", "")
    if power and up and not up.startswith("("):
        shown = f"({shown})"
    if power:
        shown = f"{shown}×10^{power}" if shown else f"10^{power}"
    unit = scripts(call.first_of("u", "ul", "up", "upl", "unit", "unité"))
    if not unit and not up:
        unit = scripts(call.arg(1))
    per = " per " if call.first_of("up", "upl") and not call.first_of("u", "ul") else " "
    end = call.first_of("end", "s")
    return f"{call.named.get('p', '')}{shown}{end}{per if unit else ''}{unit}".strip()


def _is_error(arg: str) -> bool:
    return bool(re.match(r"[(±+\-−–]?\s?\d", arg))


def _signed(error: str, sign: str) -> str:
    return error.replace("-", "−") if error[0] in "+-−" else f"{sign}{error}"


def scripts(unit: str) -> str:
    """A unit's powers raised: ``m/s2`` is m/s², ``m-3`` is m⁻³."""
    return re.sub(r"(?<=[A-Za-zµ])(-?[23])(?![\w.])", lambda m: m[1].translate(RAISED), unit)


RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def fraction(call: Call) -> str:
    """``{{frac|3|1|4}}`` is 3 1/4, ``{{frac|7}}`` is 1/7; ``{{1/2}}`` is its own name."""
    if re.fullmatch(r"\d{1,6}/\d{1,6}", call.name):
        return _apart(call, call.name)
    match call.texts:
        case (below,):
            return _apart(call, f"1/{_term(below)}")
        case (above, below):
            return _apart(call, f"{_term(above)}/{_term(below)}")
        case (whole, above, below, *_):
            return f"{whole} {_term(above)}/{_term(below)}"
    return ""


def _term(text: str) -> str:
    """One side of a fraction, in brackets where it is more than one term."""
    return f"({text})" if re.search(r"\w\s*[-+−]\s*\w", text) else text


def _apart(call: Call, shown: str) -> str:
    """A fraction after a whole number is the rest of it: 6 1/2."""
    return f" {shown}" if call.before.isdigit() else shown


def power_of_ten(call: Call) -> str:
    """``5.98{{e|24}}`` is 5.98×10^24; after no number the power alone."""
    times = "×" if call.before.isdigit() or call.before in (")", "]") else ""
    return f"{times}10^{call.arg(0)}" if call.arg(0) else ""


def ten_to_the(call: Call) -> str:
    """``{{10^|3}}`` is 10^3."""
    return f"10^{call.arg(0)}" if call.arg(0) else ""


def ordinal(call: Call) -> str:
    """``{{ordinal|22}}`` is 22nd."""
    number = call.arg(0)
    if not number.isdecimal():
        return number
    ending = {"1": "st", "2": "nd", "3": "rd"}.get(number[-1], "th")
    return number + ("th" if number[-2:] in ("11", "12", "13") else ending)


def root(call: Call) -> str:
    """``{{sqrt|2}}`` is √2; a radicand of several terms stands in brackets."""
    inner, index = call.arg(0), call.arg(1)
    if not inner:
        return "√"
    shown = inner if re.fullmatch(r"[\w.']+", inner) else f"({inner})"
    return f"{f'^{index}' if index else ''}√{shown}"


def measure(call: Call) -> str:
    """A number and its unit with powers: ``{{unité|5|kg||m|-3}}`` is 5 kg⋅m⁻³, ``{{M|76|k|m}}`` 76 km."""
    number, *rest = (*call.args, "") if call.args else (call.arg(0), call.arg(1), call.arg(2))
    shown = _written(number, call.lang)
    if power := call.first_of("e", "10"):
        shown += f"×10^{power}"
    unit = call.first_of("u", "ul", "unité", "unidad", "unità", "unidade") or _units(rest)
    return f"{shown} {scripts(unit)}".strip() if shown else scripts(unit)


def _units(rest: list[str]) -> str:
    """Units with the powers that follow them; an SI prefix joins the unit after it."""
    out: list[str] = []
    prefix = ""
    for arg in rest[:12]:
        if re.fullmatch(r"[-−]?\d{1,2}", arg) and out:
            out[-1] += arg.replace("−", "-").translate(RAISED)
        elif arg in _PREFIXES and not prefix and not out and len([a for a in rest if a]) > 1:
            prefix = arg
        elif arg:
            out.append(prefix + arg)
            prefix = ""
    return "⋅".join(out)


_PREFIXES = frozenset(["k", "M", "G", "T", "P", "c", "m", "µ", "μ", "n", "p", "d", "h", "da"])


def _written(number: str, lang: str) -> str:
    """A plain number grouped; one a person has grouped already stays."""
    return grouped(number, lang) if re.fullmatch(r"[-−+]?\d+(\.\d+)?", number) else number


def gaps(call: Call) -> str:
    """``{{gaps|1|234|567}}``: digits in groups; a unit may follow by name."""
    unit = call.first_of("u", "ul")
    power = f"×10^{call.named['e']}" if call.named.get("e") else ""
    return f"{' '.join(call.args)}{power} {unit}".strip()
