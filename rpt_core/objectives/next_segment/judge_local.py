"""A judge in this process: any model of ours or a Hugging Face model.

All predictions for one reference share its trunk: the words of the task and the reference are read once,
and every prediction is a cut with a suffix of its own. Replies are greedy.

A tiny judge trained here knows no task words. Its prompt is control tokens, and it writes down what it
finds in either text before its verdict: a bare verdict is easily fooled.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from rpt_core.llm.local import LocalModel
from rpt_core.llm.prompt import field
from rpt_core.objectives.evidence import JudgeVerdict, Pair
from rpt_core.objectives.next_segment.judge_prompt import (
    AFTER,
    BETWEEN,
    REPLY_TOKENS,
    Rule,
    before,
    read_reply,
)
from rpt_core.policy.codec import Codec
from rpt_core.policy.engines.serving import present_serving
from rpt_core.policy.load import Precision, inside, load_policy
from rpt_core.policy.message import PLACE, around_document, opening_ids
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Cut, Trunk

COMPACT_REPLY_TOKENS = 96
"""Notes on two or three sentences of either text, and the verdict."""


class LocalJudge:
    """A judge that reads with a model held here."""

    def __init__(
        self, policy: Policy, reply_tokens: int = 0, *, engine: str = "torch", folder: Path | None = None
    ) -> None:
        """Take a loaded model.

        Args:
            policy: The judge's model.
            reply_tokens: Longest reply; 0 for what its prompt needs.
            engine: What draws its replies.
            folder: The folder the model was read from, where there is one.
        """
        compact = policy.codec.is_compact
        self.codec = policy.codec
        longest = reply_tokens or (COMPACT_REPLY_TOKENS if compact else REPLY_TOKENS)
        self.model = LocalModel(policy, longest, engine=engine, folder=folder)
        self.name = self.model.name

    @classmethod
    def load(cls, folder: Path, reply_tokens: int = 0) -> "LocalJudge":
        """Read the model of an artifact's folder, or a Hugging Face folder.

        Device, precision and engine are those of the stage that runs.
        """
        present = present_serving()
        policy = load_policy(inside(folder), cast(Precision, present.dtype), present.device)
        return cls(policy, reply_tokens, engine=present.engine, folder=inside(folder))

    @property
    def flops(self) -> float:
        """Operations of reading and replying so far."""
        return self.model.flops

    def ask(self, pairs: Sequence[Pair]) -> list[JudgeVerdict]:
        """A verdict for every pair, in order; what never ends is unparsed."""
        return [read_reply(reply) for reply in self.replies(pairs)]

    def replies(self, pairs: Sequence[Pair]) -> list[str]:
        """What the judge says of every pair, notes included."""
        groups: dict[tuple[str, Rule], list[int]] = {}
        for number, pair in enumerate(pairs):
            groups.setdefault((pair.reference, pair.rule), []).append(number)
        trunks = [
            ask_about(reference, [pairs[number].predicted for number in numbers], rule, self.codec)
            for (reference, rule), numbers in groups.items()
        ]
        replies = [""] * len(pairs)
        for numbers, of_trunk in zip(groups.values(), self.model.replies(trunks), strict=True):
            for number, reply in zip(numbers, of_trunk, strict=True):
                replies[number] = "" if reply.cut else reply.text
        return replies

    def close(self) -> None:
        """Release the engine."""
        self.model.close()


def ask_about(reference: str, predicted: Sequence[str], rule: Rule, codec: Codec) -> Trunk:
    """One reference and all that was predicted for it, as a trunk: texts are data, control tokens ours."""
    if codec.is_compact:
        document = tuple(codec.encode(_flat(reference)))
        suffixes = [
            codec.control("predict") + tuple(codec.encode(_flat(text))) + codec.control("think")
            for text in predicted
        ]
        opening = codec.begin_ids + codec.control("rpt")
        return Trunk(reference, opening, document, _cuts(len(document), suffixes))
    head, tail = around_document(before(rule), f"{BETWEEN}{PLACE}{AFTER}", codec)
    between, _, after = tail.partition(PLACE)
    document = tuple(codec.encode(field(reference)))
    middle, closing = codec.encode_template(between), codec.encode_template(after)
    suffixes = [(*middle, *codec.encode(field(text)), *closing) for text in predicted]
    return Trunk(reference, opening_ids(head, codec), document, _cuts(len(document), suffixes))


def _cuts(position: int, suffixes: Sequence[tuple[int, ...]]) -> tuple[Cut, ...]:
    return tuple(Cut(position, suffix) for suffix in suffixes)


def _flat(text: str) -> str:
    """One line with a space before every word, as the judge's own tokenizer knows words."""
    return "".join(f" {word}" for word in text.split())
