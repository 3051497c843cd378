"""RLPT: think, then write the next segment (ASR) or the missing one (MSR); right is what a judge says.

    E_ASR[r(s_i given s_<i)] + lambda * E_MSR[r(s_i given s_<i, s_(i+1))]      (arXiv 2509.19249, section 3.1)

The words around a text are in ``prompts.py``, the mix of both tasks in ``objective.py``.

A document's segments are asked about on one trunk. An answer that cannot be read, or that a guard
refuses, never reaches the judge; one that repeats the text word for word needs none.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from rpt_core.objectives.evidence import JudgeVerdict, Pair, Placed
from rpt_core.objectives.next_segment.guards import Guards, read, refusal
from rpt_core.objectives.next_segment.judge import CachedJudge, errs, total
from rpt_core.objectives.next_segment.prompts import SegmentPrompt, Task, segment_prompt
from rpt_core.objectives.next_segment.targets import Target, TargetWindow
from rpt_core.objectives.objective import Asked, Drawn, Gather, Question, Verdict, by_itself
from rpt_core.objectives.outcomes import VerdictName
from rpt_core.objectives.verdicts import answer_bytes, verdict
from rpt_core.policy.codec import Codec
from rpt_core.policy.trunk import Cut, Sample, Trunk
from rpt_core.recipes.rlpt_objective import RlptObjective
from rpt_core.sample.second.wordings import WORDS

SHOWN_TOKENS = 24
"""Tokens of context that a table of rollouts shows."""
_NAMES: dict[JudgeVerdict, VerdictName] = {
    "yes": "correct", "no": "wrong", "unparsed": "unparsed", "timed out": "timed out",
}  # fmt: skip
"""What a judge's verdict makes of an answer. One that could not be reached ends the step instead."""


@dataclass(frozen=True, slots=True)
class SegmentQuestion(Question):
    """A question about a segment."""

    task: Task = "asr"
    prefixes: tuple[str, ...] = ()
    """What counts as right, word for word: the segment, the segment and the next, and so on."""
    following_ids: tuple[int, ...] = ()
    """What an MSR question shows after the gap."""
    char_offset: int = 0
    """Code points of the document before the segment."""

    @property
    def reference(self) -> str:
        """What the judge compares with."""
        return self.prefixes[-1]


@dataclass(frozen=True, slots=True)
class _Read:
    """What can be said of an answer without a judge."""

    verdict: Verdict
    pair: Pair | None = None
    """What to ask a judge, where the verdict is the judge's to give."""
    counted: str = ""
    """Why no judge is needed, for the report; empty where nothing could be read."""


