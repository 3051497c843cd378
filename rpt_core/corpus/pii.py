"""Personal data: typed patterns, each proven by its checksum where it has one, replaced by a typed mark.

Every type has a literal that must be there (an ``@``, a dot between digits, a country code), looked
for first; so text without any costs next to nothing. Formulas and code are shielded: long digit strings
in them pass a Luhn check one time in ten. Marks such as ``<EMAIL>`` are the same for every value, so the
result depends on the text alone.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from rpt_core.corpus.shield import cover

Check = Callable[[re.Match[str], str], bool]


@dataclass(frozen=True, slots=True)
class Recogniser:
    """One type of personal data."""

    name: str
    """The mark is ``<NAME>``."""
    hint: re.Pattern[str]
    """Must be met anywhere in the text, cheaply, before the pattern is tried. It begins with the rarest
    character it asks for, looking back for what stands before: the engine skips text to that one quickly."""
    pattern: re.Pattern[str]
    check: Check = lambda match, text: True


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def luhn(digits: str) -> bool:
    """The check digit of card numbers.

    Example:
        >>> luhn("4539578763621486"), luhn("4539578763621487")
        (True, False)
    """
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


_CARD_LENGTHS: dict[str, tuple[int, ...]] = {
    "1800": (15,), "2131": (15,), "34": (15,), "37": (15,), "30": (14, 16), "36": (14,), "38": (14,),
    "39": (14,),
    "35": (16, 17, 18, 19), "50": (12, 16), "56": (12, 16), "57": (12, 16), "58": (12, 16), "63": (12, 16),
    "67": (12, 16, 18, 19),
    "4": (13, 16, 19), "5": (16,), "2": (16,), "6": (16, 17, 18, 19),
}  # fmt: skip
"""First digits of the issuers, the longest prefix first, and how long their numbers are."""


def _is_card(match: re.Match[str], text: str) -> bool:
    digits = _digits(match[0])
    known = next((_CARD_LENGTHS[digits[:k]] for k in (4, 2, 1) if digits[:k] in _CARD_LENGTHS), ())
    return len(digits) in known and luhn(digits) and len(set(digits)) > 2


_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29,
    "BY": 28, "CH": 21,
    "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27,
    "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23,
    "IQ": 23, "IS": 26,
    "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21,
    "LY": 25, "MC": 27,
    "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28,
    "PS": 29, "PT": 25,
    "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25,
    "SV": 28, "TL": 23,
    "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip


def is_iban(text: str) -> bool:
    """Length by country and the checksum modulo 97.

    Example:
        >>> is_iban("DE89 3704 0044 0532 0130 00")
        True
    """
    compact = re.sub(r"[\s-]", "", text).upper()
    if _IBAN_LENGTHS.get(compact[:2]) != len(compact):
        return False
    moved = compact[4:] + compact[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


_VERSION_WORDS = re.compile(
    r"(?:(?<![a-z])(?:sections?|sec\.|chapter|clause|version|release|v|ver\.?|rfc|firmware|figure|fig\.|table|"
    r"appendix)|§|==|[<>~]=)\s*$",
    re.I,
)


def _is_address(match: re.Match[str], text: str) -> bool:
    """An IP address by its numbers; not a section or version number by the word before it."""
    if _VERSION_WORDS.search(text[max(0, match.start() - 16) : match.start()]):
        return False
    try:
        ipaddress.ip_address(match[0].split("%")[0])
    except ValueError:
        return False
    return match[0] not in ("0.0.0.0", "127.0.0.1", "255.255.255.255", "::", "::1")  # noqa: S104  (compared, not bound)


def _is_ssn(match: re.Match[str], text: str) -> bool:
    """A US social security number: areas and groups that were never given out are none."""
    area, group, serial = match[0].replace(" ", "-").split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _weighted(digits: str, weights: tuple[int, ...], modulus: int) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False)) % modulus


def _is_cpf(match: re.Match[str], text: str) -> bool:
    digits = _digits(match[0])
    for length in (9, 10):
        rest = _weighted(digits[:length], tuple(range(length + 1, 1, -1)), 11)
        if int(digits[length]) != (0 if rest < 2 else 11 - rest):
            return False
    return len(set(digits)) > 1


def _is_dni(match: re.Match[str], text: str) -> bool:
    number = match[0].upper().replace("-", "").replace(" ", "")
    body = number[:-1].replace("X", "0").replace("Y", "1").replace("Z", "2")
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(body) % 23] == number[-1]


def _is_pesel(match: re.Match[str], text: str) -> bool:
    """Poland: eleven digits with a date and a check digit; asked for with its name near by."""
    digits = match[0]
    near = text[max(0, match.start() - 40) : match.start()].lower()
    check = (10 - _weighted(digits[:10], (1, 3, 7, 9, 1, 3, 7, 9, 1, 3), 10)) % 10
    return "pesel" in near and check == int(digits[10]) and 1 <= int(digits[4:6]) <= 31


def _is_resident_id(match: re.Match[str], text: str) -> bool:
    """China: eighteen places, a date and a check character."""
    digits = match[0].upper()
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    dated = (
        1 <= int(digits[10:12]) <= 12 and 1 <= int(digits[12:14]) <= 31 and digits[6:8] in ("18", "19", "20")
    )
    return dated and "10X98765432"[_weighted(digits[:17], weights, 11)] == digits[17]


_ODD_PLACES = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (
            1,
            0,
            5,
            7,
            9,
            13,
            15,
            17,
            19,
            21,
            1,
            0,
            5,
            7,
            9,
            13,
            15,
            17,
            19,
            21,
            2,
            4,
            18,
            20,
            11,
            3,
            6,
            8,
            12,
            14,
            16,
            10,
            22,
            25,
            24,
            23,
        ),
        strict=True,
    )
)
"""Values of the characters at odd places of an Italian fiscal code."""


def _is_codice_fiscale(match: re.Match[str], text: str) -> bool:
    code = match[0]
    total = sum(
        _ODD_PLACES[c] if i % 2 == 0 else (int(c) if c.isdigit() else ord(c) - 65)
        for i, c in enumerate(code[:15])
    )
    return chr(65 + total % 26) == code[15]


def _is_insee(match: re.Match[str], text: str) -> bool:
    digits = re.sub(r"\s", "", match[0])
    number = digits[:-2].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and 97 - int(number) % 97 == int(digits[-2:])


def _is_nino(match: re.Match[str], text: str) -> bool:
    return match[0][:2].upper() not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


_B, _E = r"(?<![\w.@-])", r"(?![\w@-])"

RECOGNISERS: tuple[Recogniser, ...] = (
    Recogniser(
        "EMAIL",
        re.compile("@"),
        re.compile(
            r"(?<![\w.+%@-])[\w.+%'-]{1,64}(?<![.'])@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.){1,8}[A-Za-z]{2,24}(?![\w@])"
        ),
    ),
    Recogniser(
        "IBAN",
        re.compile(r"\d(?<=[A-Za-z]{2}\d)\d[ -]?[A-Za-z0-9]{4}"),
        re.compile(r"\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?\b", re.I),
        lambda match, text: is_iban(match[0]),
    ),
    Recogniser(
        "CARD",
        re.compile(r"\d[ -]?\d{3,5}[ -]?\d{4}"),
        re.compile(r"\d(?<![\d.,/-]\d)[ -]?(?:\d[ -]?){10,17}\d(?![\d/-]|[.,]\d)"),
        _is_card,
    ),
    Recogniser(
        "IP",
        re.compile(r"\.(?<=\d\.)\d{1,3}\.\d"),
        re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)"),
        _is_address,
    ),
    Recogniser(
        "IP",
        re.compile(r":(?<=[0-9a-fA-F]:)[0-9a-fA-F:]*:"),
        re.compile(
            r"(?<![\w:.])(?:[0-9a-fA-F]{1,4}:){2,7}(?::?[0-9a-fA-F]{1,4}){1,6}(?:%\w+)?(?![\w:])|"
            r"(?<![\w:])(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}(?![\w:])"
        ),
        lambda match, text: match[0].count(":") > 3 or ("::" in match[0] and _is_address(match, text)),
    ),
    Recogniser(
        "US_SSN",
        re.compile(r"\d\d\d[- ]\d\d[- ]\d{4}"),
        re.compile(rf"{_B}\d{{3}}([- ])\d\d\1\d{{4}}{_E}"),
        _is_ssn,
    ),
    Recogniser(
        "NATIONAL_ID",
        re.compile(r"-(?<=\d{3}\.\d{3}\.\d{3}-)\d\d"),
        re.compile(rf"{_B}\d{{3}}\.\d{{3}}\.\d{{3}}-\d\d{_E}"),
        _is_cpf,
    ),
    Recogniser(
        "NATIONAL_ID",
        re.compile(r"\d\d{6}[ -]?[A-Z]\b"),
        re.compile(rf"{_B}(?:\d{{8}}|[XYZ]\d{{7}})-?[A-HJ-NP-TV-Z]{_E}"),
        _is_dni,
    ),
    Recogniser("NATIONAL_ID", re.compile("PESEL|pesel|Pesel"), re.compile(rf"{_B}\d{{11}}{_E}"), _is_pesel),
    Recogniser(
        "NATIONAL_ID",
        re.compile(r"\d\d{16}[\dXx]"),
        re.compile(rf"{_B}[1-9]\d{{16}}[\dXx]{_E}"),
        _is_resident_id,
    ),
    Recogniser(
        "NATIONAL_ID",
        re.compile(r"\d(?<=[A-Z]{6}\d)\d[A-Z]"),
        re.compile(rf"{_B}[A-Z]{{6}}\d\d[A-EHLMPRST]\d\d[A-Z]\d{{3}}[A-Z]{_E}"),
        _is_codice_fiscale,
    ),
    Recogniser(
        "NATIONAL_ID",
        re.compile(r"[12] ?\d\d ?[01]\d ?\d"),
        re.compile(rf"{_B}[12] ?\d\d ?(?:0[1-9]|1[0-2]) ?(?:\d\d|2[AB]) ?\d{{3}} ?\d{{3}} ?\d\d{_E}"),
        _is_insee,
    ),
    Recogniser(
        "NATIONAL_ID",
        re.compile(r"\d(?:(?<=[A-Z]{2}\d)|(?<=[A-Z]{2} \d))\d ?\d\d ?\d\d ?[A-D]\b"),
        re.compile(rf"{_B}[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]{_E}"),
        _is_nino,
    ),
    Recogniser(
        "SECRET",
        re.compile(r"AKIA|ASIA|gh[pousr]_|xox[baprs]-|AIza|sk-|PRIVATE KEY|eyJ"),
        re.compile(
            r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36,255}\b|"
            r"\bxox[baprs]-[A-Za-z0-9-]{10,250}\b|"
            r"\bAIza[0-9A-Za-z_-]{35}\b|\bsk-(?:proj-)?[A-Za-z0-9_-]{32,200}\b|"
            r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\S]{1,8000}?-----END [A-Z ]{0,30}PRIVATE KEY-----|"
            r"\beyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,2000}"
        ),
    ),
)
PHONE = Recogniser(
    "PHONE",
    re.compile(r"\+\d|\(\d{2,4}\)|\d{3}[-. ]\d{3}[-. ]\d{4}"),
    re.compile(
        r"(?<![\w.+-])(?:\+\d{1,3}[ .-]?(?:\(?\d{1,4}\)?[ .-]?){2,5}\d{2,4}|\(\d{3}\) "
        r"?\d{3}-\d{4}|\d{3}[-.]\d{3}[-.]\d{4})(?![\w-])"
    ),
    lambda match, text: 8 <= len(_digits(match[0])) <= 15,
)
"""Off unless the recipe asks: in encyclopaedic text most of what looks like one is none."""


@dataclass(frozen=True, slots=True)
class Found:
    """One value: its type and where it stands."""

    name: str
    start: int
    end: int


def find(text: str, phones: bool = False, shielded: list[tuple[int, int]] | None = None) -> list[Found]:
    """Every value of every type, in order; of overlapping ones the earlier, then the longer.

    Secrets are looked for in code too; nothing else is.
    """
    covered = cover(text, shielded)
    found: list[Found] = []
    for recogniser in (*RECOGNISERS, PHONE) if phones else RECOGNISERS:
        read = text if recogniser.name == "SECRET" else covered
        if recogniser.hint.search(read):
            found += [
                Found(recogniser.name, *match.span())
                for match in recogniser.pattern.finditer(read)
                if recogniser.check(match, read)
            ]
    return _disjoint(found)


def _disjoint(found: list[Found]) -> list[Found]:
    kept: list[Found] = []
    for value in sorted(found, key=lambda value: (value.start, -value.end)):
        if not kept or value.start >= kept[-1].end:
            kept.append(value)
    return kept


def mask(
    text: str, phones: bool = False, shielded: list[tuple[int, int]] | None = None
) -> tuple[str, dict[str, int]]:
    """The text with every value replaced by its type's mark, and how many of each type there were.

    Example:
        >>> mask("Write to ada@example.org, card 4539 5787 6362 1486.")
        ('Write to <EMAIL>, card <CARD>.', {'CARD': 1, 'EMAIL': 1})
    """
    values = find(text, phones, shielded)
    if not values:
        return text, {}
    out, position = [], 0
    for value in values:
        out += [text[position : value.start], f"<{value.name}>"]
        position = value.end
    counts = Counter(value.name for value in values)
    return "".join([*out, text[position:]]), dict(sorted(counts.items()))
