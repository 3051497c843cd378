r"""Templates for next-token reasoning: seven structures of RPT's appendix D, in words of our own.

Every template has a part before the document and a part after it, so that the instruction stands first,
the context last, and all cuts of a document share one trunk. Where a template fences the context, the
fence is closed after the cut.

``v0``  one instruction, two tiny examples of a leading space, a ban on ``\text{}``, a heading, the raw text
``v1``  the same, the context fenced
``v2``  ``v1`` after words about the reader's role
``v3``  several candidates first, then a choice
``v4``  three worked examples, one of a line break written out as backslash and n
``v5``  ``v1`` in other words
``v6``  the text fenced at once, candidates asked for, and the question again after it
"""

from dataclasses import dataclass
from typing import Literal

TemplateName = Literal["v0", "v1", "v2", "v3", "v4", "v5", "v6"]

FENCE, FENCE_END = "```\n", "\n```"
HEADING = "### Context\n"

TASK = """\
Continue the text under the heading "### Context" by its next token. Reason step by step first; then
write the most probable token inside \\boxed{}."""

SPACES = """\
 A token may begin with a space, and the space counts:
after "The sky is" comes \\boxed{ blue}, after "1 + 1" comes \\boxed{ =}. Do not write \\text{} inside
the box.

"""

ROLE = """\
You are a careful and helpful assistant who reads a text closely and says how it goes on.

"""

CANDIDATES = """\
Below, under the heading "### Context", stands the beginning of a text. Think of three or more tokens
that could come next and say what speaks for each. Compare them, choose the most probable one and write
it inside \\boxed{}."""

EXAMPLES = """\
Continue the text under the heading "### Context" by its next token. Three examples:

Text: "Water boils at a hundred"
Thought: the number needs its unit, and for boiling water that is degrees.
Answer: \\boxed{ degrees}

Text: "x = 3, so 2x"
Thought: twice three is stated next, and an equals sign stands before a value.
Answer: \\boxed{ =}

Text: "Dear Anna,"
Thought: a salutation is followed by a new line, which I write as \\n.
Answer: \\boxed{\\n}

Reason in the same way, then write the most probable next token inside \\boxed{}.

"""

AGAIN = """\
Read the text in the fence below the heading "### Context". Which token follows it? Think it through in
small steps, and put only the likeliest token inside \\boxed{}."""

WEIGH = """\
Here is the beginning of a text. Your task is to say which token comes next. Think of several tokens
that could follow, weigh them against each other, and put the one you find most probable inside
\\boxed{}. A token may begin with a space, and the space counts: \\boxed{ blue} is not \\boxed{blue}.

"""

ASKED_AGAIN = "\nWhich token comes next? List candidates, then answer with one token inside \\boxed{}."


@dataclass(frozen=True, slots=True)
class Template:
    """Words around a document."""

    before: str
    after: str = ""


TEMPLATES: dict[TemplateName, Template] = {
    "v0": Template(TASK + SPACES + HEADING),
    "v1": Template(TASK + SPACES + HEADING + FENCE, FENCE_END),
    "v2": Template(ROLE + TASK + SPACES + HEADING + FENCE, FENCE_END),
    "v3": Template(CANDIDATES + SPACES + HEADING + FENCE, FENCE_END),
    "v4": Template(EXAMPLES + HEADING + FENCE, FENCE_END),
    "v5": Template(AGAIN + SPACES + HEADING + FENCE, FENCE_END),
    "v6": Template(WEIGH + FENCE, FENCE_END + ASKED_AGAIN),
}
