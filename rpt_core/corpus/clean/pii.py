"""Personal data: typed patterns, each proven by its checksum or its context, replaced by a typed mark.

Every type has a literal that must be there (an ``@``, a dot between digits, a country code), looked
for first; so text without any costs next to nothing. Formulas and code are shielded: long digit strings
in them pass a Luhn check one time in ten. Marks such as ``<EMAIL>`` are the same for every value, so the
result depends on the text alone.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from rpt_core.corpus.clean import pii_numbers as numbers
from rpt_core.corpus.clean.pii_addresses import is_ipv4, is_ipv6
from rpt_core.corpus.text.shield import cover

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
        numbers.by_check(numbers.is_iban),
    ),
    Recogniser(
        "CARD",
        re.compile(r"\d[ -]?\d{3,5}[ -]?\d{4}"),
        re.compile(r"\d(?<![\d.,/-]\d)[ -]?(?:\d[ -]?){10,17}\d(?![\d/-]|[.,]\d)"),
        numbers.is_card,
    ),
    Recogniser(
        "IP",
        re.compile(r"\.(?<=\d\.)\d{1,3}\.\d"),
        re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)"),
        is_ipv4,
    ),
    Recogniser(
        "IP",
        re.compile(r":(?:(?<=[0-9a-fA-F]:)[0-9a-fA-F:]*:|:[fF]{4}:)"),
        re.compile(
            r"(?<![\w:.])(?:[0-9a-fA-F]{1,4}|(?=::)):(?:[0-9a-fA-F]{0,4}:){1,6}"
            r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F]{0,4})(?:%\w{1,20})?(?!\w|:[\w:]|\.[0-9])"
        ),
        is_ipv6,
    ),
    Recogniser(
        "US_SSN",
        re.compile(r"\d\d\d[- ]\d\d[- ]\d{4}"),
        re.compile(rf"{_B}\d{{3}}([- ])\d\d\1\d{{4}}{_E}"),
        numbers.is_ssn,
    ),
    Recogniser(
        "NATIONAL_ID",
        re.compile(r"-(?<=\d{3}\.\d{3}\.\d{3}-)\d\d"),
        re.compile(rf"{_B}\d{{3}}\.\d{{3}}\.\d{{3}}-\d\d{_E}"),
        numbers.is_cpf,
    ),
    Recogniser(
        "NATIONAL_ID",
        re.compile(r"\d\d{6}[ -]?[A-Z]\b"),
        re.compile(rf"{_B}(?:\d{{8}}|[XYZ]\d{{7}})-?[A-HJ-NP-TV-Z]{_E}"),
        numbers.is_dni,
    ),
    Recogniser(
        "NATIONAL_ID",
        re.compile(r"\d\d{16}[\dXx]"),
        re.compile(rf"{_B}[1-9]\d{{16}}[\dXx]{_E}"),
        numbers.is_resident_id,
    ),
    Recogniser(
        "NATIONAL_ID",
        re.compile(r"\d(?<=[A-Z]{6}\d)\d[A-Z]"),
        re.compile(rf"{_B}[A-Z]{{6}}\d\d[A-EHLMPRST]\d\d[A-Z]\d{{3}}[A-Z]{_E}"),
        numbers.is_codice_fiscale,
    ),
    Recogniser(
        "NATIONAL_ID",
        re.compile(r"[12] ?\d\d ?[01]\d ?\d"),
        re.compile(rf"{_B}[12] ?\d\d ?(?:0[1-9]|1[0-2]) ?(?:\d\d|2[AB]) ?\d{{3}} ?\d{{3}} ?\d\d{_E}"),
        numbers.is_insee,
    ),
    Recogniser(
        "NATIONAL_ID",
        re.compile(r"\d(?:(?<=[A-Z]{2}\d)|(?<=[A-Z]{2} \d))\d ?\d\d ?\d\d ?[A-D]\b"),
        re.compile(rf"{_B}[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]{_E}"),
        numbers.is_nino,
    ),
    Recogniser(
        "NATIONAL_ID",
        re.compile(r"756\.\d{4}\.\d{4}\.\d\d"),
        re.compile(rf"{_B}756\.\d{{4}}\.\d{{4}}\.\d\d{_E}"),
        numbers.is_ahv,
    ),
    Recogniser(
        "NATIONAL_ID",
        re.compile(r"-(?<=\d{6}-)[0-9]{7}"),
        re.compile(rf"{_B}\d{{6}}-[1-8]\d{{6}}{_E}"),
        numbers.is_rrn,
    ),
    Recogniser(
        "NATIONAL_ID",
        re.compile(r"\d(?<=[A-Z]{4}\d)\d{5}[HM][A-Z]{5}"),
        re.compile(rf"{_B}[A-Z]{{4}}\d{{6}}[HM][A-Z]{{5}}[0-9A-Z]\d{_E}"),
        numbers.is_curp,
    ),
    Recogniser(
        "NATIONAL_ID",
        re.compile(r"-(?<=\d\.\d\d\.\d\d-)\d{3}\.\d\d"),
        re.compile(rf"{_B}\d\d\.\d\d\.\d\d-\d{{3}}\.\d\d{_E}"),
        numbers.is_rijksregister,
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
    lambda match, text: 8 <= len(numbers.digits_of(match[0])) <= 15,
)
"""Off unless the recipe asks: in encyclopaedic text most of what looks like one is none."""


@dataclass(frozen=True, slots=True)
class PiiSpan:
    """One value: its type and where it stands."""

    name: str
    start: int
    end: int


def find(text: str, phones: bool = False, shielded: list[tuple[int, int]] | None = None) -> list[PiiSpan]:
    """Every value of every type, in order; of overlapping ones the earlier, then the longer.

    Secrets are looked for in code too; nothing else is.
    """
    covered = cover(text, shielded)
    found: list[PiiSpan] = []
    for recogniser in (*RECOGNISERS, PHONE) if phones else RECOGNISERS:
        read = text if recogniser.name == "SECRET" else covered
        if recogniser.hint.search(read):
            found += [
                PiiSpan(recogniser.name, *match.span())
                for match in recogniser.pattern.finditer(read)
                if recogniser.check(match, read)
            ]
    found += [PiiSpan("NATIONAL_ID", *span) for span in numbers.named(covered)]
    return _disjoint(found)


def _disjoint(found: list[PiiSpan]) -> list[PiiSpan]:
    kept: list[PiiSpan] = []
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
