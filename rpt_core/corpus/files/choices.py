"""Options of a problem, and the letter of the one that is right."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

NUM_MAX = 26
"""Options that have a letter."""
_OWN_LETTER = re.compile(r"\s{0,4}[(（]?([A-Za-z])\s?[.):：．、）]\s{0,9}(?=\S)")
_NESTED = (("text", "texts", "choices", "options"), ("label", "labels", "key", "keys"))


def options_of(value: Any, as_text: Callable[[Any], str]) -> list[str]:
    """The options a cell holds, as text, in order: a list, a table of letters, or lists of texts and labels.

    Example:
        >>> options_of({"text": ["x", "y"], "label": ["A", "B"]}, str), options_of({"B": "y", "A": "x"}, str)
        (['x', 'y'], ['x', 'y'])
    """
    if isinstance(value, Mapping):
        texts = next((value[name] for name in _NESTED[0] if isinstance(value.get(name), list)), None)
        if texts is not None:
            return options_of(texts, as_text)
        letters = sorted(key for key in value if isinstance(key, str) and re.fullmatch("[A-Z]", key))
        return [as_text(value[letter]) for letter in letters] if len(letters) == len(value) else []
    if not isinstance(value, list):
        return []
    if value and all(isinstance(option, Mapping) for option in value):
        value = [
            next((option[name] for name in (*_NESTED[0], "content", "value") if name in option), "")
            for option in value
        ]
    return [as_text(option) for option in value]


def without_letters(options: Sequence[str]) -> list[str]:
    """The options without the letters they carry, if two at least and half of them carry their own.

    Example:
        >>> without_letters(["A. x", "B. y", "z"]), without_letters(["A. Smith", "x"])
        (['x', 'y', 'z'], ['A. Smith', 'x'])
    """
    found = [_OWN_LETTER.match(option) for option in options]
    own = [
        bool(match) and match[1].upper() == chr(ord("A") + number)  # type: ignore[index]
        for number, match in enumerate(found)
    ]
    if sum(own) < 2 or 2 * sum(own) < len(options):
        return list(options)
    return [
        option[match.end() :] if match and is_own else option
        for option, match, is_own in zip(options, found, own, strict=True)
    ]


def with_options(problem: str, options: Sequence[str]) -> str:
    """The problem with its options below, each behind its letter.

    Options that all carry their capital letters stand as they are.
    """
    if not options or not problem:
        return problem
    shown = list(options[:NUM_MAX])
    letters = [chr(ord("A") + number) for number in range(len(shown))]
    if not all(re.match(rf"\(?{a}[.):]", option) for a, option in zip(letters, shown, strict=True)):
        shown = [f"{a}. {text}" for a, text in zip(letters, without_letters(shown), strict=True)]
    return problem + "\n" + "\n".join(shown)


def letter_of(answer: str, options: Sequence[str], raw: Any) -> str:
    """The letter of an option given by its text or by its place; any other answer as it is.

    A text that equals an option is that option: ``"3"`` of 2, 3, 4, 5 is B. A JSON integer is a place,
    counted
    from 0; so is a text of digits that equals no option. Past the last place it is an option's text.
    """
    texts = [text.strip() for text in without_letters(options[:NUM_MAX])]
    by_text = [
        number for number, text in enumerate(texts) if answer.strip() in (text, options[number].strip())
    ]
    is_place = isinstance(raw, int) and not isinstance(raw, bool) and 0 <= raw < len(texts)
    if is_place:
        return chr(ord("A") + raw)
    if len(by_text) == 1:
        return chr(ord("A") + by_text[0])
    if texts and not by_text and answer.isascii() and answer.isdigit() and int(answer[:4]) < len(texts):
        return chr(ord("A") + int(answer))
    return answer
