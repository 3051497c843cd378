r"""Where a completion says its answer: the last closed box after the thought, or in its own words.

What a box is, :mod:`rpt_core.corpus.text.boxes` says.
"""

import re

from rpt_core.corpus.text.boxes import last_box

END_OF_THOUGHT = "</think>"
_NUMBER = re.compile(r"(?<![\w.)])-?\$?\d+(?:,\d{3})*(?:\.\d+)?(?:/\d+)?%?")


def boxed_answer(text: str) -> str | None:
    r"""The content of the last closed box after the end of the thought.

    Example:
        >>> boxed_answer("</think> \\boxed {\\{1,2\\}} } and \\boxed{ in prose")
        '\\{1,2\\}'
        >>> boxed_answer("\\boxed{1}</think> no box") is None
        True
    """
    _, ended, rest = text.partition(END_OF_THOUGHT)
    return last_box(rest) if ended else None


def stated_answer(text: str, *, or_number: bool) -> str | None:
    r"""What a completion in the model's own words says in the end: its last box.

    A thought that was ended does not count.

    Args:
        text: The completion.
        or_number: Whether its last number is what it says where it has no box.

    Example:
        >>> stated_answer("2 \\times 9 = 18, so Janet makes $18 a day.", or_number=True)
        '$18'
        >>> stated_answer("the answer is \\boxed{7} of 10", or_number=True)
        '7'
    """
    before, ended, rest = text.partition(END_OF_THOUGHT)
    said = rest if ended else before
    if (found := last_box(said)) is not None:
        return found
    numbers = _NUMBER.findall(said) if or_number else ()
    return numbers[-1] if numbers else None


def is_number(known: str) -> bool:
    """Whether a known answer is one written number, which a completion may state without a box.

    Beside any other answer the last number of a completion would be read as one that was never given.

    Example:
        >>> [is_number(known) for known in ("1,200", "$\u22127$", "-7", "3/4", "x+1", "(1,2)")]
        [True, False, True, True, False, False]
    """
    return _NUMBER.fullmatch(known.strip().strip("$")) is not None
