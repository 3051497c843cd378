r"""Where a completion that thinks says its answer: the last closed box after the thought.

What a box is, :mod:`rpt_core.corpus.text.boxes` says.
"""

from rpt_core.corpus.text.boxes import last_box

END_OF_THOUGHT = "</think>"


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
