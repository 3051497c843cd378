"""Numbers that identify a person or an account: proven by checksum, and by their name where that is too weak.

Checksums, dates and places inside numbers are those of python-stdnum. A number whose form and check digit any
tenth serial number has is believed only near its name ("PESEL 44051401359").
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stdnum import iban, luhn
from stdnum.at import vnr
from stdnum.au import tfn
from stdnum.be import nn
from stdnum.bg import egn
from stdnum.br import cpf
from stdnum.ca import sin
from stdnum.ch import ssn as ahv
from stdnum.cl import rut
from stdnum.cn import ric
from stdnum.cz import rc
from stdnum.de import idnr
from stdnum.dk import cpr
from stdnum.ee import ik
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.gr import amka
from stdnum.hr import oib
from stdnum.il import idnr as teudat_zehut
from stdnum.in_ import aadhaar
from stdnum.it import codicefiscale
from stdnum.kr import rrn
from stdnum.lt import asmens
from stdnum.mx import curp
from stdnum.nl import bsn
from stdnum.no import fodselsnummer
from stdnum.pl import pesel
from stdnum.ro import cnp
from stdnum.se import personnummer
from stdnum.tr import tckimlik
from stdnum.za import idnr as za_idnr

BEFORE, AFTER = 40, 24
"""Characters before and after a number in which its name counts as near."""


def digits_of(text: str) -> str:
    """Its decimal digits, of whatever script, as ASCII; ``²`` is none.

    Example:
        >>> digits_of("٤٥ 39-²")
        '4539'
    """
    return "".join(str(unicodedata.decimal(character)) for character in text if character.isdecimal())


def near(match: re.Match[str], text: str, words: re.Pattern[str], after: int = AFTER) -> bool:
    """Whether one of these words stands near a number; behind it, in the same clause."""
    start, end = match.span()
    before, behind = text[max(0, start - BEFORE) : start], text[end : end + after]
    return bool(
        words.search(re.split(r"[;\n]", before)[-1]) or words.search(re.split(r"[,;.:\n]", behind)[0])
    )


_CARD_LENGTHS: dict[str, tuple[int, ...]] = {
    "1800": (15,), "2131": (15,), "34": (15,), "37": (15,), "30": (14, 16), "36": (14,), "38": (14,),
    "39": (14,),
    "35": (16, 17, 18, 19), "50": (12, 16), "56": (12, 16), "57": (12, 16), "58": (12, 16), "63": (12, 16),
    "67": (12, 16, 18, 19),
    "4": (13, 16, 19), "5": (16,), "2": (16,), "6": (16, 17, 18, 19),
}  # fmt: skip
"""First digits of the issuers, the longest prefix first, and how long their numbers are."""
_CARD_WORDS = re.compile(
    r"card|\bcc\b|credit|debit|visa|karte|carte|tarjeta|carta|cart[ãa]o|карт|卡|カード|بطاقة", re.I
)
_OTHER_NUMBERS = re.compile(
    r"\b(?:OCLC|ISBN|ISSN|ISNI|ORCID|EAN|UPC|GTIN|DOI|arXiv|PMID|IMEI|barcode|timestamp)\W{0,3}(?:no\W{0,2}|number\W)?\Z",
    re.I,
)


def is_card(match: re.Match[str], text: str) -> bool:
    """A payment card's number: issuer, length, Luhn's check digit, and no other number's name before it.

    Of 13 digits are the codes under bars as well, so such a number asks for a word like "card" near it.
    """
    digits = digits_of(match[0])
    known = next((_CARD_LENGTHS[digits[:k]] for k in (4, 2, 1) if digits[:k] in _CARD_LENGTHS), ())
    if len(digits) not in known or len(set(digits)) < 3 or not luhn.is_valid(digits):
        return False
    if _OTHER_NUMBERS.search(text[max(0, match.start() - 24) : match.start()]):
        return False
    return len(digits) != 13 or near(match, text, _CARD_WORDS)


def is_iban(text: str) -> bool:
    """Country, length, form of the account's number and the checksum modulo 97.

    Example:
        >>> is_iban("DE89 3704 0044 0532 0130 00")
        True
    """
    return iban.is_valid(text, check_country=False)


_SSN_WORDS = re.compile(r"\bssns?\b|social[ -]security|\bss ?(?:#|no\b|number)|taxpayer|\bitin\b", re.I)


def is_ssn(match: re.Match[str], text: str) -> bool:
    """A US social security number of an area, group and serial that are given out.

    With blanks instead of hyphens it is any three numbers, unless its name is near.
    """
    area, group, serial = re.split("[ -]", match[0])
    given = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
    return given and ("-" in match[0] or near(match, text, _SSN_WORDS))


def is_cpf(match: re.Match[str], text: str) -> bool:
    """Brazil: two check digits."""
    return len(set(digits_of(match[0]))) > 1 and cpf.is_valid(match[0])


def is_dni(match: re.Match[str], text: str) -> bool:
    """Spain, nationals and foreigners: a check letter."""
    return dni.is_valid(match[0]) or nie.is_valid(match[0])


def is_resident_id(match: re.Match[str], text: str) -> bool:
    """China: a place, a date from 1800 on and a check character."""
    return match[0][6:8] in ("18", "19", "20") and ric.is_valid(match[0])


def is_codice_fiscale(match: re.Match[str], text: str) -> bool:
    """Italy: a date and a check letter."""
    return codicefiscale.is_valid(match[0])


def is_insee(match: re.Match[str], text: str) -> bool:
    """France: a key modulo 97."""
    return nir.is_valid(match[0])


def by_check(valid: Callable[[str], bool]) -> Callable[[re.Match[str], str], bool]:
    """What a number's form and check digits prove, as a check of a recogniser."""
    return lambda match, text: valid(match[0])


