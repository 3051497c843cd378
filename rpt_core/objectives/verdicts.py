"""From a drawn answer to what is written down about it: the same for every objective."""

from dataclasses import dataclass, replace

from rpt_core.objectives.objective import Verdict
from rpt_core.objectives.outcomes import VerdictName
from rpt_core.policy.codec import Codec
from rpt_core.policy.trunk import Sample

END_OF_THOUGHT = b"</think>"


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer says: the thought, and what it predicts."""

    thought: bytes
    predictions: tuple[bytes, ...]
    r"""Ways to read it, likeliest first; of a box: braces in balance, then up to the last brace. A prediction
    may itself be a brace, so ``\boxed{}}`` may mean nothing or ``}``; either way counts."""


def answer_bytes(sample: Sample, codec: Codec) -> bytes:
    """What an answer says, without the token that ends it."""
    ids = sample.token_ids
    if sample.finish == "stop" and ids and ids[-1] in codec.end_ids:
        ids = ids[:-1]
    return codec.to_bytes(ids)


def verdict(
    sample: Sample, codec: Codec, reading: Reading | None, is_right: bool | None, score: float | None = None
) -> Verdict:
    """What an answer earned, and why.

    Args:
        sample: The answer.
        codec: The policy's codec.
        reading: What was read from it, if anything.
        is_right: None where what was read could not be compared.
        score: The reward where it is more than right or wrong.
    """
    name: VerdictName
    if sample.finish == "length":
        name = "truncated"
    elif reading is None or is_right is None:
        name = "unparsed"
    else:
        name = "correct" if is_right else "wrong"
    prediction = _text(reading.predictions[0]) if reading else ""
    return Verdict(
        score=float(name == "correct") if score is None else score,
        verdict=name,
        thought_tokens=thought_tokens(sample, codec),
        answer_tokens=len(sample.token_ids),
        thought=_text(reading.thought if reading else answer_bytes(sample, codec)),
        prediction=prediction,
        prediction_tokens=len(codec.encode(prediction)),
    )


def thought_end(codec: Codec) -> frozenset[int]:
    """Where drawing of a thought stops: at its end, or at the last token of an end that is spelled out."""
    return frozenset(codec.control("end_think")[-1:])


def is_ended(sample: Sample, codec: Codec) -> bool:
    """Whether drawing stopped at the end of the thought.

    Where the end is spelled out (``</``, ``think``, ``>``), drawing stops at its last token wherever that
    comes, and a thought that says it elsewhere counts as one that never ended.
    """
    if sample.finish != "stop":
        return False
    is_spelled = len(codec.control("end_think")) > 1
    return not is_spelled or codec.to_bytes(sample.token_ids).endswith(END_OF_THOUGHT)


def scored_thought(sample: Sample, codec: Codec) -> Verdict:
    """An answer that is a thought alone: what it earns is not known from it."""
    never: VerdictName = "truncated" if sample.finish == "length" else "unparsed"
    return Verdict(
        score=0.0,
        verdict="scored" if is_ended(sample, codec) else never,
        thought_tokens=thought_tokens(sample, codec),
        answer_tokens=len(sample.token_ids),
        thought=answer_bytes(sample, codec).decode(errors="replace"),
    )


def learnt(
    verdict: Verdict, logprobs: tuple[float, ...], weight: float, emphasis: tuple[float, ...] = ()
) -> Verdict:
    """A verdict whose (first) forced truth is learnt with a weight; none where nothing was scored."""
    first, *rest = verdict.forced
    own = replace(first, logprobs=logprobs, weight=weight if logprobs else 0.0, emphasis=emphasis)
    return replace(verdict, forced=(own, *rest))


def thought_tokens(sample: Sample, codec: Codec) -> int:
    """Tokens before the end of the thought; all of them where the thought never ends."""
    total = codec.to_bytes(sample.token_ids).find(END_OF_THOUGHT)
    if total < 0:
        return len(sample.token_ids)
    starts = codec.byte_starts(sample.token_ids)[:-1]
    return int((starts < total).sum())


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="replace")