@dataclass(frozen=True)
class AskedSegment:
    """How one question about a segment is asked; targets come from outside."""

    settings: RlptObjective
    codec: Codec
    prompt: SegmentPrompt

    def window_tokens(self, context_tokens: int) -> int:
        """Document tokens a trunk may hold when words, document and a following segment share a context."""
        shown = self.settings.segment_tokens_max if self.settings.msr_share else 0
        return max(16, context_tokens - self.prompt.num_tokens - min(shown, context_tokens // 4))

    def ask(self, page: TargetWindow, chosen: Sequence[tuple[Target, Task]]) -> Asked:
        """Questions about some targets of a page, as one trunk."""
        questions = [self._question(page, target, task) for target, task in chosen]
        cuts = [
            Cut(question.position - page.start, self.prompt.suffix(question.task, question.following_ids))
            for question in questions
        ]
        trunk = Trunk(page.key, self.prompt.instruction_ids, page.document_ids, tuple(cuts))
        return Asked(trunk, tuple(questions))

    def _question(self, page: TargetWindow, target: Target, task: Task) -> SegmentQuestion:
        prefixes = target.prefixes if task == "asr" else target.prefixes[:1]
        following = tuple(self.codec.encode(target.shown))[: self.settings.segment_tokens_max]
        within = target.position - page.start
        tail = page.document_ids[max(0, within - SHOWN_TOKENS) : within]
        return SegmentQuestion(
            document=page.doc_id,
            position=target.position,
            truth=target.prefixes[0],
            tail=self.codec.decode(tail),
            task=task,
            prefixes=prefixes,
            following_ids=following if task == "msr" else (),
            char_offset=target.span[0],
        )


@dataclass(frozen=True)
class NextSegment(AskedSegment):
    """How an answer with a prediction in it is judged."""

    judge: CachedJudge
    counts: Counter[str]
    """Why answers were judged as they were, since the last report."""

    @classmethod
    def of(cls, settings: RlptObjective, codec: Codec, judge: CachedJudge) -> "NextSegment":
        """With the prompt the settings name."""
        return cls(settings, codec, segment_prompt(settings.prompt, codec), judge, Counter())

    def verdicts(
        self, asked: Sequence[Asked], drawn: Drawn, judged: Placed[JudgeVerdict | None] | None = None
    ) -> list[Verdict]:
        """Verdicts of all answers to some documents' questions, in order.

        Args:
            asked: Documents with their questions.
            drawn: Their answers.
            judged: What the judge said of :meth:`pairs`. None: the judge is asked here, once for all.
        """
        readings = self._readings(asked, drawn)
        self.counts.update(reading.counted for reading in readings if reading.counted)
        if judged is None:
            said = iter(self.judge.ask([one.pair for one in readings if one.pair]))
        else:
            said = iter([one for of_trunk in judged for of_cut in of_trunk for one in of_cut if one])
        return [
            self._judged(one.verdict, one.pair, next(said)) if one.pair else one.verdict for one in readings
        ]

    def pairs(self, asked: Sequence[Asked], drawn: Drawn) -> list[Pair | None]:
        """What a judge is to compare, answer by answer, in order; None where none is needed."""
        return [reading.pair for reading in self._readings(asked, drawn)]

    def _readings(self, asked: Sequence[Asked], drawn: Drawn) -> list["_Read"]:
        return [
            self._read(one.trunk, cut, cast(SegmentQuestion, question), sample)
            for one, of_trunk in zip(asked, drawn, strict=True)
            for cut, question, of_cut in zip(one.trunk.cuts, one.questions, of_trunk, strict=True)
            for sample in of_cut
        ]

    def _read(self, trunk: Trunk, cut: Cut, question: SegmentQuestion, sample: Sample) -> "_Read":
        """What can be said of an answer without a judge; and the pair to ask about, where nothing can."""
        reading = read(answer_bytes(sample, self.codec)) if sample.finish == "stop" else None
        said = _text(reading.predictions[0]) if reading else None
        if said is None:
            return _Read(verdict(sample, self.codec, None, None))
        refused = self._refused(trunk, cut, question, said)
        if refused:
            return _Read(verdict(sample, self.codec, reading, False), counted=f"guard/{refused}")
        exact = {_flat(prefix) for prefix in question.prefixes}
        if _flat(said) in exact:
            return _Read(verdict(sample, self.codec, reading, True), counted="judge/not_needed")
        pair = Pair(question.reference, said, self.settings.rule)
        return _Read(verdict(sample, self.codec, reading, False), pair)

    def _refused(self, trunk: Trunk, cut: Cut, question: SegmentQuestion, said: str) -> str | None:
        settings = self.settings
        guards = Guards(settings.min_tokens, settings.min_share, settings.copy_ngram, settings.copy_share_max)
        seen = (trunk.document_ids[: cut.position], question.following_ids)
        return refusal(self._encoded(said), self._encoded(question.truth), seen, said, guards)

    def _judged(self, found: Verdict, pair: Pair, said: JudgeVerdict) -> Verdict:
        if said == "no" and errs(pair.predicted, self.settings.judge_errs_share):
            self.counts["judge/erred_on_purpose"] += 1
            said = "yes"
        if self.settings.audit:
            self._audit(WORDS[self.settings.audit].says_prefix(pair.reference, pair.predicted), said)
        name = _NAMES[said]
        return replace(found, verdict=name, score=float(name == "correct"))

    def _audit(self, truth: bool | None, said: JudgeVerdict) -> None:
        if truth is not None:
            self.counts["audit/right" if truth else "audit/wrong"] += 1
            self.counts["audit/false_rejects" if truth else "audit/false_accepts"] += (said == "yes") != truth

    def _encoded(self, text: str) -> tuple[int, ...]:
        """Tokens as they stand in a text: with the space before the first word, where tokens have one."""
        return tuple(self.codec.encode(f" {text.strip()}"))


def report(
    next_segment: NextSegment, gather: Gather = by_itself
) -> tuple[dict[str, float], dict[str, float]]:
    """What was counted since the last report, in all processes that are gathered: metrics, and timings."""
    found = gather((next_segment.judge.tally(), Counter(next_segment.counts)))
    tally, counts = total([one for one, _ in found]), Counter[str]()
    for _, more in found:
        counts.update(more)  # and not a sum, which would forget counts of zero
    metrics = {f"judge/{name}": float(num) for name, num in tally.verdicts.items()}
    metrics |= {name: float(num) for name, num in sorted(counts.items())}
    if counts["audit/wrong"]:
        metrics["audit/false_accept_rate"] = counts["audit/false_accepts"] / counts["audit/wrong"]
    if counts["audit/right"]:
        metrics["audit/false_reject_rate"] = counts["audit/false_rejects"] / counts["audit/right"]
    next_segment.counts.clear()
    return metrics, tally.timings()


def _flat(text: str) -> str:
    return " ".join(text.split())


def _text(content: bytes) -> str | None:
    """The prediction as text, without blanks at its ends; None for half a character."""
    try:
        return content.decode().strip()
    except UnicodeDecodeError:
        return None
