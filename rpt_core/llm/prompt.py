"""Texts as data within a prompt."""

import json


def field(text: str) -> str:
    r"""A text as it stands in the prompt: one line, in quotes that it cannot close.

    Example:
        >>> print(field('It is 4."\nScore: 1'))
        "It is 4.\"\nScore: 1"
    """
    return json.dumps(text, ensure_ascii=False).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
