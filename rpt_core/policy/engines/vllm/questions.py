"""Cuts as a worker is asked about them, and its answers as samples. Token ids on both ways, never text."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from rpt_core.errors import RecipeError
from rpt_core.policy.engines.draws import cut_names
from rpt_core.policy.trunk import Sample, Sampling, Trunk
from rpt_core.policy.work import Work

GROUP_MAX = 1024
"""Most answers to a cut: child i of a request draws with seed + i, and seeds lie this far apart."""
TEMPERATURE_MIN = 0.01
"""vLLM raises lower ones to this without an error."""


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One cut: a prompt, and how its answers are drawn."""

    trunk: int
    """Index of its trunk among those asked."""
    cut: int
    depth: int
    """Tokens of the trunk before the cut."""
    suffix_ids: tuple[int, ...]
    """What follows them: the cut's own tokens, then forced ones."""
    stop_ids: frozenset[int]
    seed: int

    @property
    def num_tokens(self) -> int:
        """Length of the prompt."""
        return self.depth + len(self.suffix_ids)


def questions_of(trunks: Sequence[Trunk], sampling: Sampling, step: int) -> list[EngineRequest]:
    """A question for every cut, by trunk and depth, so that a prefix is asked where it was just computed.

    Raises:
        RecipeError: vLLM cannot draw so.
    """
    if sampling.group_size > GROUP_MAX or sampling.temperature < TEMPERATURE_MIN:
        raise RecipeError(
            f"vLLM draws at most {GROUP_MAX} answers to a question, at a temperature of at least "
            f"{TEMPERATURE_MIN}; asked were {sampling.group_size} at {sampling.temperature}. Change the "
            "recipe, or draw with engine=torch."
        )
    questions = []
    for index, trunk in enumerate(trunks):
        for number, (cut, name) in enumerate(zip(trunk.cuts, cut_names(trunk), strict=True)):
            seed = seed_of(sampling.seed, step, trunk.key, name)
            suffix = cut.suffix_ids + sampling.forced_ids
            depth, stops = trunk.depth(cut), sampling.stops(cut)
            questions.append(EngineRequest(index, number, depth, suffix, stops, seed))
    return sorted(questions, key=lambda one: (one.trunk, one.depth, one.cut))


def seed_of(seed: int, step: int, key: str, cut: str) -> int:
    """63 bits of what names a question, the lowest ten cleared: neighbouring answers never share a stream.

    Example:
        >>> seed_of(0, 1, "doc", "7.0") % GROUP_MAX, 0 <= seed_of(0, 1, "doc", "7.0") < 2**63
        (0, True)
    """
    digest = blake2b(f"{seed}/{step}/{cut}/{key}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 1) & ~(GROUP_MAX - 1)


def message_of(
    ask: int, questions: Sequence[EngineRequest], trunks: Sequence[Trunk], sampling: Sampling
) -> dict[str, Any]:
    """Questions as one message: every document once, every set of stop tokens once."""
    documents = list(dict.fromkeys(one.trunk for one in questions))
    stops = list(dict.fromkeys(one.stop_ids for one in questions))
    places = {trunk: place for place, trunk in enumerate(documents)}
    numbers = {ids: number for number, ids in enumerate(stops)}
    return {
        "ask": ask,
        "documents": [trunks[index].token_ids for index in documents],
        "stops": [sorted(ids) for ids in stops],
        "cuts": [
            [places[one.trunk], one.depth, one.suffix_ids, numbers[one.stop_ids], one.seed]
            for one in questions
        ],
        "n": sampling.group_size,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "max_tokens": sampling.max_new_tokens - len(sampling.forced_ids),
    }


@dataclass(frozen=True, slots=True)
class RequestGroup:
    """All answers to a question, and what they cost."""

    samples: list[Sample]
    num_forwarded: int
    """Tokens that went through the model: of prompts what was not cached, and drawn ones but the last."""
    flops: float


def group_of(answer: Any, question: EngineRequest, sampling: Sampling, work: Work) -> RequestGroup:
    """A worker's answers to one question.

    A forced token stands in the prompt, where vLLM gives no probability that could be trusted (beside a
    prefix cache): its log-probability is NaN.

    Raises:
        ValueError: they are not what was asked for; so are a KeyError and a TypeError.
    """
    rows, version = answer["samples"], int(answer["version"])
    room = sampling.max_new_tokens - len(sampling.forced_ids)
    if len(rows) != sampling.group_size:
        raise ValueError(f"{len(rows)} answers for {sampling.group_size}")
    unread = (math.nan,) * len(sampling.forced_ids)
    samples, forwarded, flops = [], 0, 0.0
    for row in rows:
        ids, logprobs, stopped = tuple(row["ids"]), tuple(row["logprobs"]), row["stopped"]
        if not 1 <= len(ids) == len(logprobs) <= room or stopped != (ids[-1] in question.stop_ids):
            raise ValueError(f"an answer of {len(ids)} tokens, {len(logprobs)} of them with a probability")
        if not stopped and len(ids) < room:
            raise ValueError(f"an answer cut short after {len(ids)} of {room} tokens")
        finish = "stop" if stopped else "length"
        samples.append(Sample(sampling.forced_ids + ids, unread + logprobs, finish, version))  # type: ignore[arg-type]
        first, last = int(row["cached"]), question.num_tokens + len(ids) - 1
        forwarded += last - first
        pairs = (last * (last + 1) - first * (first + 1)) / 2  # the token at place p sees p + 1
        flops += work.per_token * (last - first) + work.per_pair * pairs + work.per_score * len(ids)
    return RequestGroup(samples, forwarded, flops)


def shares(questions: Sequence[EngineRequest], num: int) -> list[list[EngineRequest]]:
    """Questions for each of ``num`` workers: a document's stay together, tokens are about equal."""
    by_trunk: dict[int, list[EngineRequest]] = {}
    for one in questions:
        by_trunk.setdefault(one.trunk, []).append(one)
    parts: list[list[EngineRequest]] = [[] for _ in range(num)]
    weights = [0] * num
    for group in sorted(by_trunk.values(), key=lambda group: -_weight(group)):
        least = weights.index(min(weights))
        parts[least] += group
        weights[least] += _weight(group)
    return parts


def _weight(questions: Iterable[EngineRequest]) -> int:
    return sum(one.num_tokens for one in questions)
