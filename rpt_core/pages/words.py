"""Numbers and texts as a page writes them: the filters of its templates."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

DASH = "–"


def percent(value: float) -> str:
    """A share in percent.

    Example:
        >>> percent(0.7777)
        '77.8 %'
    """
    return f"{100 * value:.1f} %"


def percent_bare(value: float) -> str:
    """The same without the sign, for the ends of an interval."""
    return f"{100 * value:.1f}"


def points(value: float) -> str:
    """A difference of shares in points, signed, with a true minus.

    Example:
        >>> points(0.0312), points(-0.2), points(-0.0001)
        ('+3.1', '−20.0', '0.0')
    """
    text = f"{100 * value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def p_value(value: float) -> str:
    """Three digits, or a bound where it is tiny.

    Example:
        >>> p_value(0.0421), p_value(1e-9)
        ('0.042', '< 0.001')
    """
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


NUMBERS = dict(enumerate(("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), start=2))
"""Those that pages write as words."""


def listed(names: Sequence[str]) -> str:
    """Names as a sentence lists them.

    Example:
        >>> listed(["RPT"]), listed(["RPT", "RLP"]), listed(["RPT", "RLP", "JEPO"])
        ('“RPT”', '“RPT” and “RLP”', '“RPT”, “RLP” and “JEPO”')
    """
    marked = [f"“{name}”" for name in names]
    return " and ".join(part for part in (", ".join(marked[:-1]), *marked[-1:]) if part)


def number_word(num: int) -> str:
    """A number of claims as a page says it.

    Example:
        >>> number_word(6), number_word(11)
        ('six', '11')
    """
    return NUMBERS.get(num, str(num))


def count_of(value: float) -> str:
    """A count, its thousands apart; a dash for none."""
    return f"{int(value):,}".replace(",", "\u2009") if value else DASH


def minus_signs(text: str) -> str:
    """A text whose negative numbers have a minus sign for their hyphen.

    Example:
        >>> minus_signs("-2 to +4, next-token 1-2")
        '−2 to +4, next-token 1-2'
    """
    return re.sub(r"(?<!\w)-(?=\d)", "−", text)


def short_number(value: float) -> str:
    """A number with at most three digits and a letter for its size.

    Example:
        >>> short_number(1530.0), short_number(0.2), short_number(2e9)
        ('1.53k', '0.2', '2G')
    """
    for size, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def flops_of(value: float) -> str:
    """Operations with a letter for their size; a dash for none.

    Example:
        >>> flops_of(3.21e12), flops_of(0)
        ('3.21T', '–')
    """
    return short_number(value) if value else DASH


def duration(seconds: float) -> str:
    """Seconds in the two largest units that fit.

    Example:
        >>> duration(7.4), duration(671), duration(8130), duration(200_000)
        ('7 s', '11 min 11 s', '2 h 15 min', '2 d 7 h')
    """
    left = round(seconds)
    if left < 60:
        return f"{left} s"
    for size, unit, smaller, part in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if left >= size:
            return f"{left // size} {unit} {left % size // smaller} {part}"
    raise AssertionError(seconds)


def clip(text: str | None, length: int, from_end: bool = False) -> str:
    """At most ``length`` characters, with an ellipsis where something was left out.

    Example:
        >>> clip("abcdef", 4), clip("abcdef", 4, True)
        ('abc…', '…def')
    """
    given = text or ""
    if len(given) <= length:
        return given
    return "…" + given[1 - length :] if from_end else given[: length - 1] + "…"


def visible(text: str) -> str:
    r"""Spaces and line breaks that a page would swallow, as marks.

    Example:
        >>> visible(" 10"), visible("a b\n")
        ('·10', 'a b↵')
    """
    marked = text.replace("\n", "↵").replace("\t", "⇥")
    stripped = marked.lstrip(" ")
    return "·" * (len(marked) - len(stripped)) + stripped


def cell(text: str) -> str:
    """A text inside a Markdown table: one line, its bars escaped."""
    return visible(text.replace("|", "\\|")) if text else DASH


def _field(estimate: Any, name: str) -> Any:
    return estimate[name] if isinstance(estimate, Mapping) else getattr(estimate, name)


def _known(estimate: Any, name: str) -> Any:
    return estimate.get(name) if isinstance(estimate, Mapping) else getattr(estimate, name, None)


def amount_text(value: float) -> str:
    """A number with one digit after the point."""
    return f"{value:.1f}"


def ends(estimate: Any, end: Callable[[float], str]) -> str:
    """The two ends of an interval, or why there is none.

    Example:
        >>> ends({"low": 0.2, "high": 0.31}, percent_bare), ends({"low": None, "num_clusters": 3}, points)
        ('20.0, 31.0', 'no interval: too few clusters (3)')
    """
    low = _field(estimate, "low")
    return no_interval(estimate) if low is None else f"{end(low)}, {end(_field(estimate, 'high'))}"


def no_interval(estimate: Any) -> str:
    """What stands where an interval would: that all runs agree, or of how many clusters there is none.

    Clusters are documents, problems or runs.

    Example:
        >>> no_interval({"num_clusters": 3}), no_interval({"num_clusters": 1}), no_interval({})
        ('no interval: too few clusters (3)', 'no interval: too few clusters (1)', 'no interval')
        >>> no_interval({"num_clusters": 8, "standard_error": 0.0})
        'all 8 agree'
    """
    clusters = _known(estimate, "num_clusters")
    if clusters is None:
        return "no interval"
    if _known(estimate, "standard_error") == 0:
        return f"all {clusters} agree"
    return f"no interval: too few clusters ({clusters})"


def slug(text: str) -> str:
    """A name for a file or an id: small letters, digits and hyphens.

    Example:
        >>> slug("held-out accuracy, training's judge")
        'held-out-accuracy-training-s-judge'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def sort_key(cell: Any) -> str:
    """The number a cell of a table is sorted by; empty where it holds words."""
    value = getattr(cell, "value", None)
    value = value.get("value") if isinstance(value, Mapping) else getattr(value, "value", value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:.12g}" if is_number else ""


FILTERS: dict[str, Callable[..., str]] = {
    function.__name__: function
    for function in (count_of, flops_of, clip, visible, cell, slug, sort_key, short_number, duration)
}


def environment(package: str) -> Environment:
    """Templates of a package and of this one: HTML escaped, an unknown name an error.

    Args:
        package: Where the page's own template lies, such as ``rpt_core.report``.
    """
    found = Environment(
        loader=ChoiceLoader([PackageLoader(package, "."), PackageLoader("rpt_core.pages", ".")]),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=False,
        keep_trailing_newline=True,
    )
    found.filters |= FILTERS
    return found


def render(path: Path, text: str) -> None:
    """Write a rendered template, without the trailing blanks its tags leave behind."""
    path.write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n")
