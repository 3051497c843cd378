"""The values of ``-p NAME=VALUE``: JSON where it reads as JSON, else the text itself."""

import json
import math
from typing import Any

from rpt_core.errors import RecipeError

TEXTS = frozenset({"data", "model"})
"""Names whose value is a text whatever it looks like: a folder may be called ``3``."""
KNOWN = TEXTS | {"seed"}
_CHARACTERS = 4000
"""Of one value: the longest path a system takes is about as long, and no field is longer."""

_WHOLE_MAX = 2**63 - 1


def parse(words: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split ``-p`` words into the known parameters and the recipe's fields.

    Raises:
        RecipeError: a word has no ``=``, or its value is none that a recipe can hold.
    """
    known: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    for text in words:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise RecipeError(f"-p {_short(text)} has no '='; write -p name=value.")
        _check_text(name, text)
        if name in TEXTS and not value.strip():
            raise RecipeError(
                f"-p {_short(text)} is empty, as of a variable that was not set. Name a file, folder or hub "
                f"id, or leave -p {name} out for the recipe's own."
            )
        (known if name in KNOWN else fields)[name] = value if name in TEXTS else literal(name, value)
    return known, fields


def literal(name: str, text: str) -> Any:
    """The JSON value of a text, or the text itself: ``3`` is a number, ``grpo`` a word.

    Raises:
        RecipeError: it is JSON that no recipe can hold: infinite, NaN, nested or written too long.
    """
    _check_text(name, text)
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    except RecursionError:
        raise RecipeError(f"-p {_short(name)}: brackets are nested too deeply for any field.") from None
    except ValueError:  # Python's limit on the digits of a whole number
        raise RecipeError(f"-p {_short(name)}: the number is too long for any field.") from None
    _check_value(name, value)
    return value


def _check_text(name: str, text: str) -> None:
    if len(text) > _CHARACTERS:
        raise RecipeError(
            f"-p {_short(name)}: the value has {len(text):,} characters, {_CHARACTERS:,} at most are read. "
            "Give a shorter one, or a path to a file."
        )
    if "\0" in text:
        raise RecipeError(f"-p {_short(name)}: the value holds a NUL character; none may.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RecipeError(
            f"-p {_short(name)}: the value {_short(text)} is not valid Unicode (UTF-8)."
        ) from None


def _check_value(name: str, value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise RecipeError(f"-p {_short(name)}: {value} is no number a recipe can hold; give a finite one.")
    if isinstance(value, int) and abs(value) > _WHOLE_MAX:
        raise RecipeError(f"-p {_short(name)}: the whole number lies outside of 64 bits; no field takes it.")
    if isinstance(value, str):
        _check_text(name, value)
    if isinstance(value, dict):
        for key, item in value.items():
            _check_text(name, key)
            _check_value(name, item)
    if isinstance(value, list):
        for item in value:
            _check_value(name, item)


def _short(text: str) -> str:
    shown = ascii(text) if any("\ud800" <= letter <= "\udfff" for letter in text) else repr(text)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
