"""Dates of templates, in the words of the edition."""

import datetime
import re

from rpt_core.corpus.wiki.calls import HOLE, Call, Handler
from rpt_core.corpus.wiki.months import MONTHS

_PATTERNS = {
    "de": "{d}. {m} {y}", "da": "{d}. {m} {y}", "no": "{d}. {m} {y}", "cs": "{d}. {m} {y}",
    "fi": "{d}. {m} {y}", "es": "{d} de {m} de {y}", "pt": "{d} de {m} de {y}", "ca": "{d} de {m} de {y}",
}  # fmt: skip
_CHARACTERS = {"ja": "年月日", "zh": "年月日", "wuu": "年月日", "yue": "年月日", "ko": "년월일"}
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")


def month_name(month: str, lang: str) -> str:
    """The name of a month given by number; what is no number stays.

    Example:
        >>> month_name("5", "ru"), month_name("mai", "fr"), month_name("13", "en"), month_name("²", "en")
        ('мая', 'mai', '13', '²')
    """
    if month.isdecimal() and len(month) < 3 and 1 <= int(month) <= 12:
        return MONTHS.get(lang, MONTHS["en"])[int(month) - 1]
    return month


def written(year: str, month: str = "", day: str = "", lang: str = "en") -> str:
    """A date as the edition writes it; any of its parts may be missing at the end.

    Example:
        >>> written("1990", "2", "3"), written("1990", "2", "3", "ja"), written("1990", "02", lang="de")
        ('3 February 1990', '1990年2月3日', 'Februar 1990')
        >>> written("1990", "5", "3", "es"), written("1990", "5", "3", "vi")
        ('3 de mayo de 1990', '3 tháng 5 năm 1990')
    """
    day, number = day.lstrip("0"), month.lstrip("0")
    if lang in _CHARACTERS and number.isdecimal():
        marks = _CHARACTERS[lang]
        parts = ((year, marks[0]), (number, marks[1]), (day, marks[2]))
        return (" " if lang == "ko" else "").join(f"{part}{mark}" for part, mark in parts if part)
    if lang == "vi" and number.isdecimal():
        return f"{f'{day} ' if day else ''}tháng {number} năm {year}".strip()
    name = month_name(month, lang)
    if day and name and lang in _PATTERNS and day.isdecimal():
        return _PATTERNS[lang].format(d=day, m=name, y=year).removesuffix(" de ").strip()
    return " ".join(part for part in (day, name, year) if part)


def _written(parts: tuple[str, ...], lang: str) -> str:
    year, month, day = (*parts, "", "")[:3]
    return written(year, month, day, lang)


def _is_numbers(args: tuple[str, ...]) -> bool:
    return bool(args) and all(arg.isdecimal() for arg in args)


def date_of(args: tuple[str, ...], lang: str) -> str:
    """The date that arguments tell, with the year first or last, in ISO form or in words; else the words.

    Example:
        >>> date_of(("1990", "2", "3"), "en"), date_of(("3", "5", "2012"), "ru")
        ('3 February 1990', '3 мая 2012')
        >>> date_of(("2012-05-03",), "en")
        '3 May 2012'
        >>> date_of(("3", "mai", "2012"), "fr"), date_of(("1990", "2"), "en")
        ('3 mai 2012', 'February 1990')
    """
    given = tuple(arg for arg in args[:3] if arg)
    if len(given) == 1 and (iso := _ISO.fullmatch(given[0])):
        return written(iso[1], iso[2], iso[3], lang)
    if not _is_numbers(given):
        return (
            " ".join(given)
            if len(given) < 3 or not given[0].isdecimal() or len(given[0]) < 3
            else _written(given, lang)
        )
    if len(given) == 1 or len(given[0]) > 2:
        return _written(given, lang)
    return (
        written(given[2], given[1], given[0], lang)
        if len(given) == 3
        else " ".join((given[0], month_name(given[1], lang)))
    )


def date(call: Call) -> str:
    """A date; the first three arguments tell it, and only they."""
    return date_of(call.texts, call.lang)


def year_first(call: Call) -> str:
    """A date given as year, month and day, however short the year; or in words."""
    given = call.texts[:3]
    return _written(given, call.lang) if _is_numbers(given) else date_of(given, call.lang)


