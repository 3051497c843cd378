"""Draw answers to questions and grade them: the core that every benchmark shares.

Letters: C cuts, R answers, V vocabulary, E hidden size.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch

from rpt_core.objectives.objective import Asked, Question, Verdict
from rpt_core.policy.engines.decoding import Decoding
from rpt_core.policy.engines.draws import inverse_cdf, stream_keys, truncate, uniforms
from rpt_core.policy.engines.engine import Drawn, RolloutEngine
from rpt_core.policy.head import chunks, product, without
from rpt_core.policy.loading.replace import replace_weights, stored_weights
from rpt_core.policy.model import Policy
from rpt_core.policy.parts import padded_batches
from rpt_core.policy.plain import hidden_at
from rpt_core.policy.trunk import Cut, Sample, Sampling, Trunk, raw_trunk

Grader = Callable[[Sequence[Asked], Drawn], Sequence[Verdict]]
"""Verdicts of all answers to some documents' questions, by document, question and answer, in one row."""

ANSWERS_AT_ONCE = 2048
"""Answers between two reports of progress; results do not depend on it."""


@dataclass(frozen=True, slots=True)
class GradedAnswer:
    """One answer to one question, with what it earned."""

    question: Question
    sample: int
    """Number of the answer among those to its question."""
    verdict: Verdict


