r"""What an answer without a thought says in the end: boxed, stated in words, or standing last.

A model that was not trained on this project's prompts seldom boxes its answer. It is read as evaluations of
such models read it, most explicit first:

1. the last closed box;
2. what follows the last ``answer is``, ``answer:`` or ``####`` (lm-evaluation-harness: GSM8K, filter
   ``strict-match``; MMLU-Pro's authors);
3. in an answer that came to its end, the last number, formula or letter (lm-evaluation-harness: GSM8K,
   filter ``flexible-extract``, and ``hendrycks_math``; MMLU-Pro's authors).

An answer that was cut off can have stated its answer before; what merely stands last in it is where it was
cut.
"""

import re

from rpt_core.corpus.text.boxes import last_box
from rpt_core.objectives.problems.boxes import END_OF_THOUGHT

THOUGHT = "<think>"
_STATED = re.compile(r"(?:\banswer(?:\s+is\b|\s*:)|####)[\s:*]*", re.IGNORECASE)
_FORMULA = re.compile(
    r"\$\$(.{1,400}?)\$\$|\$(?=\S)([^$\n]{1,400}?)(?<=\S)\$(?!\d)"
    r"|\\\((.{1,400}?)\\\)|\\\[(.{1,400}?)\\\]",
    re.DOTALL,
)
_NUMBER = re.compile(r"(?<![\w.])[-+]?\$?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?%?(?!\w)")
_SENTENCE_END = re.compile(r"[.!?](?=\s|\*|$)|\n")
LONGEST_STATED = 200
"""Characters after ``answer is`` that are looked at."""
LONGEST_END = 4000
"""Characters at an answer's end in which something is looked for that is not boxed."""


def after_thought(text: str) -> str | None:
    """What follows the thought, where an answer has one; None where it has not come to the thought's end."""
    _, ended, rest = text.partition(END_OF_THOUGHT)
    if ended:
        return rest
    return None if THOUGHT in text else text


def stated_value(text: str, *, ended: bool) -> str | None:
    r"""The number or formula that an answer says in the end.

    Example:
        >>> stated_value("So 2 + 3 = 5.\n\nThe final answer is $160.", ended=True)
        '160'
        >>> [stated_value("It is 7. Wait, 5 + 1 = 6", ended=ended) for ended in (True, False)]
        ['6', None]
        >>> stated_value("Therefore \\[x = \\frac{1}{2}\\]", ended=True)
        '\\frac{1}{2}'
    """
    if (box := last_box(text)) is not None:
        return box
    text = text[-LONGEST_END:]
    for match in reversed(list(_STATED.finditer(text))):
        if (said := _value_in(text[match.end() :], ended=ended)) is not None:
            return said
    return _last_value(text) if ended else None


def _value_in(rest: str, *, ended: bool) -> str | None:
    """The value of the sentence that follows ``answer is``; what may have been cut off is none."""
    end = _SENTENCE_END.search(rest)
    if end is None and not ended:
        return None
    sentence = rest[: end.start() if end else LONGEST_STATED][:LONGEST_STATED]
    formulas = _FORMULA.findall(sentence)
    return _bare("".join(formulas[-1])) if formulas else _last_value(sentence)


def _last_value(text: str) -> str | None:
    """The number or formula that stands last."""
    formulas = list(_FORMULA.finditer(text))
    numbers = _NUMBER.findall(text, formulas[-1].end() if formulas else 0)
    if numbers:
        return _bare(numbers[-1].replace("$", ""))
    return _bare("".join(formulas[-1].groups(""))) if formulas else None


def _bare(value: str) -> str | None:
    """A value without what it was computed from."""
    return value.rpartition("=")[2].strip().rstrip(".,") or None


def stated_letter(text: str, letters: str, *, ended: bool) -> str | None:
    """The letter of the choice that an answer takes.

    Example:
        >>> stated_letter("Option A is odd. The answer is (C) 12.", "ABCD", ended=True)
        'C'
        >>> stated_letter("A dog is no cat, so I take B", "ABCD", ended=True)
        'B'
    """
    if (box := last_box(text)) is not None:
        return box
    text = text[-LONGEST_END:]
    one = rf"\(?([{letters}])\b(?!')"
    for match in reversed(list(_STATED.finditer(text))):
        if found := re.match(rf"\W{{0,4}}(?:option\s+|choice\s+)?{one}", text[match.end() :]):
            return found[1]
    if not ended:
        return None
    # the article, and the pronoun, are no letters of choices
    standing = re.findall(rf"(?<![\w'\\$])([{letters}])(?![\w'])(?!(?<=A) [a-z])(?!(?<=I) [a-z])", text)
    return standing[-1] if standing else None


def stated_answer(text: str, *, or_number: bool) -> str | None:
    r"""What a completion in the model's own words says in the end: its last box.

    A thought that was ended does not count.

    Args:
        text: The completion, come to its end.
        or_number: Whether a number or formula that it states without a box is read, too.

    Example:
        >>> stated_answer("2 \\times 9 = 18, so Janet makes $18 a day.", or_number=True)
        '18'
        >>> stated_answer("the answer is \\boxed{7} of 10", or_number=True)
        '7'
    """
    rest = after_thought(text)
    if rest is None:
        return None
    return stated_value(rest, ended=True) if or_number else last_box(rest)


def is_number(known: str) -> bool:
    """Whether a known answer is one written number, which a completion may state without a box.

    Beside any other answer the last number of a completion would be read as one that was never given.

    Example:
        >>> [is_number(known) for known in ("1,200", "$\u22127$", "-7", "3/4", "x+1", "(1,2)")]
        [True, False, True, True, False, False]
    """
    return _NUMBER.fullmatch(known.strip().strip("$")) is not None
