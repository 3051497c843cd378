"""Segments without a judge: a thought earns what it adds to the likelihood of the true segment.

    r = f(c) - f(b)

``c_k`` is the chance of the segment's k-th token after the thought, ``b_k`` after an empty one, both under
the policy and in one pass; f is a form of :mod:`rpt_core.objectives.likelihood`. ``log`` is RLP's gain in
nats (arXiv 2510.01265), the others are NRT's, at least 0 (arXiv 2602.11549); ``surprise`` finds the words
that depend on the thought. An answer is the thought alone; the segment is forced after it between its marks,
by the document's own tokens. For MSR the segment after the gap is shown in both, or copying it would be
rewarded.

A likelihood rewards wording where a judge rewards meaning: a right paraphrase scores low, fluent boilerplate
high. Two guards: what is likely without a thought is taken off, and a segment that the policy expects anyway
(``log b`` above ``-gain_floor_nats`` a token) pays nobody.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rpt_core.objectives.evidence import Evidence, Needs, Wanted
from rpt_core.objectives.likelihood import Form, log_likelihood, slopes, value, with_mean
from rpt_core.objectives.next_segment.objective import SegmentObjective
from rpt_core.objectives.next_segment.prompts import Task, segment_prompt
from rpt_core.objectives.next_segment.question import AskedSegment, SegmentQuestion
from rpt_core.objectives.next_segment.targets import Target, TargetWindow
from rpt_core.objectives.objective import (
    Asked,
    Drawn,
    ForcedTarget,
    Gather,
    Question,
    Verdict,
    Verdicts,
    by_itself,
)
from rpt_core.objectives.verdicts import is_ended, learnt, scored_thought, thought_end
from rpt_core.policy.codec import Codec
from rpt_core.policy.tails import Tail
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.reinforce import RlptRecipe

Logprobs = tuple[float, ...]


class AskedWithTruth(AskedSegment):
    """The same question, with the segment's own tokens."""

    def _question(self, page: TargetWindow, target: Target, task: Task) -> SegmentQuestion:
        plain = super()._question(page, target, task)
        first = target.position - page.start
        ids = page.document_ids[first : first + target.num_tokens]
        is_whole = len(ids) == target.num_tokens  # else the window ends inside it
        return replace(plain, truth_ids=ids if is_whole else ())


