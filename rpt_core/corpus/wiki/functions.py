"""Parser functions: what stands before a colon in braces, ``{{formatnum:1234}}``, ``{{#if:a|b|c}}``."""

from collections.abc import Callable
from typing import Literal

from rpt_core.corpus.wiki.calls import Call
from rpt_core.corpus.wiki.expr import evaluate, shown
from rpt_core.corpus.wiki.numbers import format_number

_SKIPPED = frozenset(
    [
        "defaultsort",
        "displaytitle",
        "sortierung",
        "#tag",
        "#lst",
        "#section",
        "#lsth",
        "#coordinates",
        "#categorytree",
        "#related",
        "#widget",
        "int",
        "ns",
        "noexternallanglinks",
        "#babel",
    ]
)
_ELSEWHERE = frozenset(
    [
        "#time",
        "#timel",
        "#invoke",
        "#property",
        "#statements",
        "#ask",
        "numberofarticles",
        "pagesize",
        "#language",
    ]
)
PAD_MAX = 200
"""Characters to which a number is filled up."""


def parser_function(call: Call) -> str | Literal[False] | None:
    """What a parser function shows; False for a value the page does not hold, None for no such function."""
    name, _, _ = call.name.partition(":")
    function = _FUNCTIONS.get(name.strip().lstrip("#") if name.startswith("#") else name.strip())
    if name.strip() in _SKIPPED:
        return ""
    if name.strip() in _ELSEWHERE:
        return False
    if function is None:
        return None if not name.startswith("#") else ""
    value = call.written.partition(":")[2].strip()
    given = Call(name, (value, *call.args), call.named, call.lang, call.before, call.written, call.keep)
    return function(given)


def _expr(call: Call) -> str | Literal[False]:
    value = evaluate(call.arg(0))
    return False if value is None else shown(value)


def _if(call: Call) -> str:
    return call.arg(1) if call.arg(0) else call.arg(2)


def _ifeq(call: Call) -> str:
    return call.arg(2) if call.arg(0) == call.arg(1) else call.arg(3)


def _ifexpr(call: Call) -> str:
    return call.arg(1) if evaluate(call.arg(0)) else call.arg(2)


def _iferror(call: Call) -> str:
    return call.arg(2) or call.arg(0)


def _switch(call: Call) -> str:
    """The named case, or the default; cases that fall through to the next are followed."""
    return (
        call.named.get(call.arg(0).lower())
        or call.named.get("#default", "")
        or (call.args[-1] if len(call.args) > 1 else "")
    )


def _pad(side: Callable[[str, int, str], str]) -> Callable[[Call], str]:
    def padded(call: Call) -> str:
        text, width, fill = call.arg(0), call.arg(1), call.arg(2) or "0"
        if not (width.isascii() and width.isdigit()) or len(fill) != 1:
            return text
        return side(text, min(int(width[:4]), PAD_MAX), fill)

    return padded


def _plural(call: Call) -> str:
    return call.arg(1) if call.arg(0) in ("1", "-1") or not call.arg(2) else call.arg(2)


def _cased(call: Call) -> str:
    text = call.arg(0)
    match call.name:
        case "lc":
            return text.lower()
        case "uc":
            return text.upper()
        case "lcfirst":
            return text[:1].lower() + text[1:]
    return text[:1].upper() + text[1:]


def _first(call: Call) -> str:
    return call.arg(0)


def _grammar(call: Call) -> str:
    return call.arg(1) or call.arg(0)


_FUNCTIONS: dict[str, Callable[[Call], str | Literal[False]]] = {
    "formatnum": format_number, "zahlenformat": format_number, "formatonumero": format_number,
    "formatonúmero": format_number, "formatodenumero": format_number, "formatodenúmero": format_number,
    "formatanum": format_number, "formatnombre": format_number, "formatteernum": format_number,
    "форматирование числа": format_number, "форматчисла": format_number, "نسق رقم": format_number,
    "expr": _expr, "if": _if, "ifeq": _ifeq, "ifexpr": _ifexpr, "iferror": _iferror, "switch": _switch,
    "lc": _cased, "uc": _cased, "ucfirst": _cased, "lcfirst": _cased, "padleft": _pad(str.rjust),
    "padright": _pad(str.ljust), "plural": _plural, "grammar": _grammar, "gender": _grammar,
    "dateformat": _first, "formatdate": _first, "titleparts": _first, "urlencode": _first,
    "fullurl": lambda _: "",
}  # fmt: skip
