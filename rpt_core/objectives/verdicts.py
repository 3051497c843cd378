"""From a drawn answer to what is written down about it: the same for every objective."""

from dataclasses import dataclass, replace

from rpt_core.errors import RecipeError
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
    """The token that ends a thought, where drawing is to stop.

    Raises:
        RecipeError: no single token does.
    """
    if (num := len(codec.control("end_think"))) != 1:
        raise RecipeError(
            f"</think> is {num} tokens of this model's tokenizer, and drawing can stop at a single one only, "
            "so an objective whose answer is the thought alone (rlp, verifree, jepo, nrt, expected-prefix, "
            "reward=gain) would never see it end. Take a model with that token, or objective rpt."
        )
    return frozenset(codec.control("end_think"))


def scored_thought(sample: Sample, codec: Codec) -> Verdict:
    """An answer that is a thought alone: what it earns is not known from it."""
    return Verdict(
        score=0.0,
        verdict="scored" if sample.finish == "stop" else "truncated",
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