is_ahv, is_rrn, is_curp, is_rijksregister = map(
    by_check, (ahv.is_valid, rrn.is_valid, curp.is_valid, nn.is_valid)
)

_NINO_WORDS = re.compile(r"\bninos?\b|national insurance|\bn\.?i\.? ?(?:no|number|#)", re.I)


def is_nino(match: re.Match[str], text: str) -> bool:
    """United Kingdom: has no check digit, so it needs its name; some prefixes were never given out."""
    prefix = match[0][:2].upper()
    return prefix not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ") and near(match, text, _NINO_WORDS)


@dataclass(frozen=True, slots=True)
class LabelledNumber:
    """A kind of number that is believed near its name alone."""

    words: str
    """Its names, as a pattern without regard to case."""
    form: re.Pattern[str]
    valid: Callable[[str], bool]


def _form(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.@-])(?:{pattern})(?![\w@-])")


_ELEVEN, _TEN = _form("[0-9]{11}"), _form("[0-9]{10}")
NAMED: tuple[LabelledNumber, ...] = (
    LabelledNumber(r"pesel", _ELEVEN, pesel.is_valid),
    LabelledNumber(r"\bnhs\b", _form(r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}"), nhs.is_valid),
    LabelledNumber(
        r"steuer-?id|identifikationsnummer|\bidnr\b",
        _form(r"[0-9]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}"),
        idnr.is_valid,
    ),
    LabelledNumber(r"\bbsn\b|burgerservicenummer|sofinummer", _form("[0-9]{9}"), bsn.is_valid),
    LabelledNumber(
        r"personnummer|samordningsnummer", _form(r"[0-9]{6}(?:[0-9]{2})?[-+]?[0-9]{4}"), personnummer.is_valid
    ),
    LabelledNumber(r"f[øo]dselsnummer|personnummer", _form(r"[0-9]{6} ?[0-9]{5}"), fodselsnummer.is_valid),
    LabelledNumber(r"\bcpr\b|personnummer", _form(r"[0-9]{6}-?[0-9]{4}"), cpr.is_valid),
    LabelledNumber(r"\bhetu\b|henkil[öo]tunnus", _form(r"[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-Y]"), hetu.is_valid),
    LabelledNumber(r"\bsvnr\b|sozialversicherungsnummer", _form(r"[0-9]{4} ?[0-9]{6}"), vnr.is_valid),
    LabelledNumber(r"\bcnp\b|cod numeric", _form("[0-9]{13}"), cnp.is_valid),
    LabelledNumber(r"\begn\b|\bегн\b", _TEN, egn.is_valid),
    LabelledNumber(r"rodn[ée] [čc][íi]slo|\br\.? ?č\.", _form(r"[0-9]{6}/?[0-9]{3,4}"), rc.is_valid),
    LabelledNumber(r"\boib\b", _ELEVEN, oib.is_valid),
    LabelledNumber(r"\bamka\b|\bαμκα\b", _ELEVEN, amka.is_valid),
    LabelledNumber(r"isikukood", _ELEVEN, ik.is_valid),
    LabelledNumber(r"asmens kodas", _ELEVEN, asmens.is_valid),
    LabelledNumber(r"teudat zehut|תעודת זהות|ת\.? ?ז", _form("[0-9]{8,9}"), teudat_zehut.is_valid),
    LabelledNumber(r"kimlik", _ELEVEN, tckimlik.is_valid),
    LabelledNumber(r"aadhaa?r|आधार", _form(r"[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}"), aadhaar.is_valid),
    LabelledNumber(r"social insurance|\bsin\b", _form(r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{3}"), sin.is_valid),
    LabelledNumber(r"identity (?:number|no)|\bid (?:number|no)", _form("[0-9]{13}"), za_idnr.is_valid),
    LabelledNumber(r"\brut\b|\brun\b", _form(r"[0-9]{1,2}\.?[0-9]{3}\.?[0-9]{3}-[0-9kK]"), rut.is_valid),
    LabelledNumber(r"tax file|\btfn\b", _form(r"[0-9]{3} ?[0-9]{3} ?[0-9]{3}"), tfn.is_valid),
)
"""Numbers of digits alone, most of them with one check digit."""
_NAMES = [re.compile(kind.words, re.I) for kind in NAMED]
_ANY_NAME = re.compile("|".join(kind.words for kind in NAMED), re.I)
_LONG = re.compile(r"[0-9](?:[ ./+-]?[0-9]){6}")
"""Seven digits, as every one of them begins."""


def named(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of every number of :data:`NAMED` whose name stands up to 40 characters before it.

    Example:
        >>> list(named("His BSN is 111222333. In the shop lies the part 111222333."))
        [(11, 20)]
    """
    looked = 0
    for match in _LONG.finditer(text):
        start = match.start()
        window = text[max(0, start - BEFORE) : start]
        if start < looked or not _ANY_NAME.search(window):
            continue
        for kind, names in zip(NAMED, _NAMES, strict=True):
            found = kind.form.match(text, start)
            if found and names.search(window) and kind.valid(found[0]):
                yield found.span()
                looked = found.end()
                break
