r"""The words around a document: an instruction before it, a suffix after the cut.

The instruction stands first and the document last, so that many cuts share one trunk. An answer
begins inside the thought: the suffix ends with the word that opens it. The words are those of
:mod:`rpt_core.objectives.next_token.templates`: ``v0`` is what the paper trained with, ``v6`` what it
found best before training. ``compact`` is one control token, for models trained here;
``compact-fenced`` has the structure of ``v6`` on top of it, a fence and a question after it.
"""

from dataclasses import dataclass
from typing import Literal

from rpt_core.errors import RecipeError
from rpt_core.objectives.next_token.templates import FENCE, FENCE_END, TEMPLATES
from rpt_core.policy.codec import Codec
from rpt_core.policy.tokens.chat import render
from rpt_core.recipes.objectives import PromptName

PLACE = "\ue000"
"""Stands for the document while a chat template is rendered; a private-use letter no template has."""

BUDGET_WORDS = "\n\nUse exactly {budget} tokens for your reasoning."
"""RMT's budget; it stands after the document, so that the trunk does not change from step to step."""

PROBLEM_PLAIN = (
    "Solve the following problem. Reason step by step, and put the final answer inside \\boxed{}.\n\n"
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids before the document and between a cut and every answer."""

    instruction_ids: tuple[int, ...]
    suffix_ids: tuple[int, ...]

    @property
    def num_tokens(self) -> int:
        """What the words take from the context."""
        return len(self.instruction_ids) + len(self.suffix_ids)


def next_token_prompt(name: PromptName, codec: Codec, budget: int | None = None) -> Prompt:
    """The words for next-token reasoning (RPT, appendix D).

    Args:
        name: The template; ``auto`` is ``compact`` where the tokenizer has its control tokens, else ``v6``.
        codec: The policy's codec.
        budget: Thought tokens to ask for (RMT); None says nothing about it.

    Raises:
        RecipeError: a compact one with a tokenizer that has no control tokens for it.
    """
    if name == "auto":
        name = "compact" if codec.is_compact else "v6"
    if name == "compact":
        return _compact("rpt", codec, "" if budget is None else f" {budget}")
    if name == "compact-fenced":
        return _compact("rpt", codec, "" if budget is None else f" {budget}", fenced=True)
    words = TEMPLATES[name]
    stated = "" if budget is None else BUDGET_WORDS.format(budget=budget)
    return _worded(words.before, words.after + stated, codec)


def problem_prompt(name: Literal["auto", "plain", "compact"], codec: Codec) -> Prompt:
    """The words around a problem with a known answer; ``auto`` as for next tokens."""
    if name == "compact" or (name == "auto" and codec.is_compact):
        return _compact("rlvr", codec)
    return _worded(PROBLEM_PLAIN, "", codec)


def boxed(codec: Codec, answer_ids: tuple[int, ...]) -> tuple[int, ...]:
    """A closed thought, the box, its content and the end: what every answer ends with."""
    close = tuple(codec.encode("}"))
    return (*codec.control("end_think"), *codec.control("box_open"), *answer_ids, *close, codec.end_id)


def _compact(instruction: str, codec: Codec, words: str = "", *, fenced: bool = False) -> Prompt:
    if not codec.is_compact:
        raise RecipeError(
            "prompt=compact stands for control tokens of a model trained here (<|rpt|>, <|predict|>), and "
            "this model's tokenizer has none. Take prompt=v6 (or v0) for next tokens, plain for problems."
        )
    head = codec.begin_ids + codec.control(instruction)
    asked = (*codec.control("predict"), *codec.encode(words), *codec.control("think"))
    if not fenced:
        return Prompt(head, asked)
    before, after = codec.encode(FENCE), codec.encode(FENCE_END)
    return Prompt((*head, *before), (*after, *asked))


def _worded(before: str, after: str, codec: Codec) -> Prompt:
    head, tail = around_document(before, after, codec)
    if not tail.rstrip().endswith("<think>"):
        tail += "<think>\n"
    return Prompt(opening_ids(head, codec), tuple(codec.encode_template(tail)))


def opening_ids(head: str, codec: Codec) -> tuple[int, ...]:
    """The ids of what :func:`around_document` puts before the document, BOS exactly once."""
    return tuple(codec.opening(head, of_template=codec.chat_template is not None))


def around_document(before: str, after: str, codec: Codec) -> tuple[str, str]:
    """What the model's chat template puts before and after the document; plain headings without one.

    Raises:
        RecipeError: the template raises, or does not show the user's message exactly once.
    """
    if codec.chat_template is None:
        return before, f"{after}\n\n### Answer\n"
    content = f"{before}{PLACE}{after}"
    rendered = render(codec.chat_template, [{"role": "user", "content": content}], codec.special_names())
    head, _, tail = rendered.partition(PLACE)
    shown, places = rendered.count(PLACE), content.count(PLACE)
    if shown > places:
        raise RecipeError(
            f"the model's chat template writes the user's message {shown // places} times, and a document "
            "stands in one place only. Mend chat_template in the model's folder, or remove it to use plain "
            "headings."
        )
    if shown < places:
        raise RecipeError(
            "the model's chat template leaves out the user's message, so the document would not be seen. "
            "Mend chat_template in its tokenizer_config.json, or remove it to use plain headings."
        )
    return head, tail
