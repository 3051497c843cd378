"""A message of the user with a gap for the document, as the model's chat template writes it."""

from rpt_core.errors import RecipeError
from rpt_core.policy.codec import Codec
from rpt_core.policy.tokens.chat import render

PLACE = "\ue000"
"""Stands for the document while a chat template is rendered; a private-use letter no template has."""


def opening_ids(head: str, codec: Codec) -> tuple[int, ...]:
    """The ids of what :func:`around_document` puts before the document, BOS exactly once."""
    return tuple(codec.opening(head, of_template=codec.chat_template is not None))


def under_headings(before: str, after: str) -> tuple[str, str]:
    """What stands before and after the document where no chat template is used."""
    return before, f"{after}\n\n### Answer\n"


def around_document(before: str, after: str, codec: Codec) -> tuple[str, str]:
    """What the model's chat template puts before and after the document; plain headings without one.

    Raises:
        RecipeError: the template raises, or does not show the user's message exactly once.
    """
    if codec.chat_template is None:
        return under_headings(before, after)
    content = f"{before}{PLACE}{after}"
    rendered = render(codec.chat_template, [{"role": "user", "content": content}], codec.special_names())
    head, _, tail = rendered.partition(PLACE)
    shown, places = rendered.count(PLACE), content.count(PLACE)
    if shown > places:
        raise RecipeError(
            f"the model's chat template writes the user's message {shown // places} times, and a document "
            "stands in one place only. Fix chat_template in the model's folder, or remove it to use plain "
            "headings."
        )
    if shown < places:
        raise RecipeError(
            "the model's chat template leaves out the user's message, so the document would not be seen. "
            "Fix chat_template in its tokenizer_config.json, or remove it to use plain headings."
        )
    return head, tail