class SegmentGain(SegmentObjective):
    """Next-segment reasoning rewarded by the likelihood of what stands in the text."""

    needs = Needs(forced=True)

    def __init__(self, recipe: RlptRecipe, inputs: Mapping[str, Path], codec: Codec) -> None:
        self.settings, self._codec = recipe.objective, codec
        self.stop_ids = thought_end(codec)
        self.counts: Counter[str] = Counter()
        """Of thoughts and what they added, since the last report."""
        prompt = segment_prompt(recipe.objective.prompt, codec)
        super().__init__(recipe, inputs, codec, AskedWithTruth(recipe.objective, codec, prompt))

    def wanted(self, asked: Sequence[Asked], drawn: Drawn) -> Wanted:
        """The segment after every thought that ended, and after an empty one."""
        end = self._codec.control("end_think")
        empty = [[[self._tail_after(question, end)] for question in one.questions] for one in asked]
        tails = [
            [
                [self._tail(question, sample) for sample in group]
                for question, group in zip(one.questions, groups, strict=True)
            ]
            for one, groups in zip(asked, drawn, strict=True)
        ]
        return Wanted(tails=tails, empty_tails=empty)

    def verdicts(self, asked: Sequence[Asked], drawn: Drawn, evidence: Evidence | None = None) -> Verdicts:
        """Verdicts by document, question and answer; their rewards with the evidence alone."""
        found = [
            [
                [self._judged(question, sample) for sample in group]
                for question, group in zip(one.questions, groups, strict=True)
            ]
            for one, groups in zip(asked, drawn, strict=True)
        ]
        if evidence is None:
            return found
        return [
            [self._rewarded(*group) for group in zip(groups, tails, without, strict=True)]
            for groups, tails, without in zip(found, evidence.tails, evidence.empty_tails, strict=True)
        ]

    def report(self, gather: Gather = by_itself) -> tuple[dict[str, float], dict[str, float]]:
        """Since the last report, of all processes: mean gain in nats, and the share of thoughts with one."""
        counts = Counter[str]()
        for one in gather(Counter(self.counts)):
            counts.update(one)
        self.counts.clear()
        num = counts["thoughts"]
        metrics = {"gain/segments_expected": float(counts["expected"])}
        if num:
            metrics["gain/nats"] = counts["micronats"] / 1e6 / num
            metrics["gain/share_above_0"] = counts["gained"] / num
        return metrics, {}

    def _judged(self, question: Question, sample: Sample) -> Verdict:
        target = ForcedTarget(self._tail(question, sample))
        return replace(scored_thought(sample, self._codec), forced=(target,))

    def _tail_after(self, question: Question, thought_ids: Sequence[int]) -> Tail:
        mark = self._codec.control("start_prediction")
        return Tail((*thought_ids, *mark), question.truth_ids)

    def _tail(self, question: Question, sample: Sample) -> Tail:
        """Nothing to score where the thought never ended."""
        ended = is_ended(sample, self._codec)
        return self._tail_after(question, sample.token_ids) if ended else Tail((), ())

    def _rewarded(
        self, group: list[Verdict], tails: Sequence[Logprobs], without: Sequence[Logprobs]
    ) -> list[Verdict]:
        settings, (bare,) = self.settings, without
        if is_expected(bare, settings.gain_floor_nats):
            self.counts["expected"] += 1
            return group
        self._note(tails, bare)
        scores = gains(settings.gain_form, tails, bare)
        return [
            learnt(
                replace(verdict, score=score),
                tail,
                settings.truth_weight,
                slopes(settings.gain_form, tail, bare) if tail else (),
            )
            for verdict, tail, score in zip(group, tails, scores, strict=True)
        ]

    def _note(self, tails: Sequence[Logprobs], without: Logprobs) -> None:
        """What the thoughts added in nats, whatever the form of the reward."""
        bare = log_likelihood(without)
        for own in (log_likelihood(tail) for tail in tails):
            if own is not None and bare is not None:
                self.counts["thoughts"] += 1
                self.counts["gained"] += own > bare
                self.counts["micronats"] += round((own - bare) * 1e6)


def gains(form: Form, tails: Sequence[Sequence[float]], without: Sequence[float]) -> list[float]:
    """What each thought of a group earns: of ``log`` the gain in nats, of others the gain or 0.

    A thought that never ended has no likelihood: of ``log`` it stays out with the mean of the others, of the
    others it earns 0.

    Example:
        >>> import math
        >>> tails = [[math.log(0.8), math.log(0.5)], [], [math.log(0.1), math.log(0.5)]]
        >>> without = [math.log(0.4), math.log(0.5)]
        >>> [round(one, 4) for one in gains("mean", tails, without)]
        [0.2, 0.0, 0.0]
        >>> [round(one, 4) for one in gains("log", tails, without)]
        [0.6931, -0.3466, -1.3863]
    """
    others = value(form, without, without)
    if others is None:
        return [0.0] * len(tails)
    found = [value(form, tail, without) for tail in tails]
    if form == "log":
        return with_mean([None if own is None else own - others for own in found])
    return [0.0 if own is None else max(0.0, own - others) for own in found]


def is_expected(without: Sequence[float], floor_nats: float) -> bool:
    """Whether a segment is so likely without a thought that there is nothing to gain, or cannot be scored.

    Example:
        >>> is_expected([-0.1, -0.3], 0.3), is_expected([-0.1, -0.9], 0.3), is_expected([], 0.3)
        (True, False, True)
    """
    total = log_likelihood(without)
    return total is None or total / len(without) > -floor_nats
