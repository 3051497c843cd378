r"""The words around a document for next-token reasoning (RPT, appendix D).

They are those of :mod:`rpt_core.objectives.next_token.templates`: ``v0`` is what the paper trained with,
``v6`` what it found best before training. ``compact`` is one control token, for models trained here;
``compact-fenced`` has the structure of ``v6`` on top of it, a fence and a question after it. ``brief`` is ten
tokens of words for a model from elsewhere that lessons have shown what they ask for.
"""

from rpt_core.objectives.next_token.templates import FENCE, FENCE_END, TEMPLATES
from rpt_core.objectives.prompts import Prompt, compact, worded
from rpt_core.policy.codec import Codec
from rpt_core.recipes.objectives import PromptName

BRIEF = "\nWhat comes next?\n<think>\n"
"""Words of ``brief``: after the cut alone, so that the trunk is the plain text itself."""
BUDGET_WORDS = "\n\nUse exactly {budget} tokens for your reasoning."
"""RMT's budget; it stands after the document, so that the trunk does not change from step to step."""


def next_token_prompt(name: PromptName, codec: Codec, budget: int | None = None) -> Prompt:
    """The words for next-token reasoning (RPT, appendix D).

    Args:
        name: The template; ``auto`` is ``compact`` where the tokenizer has its control tokens, else ``v6``.
        codec: The policy's codec.
        budget: Thought tokens to ask for (RMT); None says nothing about it.

    Raises:
        RecipeError: a compact one with a tokenizer that has no control tokens for it.
    """
    if budget is None:
        return stated_prompt(name, codec)
    return stated_prompt(name, codec, f" {budget}", BUDGET_WORDS.format(budget=budget))


def stated_prompt(name: PromptName, codec: Codec, short: str = "", words: str = "") -> Prompt:
    """The words of a template, and something else stated between the cut and the thought.

    Args:
        name: The template.
        codec: The policy's codec.
        short: What is stated where control tokens do the asking.
        words: The same where words do.

    Raises:
        RecipeError: a compact one with a tokenizer that has no control tokens for it.
    """
    if name == "auto":
        name = "compact" if codec.is_compact else "v6"
    if name == "compact":
        return compact("rpt", codec, short)
    if name == "compact-fenced":
        return compact("rpt", codec, short, (FENCE, FENCE_END))
    if name == "brief":
        return Prompt(codec.begin_ids, tuple(codec.encode_template(words + BRIEF)))
    template = TEMPLATES[name]
    return worded(template.before, template.after + words, codec)
