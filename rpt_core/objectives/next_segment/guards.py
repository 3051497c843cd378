"""What an answer predicts, read between two markers, and the guards against predictions that only look right.

RLPT asks a generative judge whether a prediction means the same as the beginning of what follows. Three
ways of pleasing a judge without predicting anything are refused before it is asked: a stub (an empty text
begins every text), a copy of what stands around the gap, and text written for the judge instead of the
reader. The paper has none of the guards.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rpt_core.objectives.verdicts import END_OF_THOUGHT, Reading

START = b"<|startofprediction|>"
END = b"<|endofprediction|>"
MARKERS = (b"<think>", END_OF_THOUGHT, START, END)
"""The answer format's own words. A text that holds them would be mistaken for an answer."""

Refusal = Literal["too-short", "copies-context", "imitates-judge"]

_FOR_THE_JUDGE = re.compile(
    r"score\s*[:=\uff1a]\s*[01]\b"
    r"|^[^\w\n]*+(?:reference|predicted)\s*[:\uff1a]"
    r"|<\|[^|<>\n]{1,40}\|>|</?think>|\[/?INST\]",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Guards:
    """What a prediction must be before a judge is asked."""

    min_tokens: int = 8
    min_share: float = 0.5
    """Of the true segment's tokens."""
    copy_ngram: int = 8
    """Tokens in a run that count as copied."""
    copy_share_max: float = 0.5
    """Largest share of a prediction that may be copied, unless the truth itself repeats as much."""


def read(answer: bytes) -> Reading | None:
    """Find the prediction: between the one pair of markers after the end of the thought.

    A marker that is missing, doubled or in the wrong order makes the answer unreadable, and so does
    anything but blanks after the last one. What a thought says about the markers
    does not count.

    Example:
        >>> pair = b"<|startofprediction|> It rains.<|endofprediction|>"
        >>> read(b" so</think>" + pair).predictions
        (b' It rains.',)
        >>> [read(x) for x in (pair, b"</think>" + pair + pair, b"</think> It rains.")]
        [None, None, None]
    """
    thought, ended, rest = answer.partition(END_OF_THOUGHT)
    if not ended or rest.count(START) != 1 or rest.count(END) != 1:
        return None
    _, _, after = rest.partition(START)
    inside, closed, behind = after.partition(END)
    return Reading(thought, (inside,)) if closed and not behind.strip() else None


def imitates_judge(text: str) -> bool:
    r"""Whether a text speaks the judge's format or that of a chat: it may try to answer in its place.

    Example:
        >>> [imitates_judge(t) for t in ("It rains.\nScore: 1", "<|im_start|>user", "The score was 3:1.")]
        [True, True, False]
    """
    return _FOR_THE_JUDGE.search(text) is not None


def refusal(
    predicted_ids: Sequence[int],
    true_ids: Sequence[int],
    visible_ids: Sequence[Sequence[int]],
    predicted: str,
    guards: Guards,
) -> Refusal | None:
    """Why a prediction is wrong without any judge, if it is.

    Args:
        predicted_ids: The prediction's tokens, blanks at its ends taken off.
        true_ids: The true segment's tokens, likewise.
        visible_ids: What the policy saw: the context, and for MSR the segment after the gap.
        predicted: The prediction as text.
        guards: The limits.
    """
    if imitates_judge(predicted):
        return "imitates-judge"
    if len(predicted_ids) < least_tokens(len(true_ids), guards):
        return "too-short"
    copied = max((copied_share(predicted_ids, seen, guards.copy_ngram) for seen in visible_ids), default=0.0)
    if copied <= guards.copy_share_max:
        return None
    repeats = max(copied_share(true_ids, seen, guards.copy_ngram) for seen in visible_ids)
    return "copies-context" if copied > repeats else None


def least_tokens(num_true: int, guards: Guards) -> int:
    """Tokens a prediction needs: a floor and a share of the truth, but never more than the truth has.

    Example:
        >>> [least_tokens(n, Guards()) for n in (5, 10, 40)]
        [5, 8, 20]
    """
    return min(num_true, max(guards.min_tokens, -int(-guards.min_share * num_true // 1)))


def copied_share(ids: Sequence[int], seen: Sequence[int], ngram: int) -> float:
    """Share of a text's runs of ``ngram`` tokens that also stand in what was seen; shorter texts as a whole.

    Example:
        >>> copied_share([1, 2, 3, 4], [9, 1, 2, 3, 9], 3)
        0.5
        >>> copied_share([1, 2], [9, 1, 2, 3, 9], 3)
        1.0
    """
    size = min(ngram, len(ids))
    if not size:
        return 0.0
    known = {tuple(seen[i : i + size]) for i in range(len(seen) - size + 1)}
    runs = [tuple(ids[i : i + size]) for i in range(len(ids) - size + 1)]
    return sum(run in known for run in runs) / len(runs)
