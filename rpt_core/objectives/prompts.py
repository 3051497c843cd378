r"""The words around a document: an instruction before it, a suffix after the cut.

The instruction stands first and the document last, so that many cuts share one trunk. An answer begins inside
the thought, whose opening word the suffix ends with, unless a model is to answer in its own form.
"""

from dataclasses import dataclass
from typing import Literal

from rpt_core.errors import RecipeError
from rpt_core.policy.codec import Codec
from rpt_core.policy.message import around_document, opening_ids
from rpt_core.recipes.objectives import ThoughtName

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


def problem_prompt(
    name: Literal["auto", "plain", "compact"], codec: Codec, thought: ThoughtName = "open"
) -> Prompt:
    """The words around a problem with a known answer; ``auto`` as for next tokens."""
    in_thought = begins_in_thought(thought, codec)
    if name == "compact" or (name == "auto" and codec.is_compact and in_thought):
        return compact("rlvr", codec)
    return worded(PROBLEM_PLAIN, "", codec, in_thought=in_thought)


def begins_in_thought(thought: ThoughtName, codec: Codec) -> bool:
    """Whether prompts open a thought: of ``auto``, where the tokenizer has one token for it."""
    if thought == "auto":
        return codec.is_compact or len(codec.control("think")) == 1
    return thought == "open"


def boxed(codec: Codec, answer_ids: tuple[int, ...]) -> tuple[int, ...]:
    """A closed thought, the box, its content and the end: what every answer ends with."""
    close = tuple(codec.encode("}"))
    return (*codec.control("end_think"), *codec.control("box_open"), *answer_ids, *close, codec.end_id)


def compact(instruction: str, codec: Codec, words: str = "", fence: tuple[str, str] = ("", "")) -> Prompt:
    """Control tokens around a document, for models trained here.

    Args:
        instruction: Name of the control token that stands first.
        codec: The policy's codec.
        words: What is said between the cut and the thought.
        fence: What stands before and after the document's text.

    Raises:
        RecipeError: the tokenizer has no control tokens for it.
    """
    if not codec.is_compact:
        raise RecipeError(
            "prompt=compact stands for control tokens of a model trained here (<|rpt|>, <|predict|>), and "
            "this model's tokenizer has none. Take prompt=v6 (or v0) for next tokens, plain for problems."
        )
    head = codec.begin_ids + codec.control(instruction)
    asked = (*codec.control("predict"), *codec.encode(words), *codec.control("think"))
    before, after = (codec.encode(part) for part in fence)
    return Prompt((*head, *before), (*after, *asked))


def worded(before: str, after: str, codec: Codec, *, in_thought: bool = True) -> Prompt:
    """Words before and after a document, in the model's chat template; the suffix may open the thought."""
    head, tail = around_document(before, after, codec)
    if in_thought and not tail.rstrip().endswith("<think>"):
        tail += "<think>\n"
    return Prompt(opening_ids(head, codec), tuple(codec.encode_template(tail)))