@dataclass
class ModelUnderTest:
    """A model that is asked: its module, and an engine that draws with the same weights."""

    policy: Policy
    engine: RolloutEngine
    num_forwarded: int = 0
    """Tokens that went through the module outside the engine, where nothing was drawn."""

    def load_weights(self, folder: Path, version: int) -> None:
        """Ask another checkpoint from now on: engine and module both have its weights then.

        Raises:
            EngineError: the folder's parameters are not this model's.
        """
        self.engine.load_weights(folder, version)
        if not self.engine.shares_weights:
            replace_weights(self.policy, stored_weights(folder))

    def sampled(
        self, asked: Sequence[Asked], sampling: Sampling, grade: Grader, *, thinking: bool = False
    ) -> Iterator[list[GradedAnswer]]:
        """Draw and grade, a few documents at a time.

        Args:
            asked: Documents with their questions.
            sampling: How answers are drawn.
            grade: The benchmark's grader; it is given a portion at once, so that a judge is called seldom.
            thinking: Whether answers must think (:func:`draw_thinking`).

        Yields:
            The graded answers of some whole documents, in order.
        """
        for some in portions(asked, ANSWERS_AT_ONCE // sampling.group_size):
            trunks = [one.trunk for one in some]
            if thinking:
                drawn = draw_thinking(self.policy, self.engine, trunks, sampling)
            else:
                drawn = self.engine.generate(trunks, sampling, 0)
            numbered = [
                (question, number)
                for one, of_trunk in zip(some, drawn, strict=True)
                for question, of_cut in zip(one.questions, of_trunk, strict=True)
                for number in range(len(of_cut))
            ]
            verdicts = zip(numbered, grade(some, drawn), strict=True)
            yield [GradedAnswer(*which, verdict) for which, verdict in verdicts]


def portions(asked: Sequence[Asked], num_questions: int) -> Iterator[list[Asked]]:
    """Whole documents, about ``num_questions`` questions at a time."""
    some: list[Asked] = []
    for one in asked:
        if some and sum(len(a.questions) for a in some) + len(one.questions) > num_questions:
            yield some
            some = []
        some.append(one)
    if some:
        yield some


def draw_thinking(policy: Policy, engine: RolloutEngine, trunks: list[Trunk], sampling: Sampling) -> Drawn:
    """Answers that must think: the first token is given, and it is never one that ends the thought.

    Which word a thought begins with depends on the question, so no fixed token can be given. It is
    drawn from the policy's own distribution with the ways out of a thought (its end, the box, the end
    of the answer) taken away. The engine then goes on from there, so this works over any engine.

    Returns:
        Answers by trunk, cut and answer; given tokens have the probability they were drawn with.
    """
    first = _first_tokens(policy, trunks, sampling)
    opened = [
        replace(
            trunk,
            cuts=tuple(
                Cut(cut.position, (*cut.suffix_ids, token))
                for cut, given in zip(trunk.cuts, of_trunk, strict=True)
                for token, _ in given
            ),
        )
        for trunk, of_trunk in zip(trunks, first, strict=True)
    ]
    rest = replace(sampling, group_size=1, max_new_tokens=sampling.max_new_tokens - 1)
    drawn = engine.generate(opened, rest, 0)
    return [_joined(of_trunk, answers) for of_trunk, answers in zip(first, drawn, strict=True)]


First = list[list[tuple[int, float]]]
"""Of one trunk, by cut and answer: the token given and the log-probability it was drawn with."""


@torch.no_grad()
def _first_tokens(policy: Policy, trunks: list[Trunk], sampling: Sampling) -> list[First]:
    codec, size = policy.codec, sampling.group_size
    out = sorted({codec.control("end_think")[0], codec.control("box_open")[0], *sampling.stop_ids})
    names = [(t.key, f"first.{cut.position}", a) for t in trunks for cut in t.cuts for a in range(size)]
    numbers_R = uniforms(stream_keys(sampling.seed, 0, names), 0)
    entry_CE = Decoding(policy, trunks, 1).entry_CE
    policy.work.add_scores(len(entry_CE))
    logits_CV = without(product(entry_CE, policy.output_weight.mT), policy.unknown_ids)
    logits_CV = logits_CV.cpu() / sampling.temperature
    logits_CV[:, out] = -torch.inf
    logits_CV = truncate(logits_CV, sampling.top_k, sampling.top_p)
    logp_RV = logits_CV.log_softmax(1).repeat_interleave(size, 0)
    tokens_R, _ = inverse_cdf(logp_RV.exp(), numbers_R)
    logp_R = logp_RV.gather(1, tokens_R[:, None]).squeeze(1)
    pairs = iter(zip(tokens_R.tolist(), logp_R.tolist(), strict=True))
    return [[[next(pairs) for _ in range(size)] for _ in trunk.cuts] for trunk in trunks]


def _joined(first: First, answers: list[list[Sample]]) -> list[list[Sample]]:
    """Put the given token back before what followed it, answers gathered by cut again."""
    follows = iter(of_cut[0] for of_cut in answers)
    joined: list[list[Sample]] = []
    for given in first:
        joined.append([])
        for token, logprob in given:
            rest = next(follows)
            joined[-1].append(Sample((token, *rest.token_ids), (logprob, *rest.logprobs), rest.finish))
    return joined


@torch.no_grad()
def next_token_guesses(
    policy: Policy, asked: Sequence[Asked], *, instructed: bool, tokens_per_batch: int = 16_384
) -> list[list[int]]:
    """The likeliest next token at every question, without an answer being drawn.

    Args:
        policy: The model.
        asked: Documents with their questions.
        instructed: Whether the objective's instruction stands before the document. Without it the trunk
            is raw, BOS aside: what the model says of plain text.
        tokens_per_batch: Most tokens forwarded at once, padding included.

    Returns:
        Token ids by document and question.
    """
    trunks = [one.trunk if instructed else raw_trunk(one.trunk, policy.begin_ids) for one in asked]
    places = [[trunk.depth(cut) - 1 for cut in trunk.cuts] for trunk in trunks]
    # what follows the last cut changes nothing
    paths = [trunk.token_ids[: max(some) + 1] for trunk, some in zip(trunks, places, strict=True)]
    return _guesses(policy, paths, places, tokens_per_batch)


@torch.no_grad()
def truth_guesses(
    policy: Policy, asked: Sequence[Asked], *, instructed: bool, tokens_per_batch: int = 16_384
) -> list[list[tuple[int, ...]]]:
    """The likeliest token at every place of the true continuations, and the one after each.

    Greedy decoding says a true continuation where all of its own agree, so one pass over the documents tells.

    Args:
        policy: The model.
        asked: Documents with their questions.
        instructed: As of :func:`next_token_guesses`.
        tokens_per_batch: As there.

    Returns:
        By document and question, one token more than the question has true ones.
    """
    trunks = [one.trunk if instructed else raw_trunk(one.trunk, policy.begin_ids) for one in asked]
    lengths = [[len(question.truth_ids) + 1 for question in one.questions] for one in asked]
    paths = [_with_truths(trunk, one) for trunk, one in zip(trunks, asked, strict=True)]
    begins = [[trunk.depth(cut) - 1 for cut in trunk.cuts] for trunk in trunks]
    places = [
        [begin + ahead for begin, num in zip(some, nums, strict=True) for ahead in range(num)]
        for some, nums in zip(begins, lengths, strict=True)
    ]
    found = _guesses(policy, paths, places, tokens_per_batch)
    rows = [iter(tokens) for tokens in found]
    return [[tuple(islice(row, num)) for num in nums] for row, nums in zip(rows, lengths, strict=True)]


def _with_truths(trunk: Trunk, asked: Asked) -> tuple[int, ...]:
    """The trunk's tokens to the end of its last truth, which may lie beyond its window."""
    path = trunk.token_ids
    for cut, question in zip(trunk.cuts, asked.questions, strict=True):
        beyond = trunk.depth(cut) + len(question.truth_ids) - len(path)
        path += question.truth_ids[-beyond:] if beyond > 0 else ()
    ends = (trunk.depth(cut) + len(q.truth_ids) for cut, q in zip(trunk.cuts, asked.questions, strict=True))
    return path[: max(ends)]


def _guesses(
    policy: Policy, paths: Sequence[tuple[int, ...]], places: Sequence[Sequence[int]], tokens_per_batch: int
) -> list[list[int]]:
    """The likeliest token after some places of every path."""
    guesses: list[list[int]] = [[] for _ in paths]
    for batch in padded_batches([len(path) for path in paths], tokens_per_batch):
        hidden_CE = hidden_at(policy, [paths[i] for i in batch], [places[i] for i in batch])
        tokens = iter(_argmax(policy, hidden_CE))
        for i in batch:
            guesses[i] = [next(tokens) for _ in places[i]]
    return guesses


def _argmax(policy: Policy, hidden_CE: torch.Tensor) -> list[int]:
    weight = policy.output_weight
    policy.work.add_scores(len(hidden_CE))
    return [
        token
        for chunk in chunks(len(hidden_CE), weight)
        for token in without(product(hidden_CE[chunk], weight.mT), policy.unknown_ids).argmax(1).tolist()
    ]
