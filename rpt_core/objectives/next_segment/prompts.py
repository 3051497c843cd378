"""The words around a document for next-segment reasoning: ASR and MSR on one trunk.

What both tasks predict, and from what, is in ``question.py``.

In the paper ASR puts its task before the context and MSR after it (RLPT, section 3.2). Here both stand
after the cut, so that questions of either kind share the document before it; headings, the <MASK> line
and the answer's markers are the paper's, the sentences are ours.
"""

from dataclasses import dataclass
from typing import Literal

from rpt_core.errors import RecipeError
from rpt_core.policy.codec import Codec
from rpt_core.policy.message import PLACE, around_document, opening_ids
from rpt_core.policy.tokens.vocabulary import MARK_TEXT

Task = Literal["asr", "msr"]

HEAD = "## Text Material ##:\n"
_WRAP = (
    "Reason step by step first; then write {what} between "
    f"{MARK_TEXT['start_prediction']} and {MARK_TEXT['end_prediction']}."
)
ASR = (
    "\n\n## Task ##:\nThe text above breaks off. Complete it with its most probable next sentence. "
    + _WRAP.format(what="that sentence")
)
MSR_GAP = "\n<MASK>\n"
MSR = (
    "\n\n## Task ##:\nA sentence or a step of the text is missing at <MASK>. Work out carefully what must "
    "stand there. " + _WRAP.format(what="what is missing")
)


@dataclass(frozen=True, slots=True)
class SegmentPrompt:
    """Token ids before the document and after a cut, by task."""

    instruction_ids: tuple[int, ...]
    asr_ids: tuple[int, ...]
    gap_ids: tuple[int, ...]
    """Between the cut and the following segment."""
    msr_ids: tuple[int, ...]
    """Between the following segment and the answer."""

    @property
    def num_tokens(self) -> int:
        """The most the words take from the context, the following segment aside."""
        return len(self.instruction_ids) + max(len(self.asr_ids), len(self.gap_ids) + len(self.msr_ids))

    def suffix(self, task: Task, following_ids: tuple[int, ...]) -> tuple[int, ...]:
        """What stands between a cut and every answer."""
        return self.asr_ids if task == "asr" else self.gap_ids + following_ids + self.msr_ids


def segment_prompt(name: Literal["auto", "worded", "compact"], codec: Codec) -> SegmentPrompt:
    """The words for next-segment reasoning.

    Args:
        name: ``auto`` is ``compact`` where the tokenizer has its control tokens, else ``worded``.
        codec: The policy's codec.

    Raises:
        RecipeError: ``compact`` with a tokenizer that has no control tokens for it.
    """
    if name == "compact" or (name == "auto" and codec.is_compact):
        return _compact(codec)
    head, asr = around_document(HEAD, ASR, codec)
    _, tail = around_document(HEAD, f"{MSR_GAP}{PLACE}{MSR}", codec)
    gap, _, msr = tail.partition(PLACE)
    ids = [tuple(codec.encode_template(words)) for words in (_opened(asr), gap, _opened(msr))]
    return SegmentPrompt(opening_ids(head, codec), *ids)


def wrapped(codec: Codec, prediction_ids: tuple[int, ...]) -> tuple[int, ...]:
    """A closed thought, the markers with a prediction between them, and the end: a whole answer's rest."""
    start, end = codec.control("start_prediction"), codec.control("end_prediction")
    return (*codec.control("end_think"), *start, *prediction_ids, *end, codec.end_id)


def _compact(codec: Codec) -> SegmentPrompt:
    if not codec.is_compact:
        raise RecipeError(
            "prompt=compact stands for control tokens of a model trained here (<|rpt|>, <|predict|>), and "
            "this model's tokenizer has none. Take prompt=worded."
        )
    answer = codec.control("predict") + codec.control("think")
    return SegmentPrompt(codec.begin_ids + codec.control("rpt"), answer, codec.control("mask"), answer)


def _opened(tail: str) -> str:
    return tail if tail.rstrip().endswith("<think>") else f"{tail}<think>\n"