def _years(later: tuple[str, ...], earlier: tuple[str, ...]) -> str:
    """Whole years between two dates given year first; empty when they are no numbers."""
    if len(later) < 3 or len(earlier) < 3 or not _is_numbers((*later, *earlier)):
        return ""
    numbers = [tuple(int(part[:6]) for part in day[:3]) for day in (later, earlier)]
    return str(numbers[0][0] - numbers[1][0] - (numbers[0][1:] < numbers[1][1:]))


def age(call: Call) -> str:
    """``{{age|1990|2|3|2001|5|6}}``: whole years between two days; without the second one it is today's."""
    years = _years(call.texts[3:6], call.texts[:3])
    return years or HOLE


def age_in_days(call: Call) -> str:
    """``{{age in days|1990|2|3|1990|2|5}}``: days between two days."""
    given = call.texts[:6]
    if len(given) < 6 or not _is_numbers(given):
        return HOLE
    first, second = (tuple(int(part[:4]) for part in given[at : at + 3]) for at in (0, 3))
    try:
        return str((datetime.date(*second) - datetime.date(*first)).days)
    except ValueError:
        return HOLE


def death_and_age(call: Call) -> str:
    """``{{death date and age|2000|1|2|1920|3|4}}``: the day, and the age it was reached at."""
    texts = call.texts
    if texts and not texts[0].isdecimal():
        return texts[0]
    age = _years(texts[:3], texts[3:6])
    died = year_first(call)
    aged = f" (aged {age})" if call.lang == "en" else f" ({age})"
    return f"{died}{aged}" if age else died


def death_year_and_age(call: Call) -> str:
    """``{{death year and age|2000|1920}}``: only the years are known."""
    died, born = call.arg(0), call.arg(1)
    if not (_is_numbers((died, born)) and len(died) < 6 and len(born) < 6):
        return died
    return f"{died} (aged {int(died) - int(born) - 1}–{int(died) - int(born)})"


def start_and_end(call: Call) -> str:
    """``{{start and end dates|1990|1|1|1991|2|2}}``."""
    begin, end = date_of(call.texts[:3], call.lang), date_of(call.texts[3:6], call.lang)
    return f"{begin} – {end}" if end else begin


def as_of(call: Call) -> str:
    """``{{as of|2008|5}}``, in small letters where asked, or in its own words (``alt``)."""
    if alt := call.named.get("alt"):
        return alt
    word = "since" if "since" in call.named else "as of"
    shown = written(call.arg(0), call.arg(1), call.arg(2), call.lang)
    return f"{word if call.named.get('lc') else word.capitalize()} {shown}".strip()


def old_style(call: Call) -> str:
    """``{{OldStyleDate|5 May|1700|24 April}}``: the day, its day in the Julian calendar, and the year."""
    day, year, old = call.arg(0), call.arg(1), call.arg(2)
    return " ".join(part for part in (day, f"[O.S. {old}]" if old else "", year) if part)


def day_in_words(call: Call) -> str:
    """``{{birth-date|5 May 1990}}``: the day as it is written in the first argument."""
    return date_of(call.texts[:1], call.lang)


def era(name: str) -> Handler:
    """``{{BCE|5}}`` is 5 BCE; ``AD`` stands before its year."""

    def shown(call: Call) -> str:
        parts = (name, call.arg(0)) if name == "AD" else (call.arg(0), name)
        return " ".join(part for part in parts if part)

    return shown


def decade(call: Call) -> str:
    """``{{decade link|1990}}`` is 1990s."""
    year = call.arg(0)
    return f"{year[:-1]}0s" if re.fullmatch(r"\d{3,4}", year) else year


def life_years(call: Call) -> str:
    """``{{bd|1990年|2月3日|2010年|5月4日}}`` of the Chinese edition."""
    born, died = "".join(call.args[:2]), "".join(call.args[2:4])
    return f"{born}－{died}" if died else born


def reign(call: Call) -> str:
    """``r. 1154–1189``."""
    return f"r. {'–'.join(call.texts[:2])}"


def circa(call: Call) -> str:
    """``c. 1200``."""
    return f"c. {'–'.join(call.texts[:2])}".strip()


def floruit(call: Call) -> str:
    """``fl. 1500``."""
    return f"fl. {'–'.join(call.texts[:2])}".strip()
