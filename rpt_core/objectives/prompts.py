r"""The words around a document: an instruction before it, a suffix after the cut.

The instruction stands first and the document last, so that many cuts share one trunk. An answer
begins inside the thought: the suffix ends with the word that opens it. The templates follow the
structure of RPT's appendix D in words of our own: ``v0`` (one instruction, a heading, the raw text) is
what the paper trained with, ``v6`` (fenced text, weigh several candidates, asked again at the end) is
what it found best before training. ``compact`` is one control token, for models trained here.
"""

from dataclasses import dataclass
from typing import Literal

from rpt_core.errors import RecipeError
from rpt_core.policy.codec import Codec

PLACE = "\ue000"
"""Stands for the document while a chat template is rendered; a private-use letter no template has."""

NEXT_V0 = """\
Continue the text under the heading "### Context" by its next token. Reason step by step first; then
write the most probable token inside \\boxed{}. A token may begin with a space, and the space counts:
after "The sky is" comes \\boxed{ blue}, after "1 + 1" comes \\boxed{ =}. Do not write \\text{} inside
the box.

### Context
"""

NEXT_V6 = """\
Here is the beginning of a text. Your task is to say which token comes next. Think of several tokens
that could follow, weigh them against each other, and put the one you find most probable inside
\\boxed{}. A token may begin with a space, and the space counts: \\boxed{ blue} is not \\boxed{blue}.

```
"""

NEXT_V6_END = "\n```\nWhich token comes next? List candidates, then answer with one token inside \\boxed{}."

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


def next_token_prompt(
    name: Literal["auto", "v0", "v6", "compact"], codec: Codec, budget: int | None = None
) -> Prompt:
    """The words for next-token reasoning (RPT, appendix D).

    Args:
        name: The template; ``auto`` is ``compact`` where the tokenizer has its control tokens, else ``v6``.
        codec: The policy's codec.
        budget: Thought tokens to ask for (RMT); None says nothing about it.

    Raises:
        RecipeError: ``compact`` with a tokenizer that has no control tokens for it.
    """
    if name == "compact" or (name == "auto" and codec.is_compact):
        return _compact("rpt", codec, "" if budget is None else f" {budget}")
    before, after = (NEXT_V0, "") if name == "v0" else (NEXT_V6, NEXT_V6_END)
    return _worded(before, after + ("" if budget is None else BUDGET_WORDS.format(budget=budget)), codec)


def problem_prompt(name: Literal["auto", "plain", "compact"], codec: Codec) -> Prompt:
    """The words around a problem with a known answer; ``auto`` as for next tokens."""
    if name == "compact" or (name == "auto" and codec.is_compact):
        return _compact("rlvr", codec)
    return _worded(PROBLEM_PLAIN, "", codec)


def boxed(codec: Codec, answer_ids: tuple[int, ...]) -> tuple[int, ...]:
    """A closed thought, the box, its content and the end: what every answer ends with."""
    close = tuple(codec.encode("}"))
    return (*codec.control("end_think"), *codec.control("box_open"), *answer_ids, *close, codec.end_id)


def _compact(instruction: str, codec: Codec, words: str = "") -> Prompt:
    if not codec.is_compact:
        raise RecipeError(
            "prompt=compact stands for control tokens of a model trained here (<|rpt|>, <|predict|>), and "
            "this model's tokenizer has none. Take prompt=v6 (or v0) for next tokens, plain for problems."
        )
    asked = (*codec.control("predict"), *codec.encode(words), *codec.control("think"))
    return Prompt(codec.control(instruction), asked)


def _worded(before: str, after: str, codec: Codec) -> Prompt:
    head, tail = around_document(before, after, codec)
    if not tail.rstrip().endswith("<think>"):
        tail += "<think>\n"
    return Prompt(tuple(codec.encode_template(head)), tuple(codec.encode_template(tail)))


def around_document(before: str, after: str, codec: Codec) -> tuple[str, str]:
    """What the model's chat template puts before and after the document; plain headings without one."""
    if codec.chat_template is None:
        return before, f"{after}\n\n### Answer\n"
    from transformers.utils.chat_template_utils import render_jinja_template

    rendered, _ = render_jinja_template(
        conversations=[[{"role": "user", "content": f"{before}{PLACE}{after}"}]],
        chat_template=codec.chat_template,
        add_generation_prompt=True,
        **codec.special_names(),
    )
    head, found, tail = rendered[0].partition(PLACE)
    if not found:
        raise RecipeError(
            "the model's chat template leaves out the user's message, so the document would not be seen. "
            "Mend chat_template in its tokenizer_config.json, or remove it to use plain headings."
        )
    return head, tail
