"""RLPT: think, then write the next segment (ASR) or the missing one (MSR); right is what a judge says.

A document's segments are asked about on one trunk. An answer that cannot be read, or that a guard
refuses, never reaches the judge; one that repeats the text word for word needs none.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from rpt_core.errors import StarvedError
from rpt_core.objectives.next_segment.guards import Guards, read, refusal
from rpt_core.objectives.next_segment.judge import JudgeVerdict, Pair, PatientJudge
from rpt_core.objectives.next_segment.judge_local import LocalJudge
from rpt_core.objectives.next_segment.judge_service import Service, ServiceJudge
from rpt_core.objectives.next_segment.prompts import SegmentPrompt, Task, segment_prompt
from rpt_core.objectives.next_segment.targets import Page, Target, Targets
from rpt_core.objectives.next_token.positions import Rounds
from rpt_core.objectives.objective import Asked, Question, Verdict, VerdictName, by_place
from rpt_core.objectives.verdicts import answer_bytes, verdict
from rpt_core.policy.codec import Codec
from rpt_core.policy.trunk import Cut, Sample, Trunk
from rpt_core.recipes.judge import JudgeFields
from rpt_core.recipes.reinforce import RlptRecipe
from rpt_core.recipes.rlpt_objective import RlptObjective
from rpt_core.sample.wordings import says_prefix

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

    @property
    def reference(self) -> str:
        """What the judge compares with."""
        return self.prefixes[-1]


@dataclass(frozen=True)
class NextSegment:
    """How one question about a segment is put and judged; targets come from outside."""

    settings: RlptObjective
    codec: Codec
    prompt: SegmentPrompt
    judge: PatientJudge
    counts: Counter[str]
    """Why answers were judged as they were, since the last report."""

    @classmethod
    def of(cls, settings: RlptObjective, codec: Codec, judge: PatientJudge) -> "NextSegment":
        """With the prompt the settings name."""
        return cls(settings, codec, segment_prompt(settings.prompt, codec), judge, Counter())

    def window_tokens(self, context_tokens: int) -> int:
        """Document tokens a trunk may hold when words, document and a following segment share a context."""
        shown = self.settings.segment_tokens_max if self.settings.msr_share else 0
        return max(16, context_tokens - self.prompt.num_tokens - min(shown, context_tokens // 4))

    def ask(self, page: Page, chosen: Sequence[tuple[Target, Task]]) -> Asked:
        """Questions about some targets of a page, as one trunk."""
        questions = [self._question(page, target, task) for target, task in chosen]
        cuts = [
            Cut(question.position - page.start, self.prompt.suffix(question.task, question.following_ids))
            for question in questions
        ]
        trunk = Trunk(page.key, self.prompt.instruction_ids, page.document_ids, tuple(cuts))
        return Asked(trunk, tuple(questions))

    def verdicts(self, asked: Sequence[Asked], drawn: Sequence[Sequence[Sequence[Sample]]]) -> list[Verdict]:
        """Verdicts of all answers to some documents' questions, in order, the judge asked once for all."""
        readings = [
            self._read(one.trunk, cut, cast(SegmentQuestion, question), sample)
            for one, of_trunk in zip(asked, drawn, strict=True)
            for cut, question, of_cut in zip(one.trunk.cuts, one.questions, of_trunk, strict=True)
            for sample in of_cut
        ]
        open_ = [(found, pair) for found, pair in readings if pair is not None]
        judged = iter(self.judge.ask([pair for _, pair in open_]))
        return [
            found if pair is None else self._judged(found, pair, next(judged)) for found, pair in readings
        ]

    def _question(self, page: Page, target: Target, task: Task) -> SegmentQuestion:
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
        )

    def _read(
        self, trunk: Trunk, cut: Cut, question: SegmentQuestion, sample: Sample
    ) -> tuple[Verdict, Pair | None]:
        """What can be said of an answer without a judge; and the pair to ask about, where nothing can."""
        reading = read(answer_bytes(sample, self.codec)) if sample.finish == "stop" else None
        said = _text(reading.predictions[0]) if reading else None
        if said is None:
            return verdict(sample, self.codec, None, None), None
        refused = self._refused(trunk, cut, question, said)
        if refused:
            self.counts[f"guard/{refused}"] += 1
            return verdict(sample, self.codec, reading, False), None
        exact = {_flat(prefix) for prefix in question.prefixes}
        if _flat(said) in exact:
            self.counts["judge/not_needed"] += 1
            return verdict(sample, self.codec, reading, True), None
        pair = Pair(question.reference, said, self.settings.rule)
        return verdict(sample, self.codec, reading, False), pair

    def _refused(self, trunk: Trunk, cut: Cut, question: SegmentQuestion, said: str) -> str | None:
        settings = self.settings
        guards = Guards(settings.min_tokens, settings.min_share, settings.copy_ngram, settings.copy_share_max)
        seen = (trunk.document_ids[: cut.position], question.following_ids)
        return refusal(self._encoded(said), self._encoded(question.truth), seen, said, guards)

    def _judged(self, found: Verdict, pair: Pair, said: JudgeVerdict) -> Verdict:
        if self.settings.audit:
            self._audit(pair, said)
        name = _NAMES[said]
        return replace(found, verdict=name, score=float(name == "correct"))

    def _audit(self, pair: Pair, said: JudgeVerdict) -> None:
        truth = says_prefix(pair.reference, pair.predicted)
        if truth is not None:
            self.counts["audit/right" if truth else "audit/wrong"] += 1
            self.counts["audit/false_rejects" if truth else "audit/false_accepts"] += (said == "yes") != truth

    def _encoded(self, text: str) -> tuple[int, ...]:
        """Tokens as they stand in a text: with the space before the first word, where tokens have one."""
        return tuple(self.codec.encode(f" {text.strip()}"))


class Rlpt:
    """Next-segment reasoning over a segmented corpus (design 3.4: an :class:`Objective`)."""

    name = "rlpt"

    def __init__(
        self, recipe: RlptRecipe, inputs: Mapping[str, Path], codec: Codec, judge: PatientJudge
    ) -> None:
        self.next_segment = NextSegment.of(recipe.objective, codec, judge)
        self.stop_ids = codec.end_ids
        window = self.next_segment.window_tokens(recipe.context_tokens)
        self._where = (inputs["corpus"], inputs.get("difficulty"), codec, recipe.objective, window)
        self.targets = Targets(*self._where, "train")
        self.balance = self.targets.balance
        """Training segments looked at, targets, and refused by reason."""
        if not self.targets.num:
            raise StarvedError(
                f"there is nothing to ask: {self.targets.why_none()}. Give longer texts, or lower "
                "min_before, min_chars or entropy_floor_nats."
            )
        self._per_document, self._share = recipe.cuts_per_document, recipe.objective.msr_share
        self._rounds = Rounds(self.targets.counts, recipe.cuts_per_document, recipe.seed)
        self._held_out: Targets | None = None

    def draw(self, step: int, cursor: int, num_prompts: int) -> tuple[list[Asked], int]:
        """The next targets in a fixed random order without replacement; see :class:`Rounds`."""
        return self._pose(self.targets, self._rounds, cursor, num_prompts), cursor + num_prompts

    def held_out(self, num_prompts: int) -> list[Asked]:
        """Questions on held-out documents; the order is the same in every training, whatever its seed."""
        if self._held_out is None:
            self._held_out = Targets(*self._where, "eval")
        rounds = Rounds(self._held_out.counts, self._per_document, seed=0)
        return self._pose(self._held_out, rounds, 0, min(num_prompts, rounds.num))

    def judge(self, asked: Asked, cut: int, samples: Sequence[Sample]) -> list[Verdict]:
        """Verdicts of one group."""
        alone = Asked(replace(asked.trunk, cuts=(asked.trunk.cuts[cut],)), (asked.questions[cut],))
        return self.next_segment.verdicts([alone], [[samples]])

    def judge_all(
        self, asked: Sequence[Asked], drawn: Sequence[Sequence[Sequence[Sample]]]
    ) -> list[list[list[Verdict]]]:
        """Verdicts by document, question and answer: one call of the judge for all of them."""
        return by_place(self.next_segment.verdicts(asked, drawn), drawn)

    def report(self) -> tuple[dict[str, float], dict[str, float]]:
        """Counts of verdicts and guards, and timings of the judge, since the last report."""
        return report(self.next_segment)

    def _pose(self, targets: Targets, rounds: Rounds, cursor: int, num: int) -> list[Asked]:
        if num <= 0:
            return []
        tasks = iter(interleaved(cursor, num, self._share))
        chosen: dict[int, list[tuple[int, Task]]] = {}
        for owner, items in rounds.take(cursor, num):
            chosen.setdefault(owner, []).extend((int(item), next(tasks)) for item in items)
        return [self._asked(targets.read(owner), picked) for owner, picked in chosen.items()]

    def _asked(self, page: Page, picked: Sequence[tuple[int, Task]]) -> Asked:
        in_order = sorted(dict.fromkeys(picked))
        return self.next_segment.ask(page, [(page.targets[item], task) for item, task in in_order])


def report(next_segment: NextSegment) -> tuple[dict[str, float], dict[str, float]]:
    """What was counted since the last report: metrics, and timings."""
    tally, counts = next_segment.judge.tally(), next_segment.counts
    metrics = {f"judge/{name}": float(num) for name, num in tally.verdicts.items()}
    metrics |= {name: float(num) for name, num in sorted(counts.items())}
    if counts["audit/wrong"]:
        metrics["audit/false_accept_rate"] = counts["audit/false_accepts"] / counts["audit/wrong"]
    if counts["audit/right"]:
        metrics["audit/false_reject_rate"] = counts["audit/false_rejects"] / counts["audit/right"]
    counts.clear()
    return metrics, tally.timings()


def interleaved(cursor: int, num: int, msr_share: float) -> list[Task]:
    """The task of each of ``num`` questions after ``cursor``: evenly mixed, a function of the number alone.

    Example:
        >>> interleaved(0, 6, 1 / 3)
        ['asr', 'asr', 'msr', 'asr', 'asr', 'msr']
        >>> interleaved(2, 2, 1 / 3), interleaved(0, 2, 0.0), interleaved(0, 2, 1.0)
        (['msr', 'asr'], ['asr', 'asr'], ['msr', 'msr'])
    """
    numbers: NDArray[np.float64] = np.floor(np.arange(cursor, cursor + num + 1) * msr_share + 1e-9)
    return ["msr" if step else "asr" for step in np.diff(numbers)]


def open_judge(recipe: JudgeFields, inputs: Mapping[str, Path]) -> PatientJudge:
    """The judge a recipe names: a model of the stage's inputs, or an endpoint."""
    if "judge" in inputs:
        local = LocalJudge.load(inputs["judge"], recipe.judge_reply_tokens)
        return PatientJudge(local, recipe.unread_share_max)
    service = Service(recipe.judge_url, recipe.judge_model, recipe.judge_deadline_seconds)
    if recipe.judge_reply_tokens:
        service = replace(service, reply_tokens=recipe.judge_reply_tokens)
    return PatientJudge(ServiceJudge(service), recipe.unread_share_max)


def open_objective(recipe: RlptRecipe, inputs: Mapping[str, Path], codec: Codec) -> Rlpt:
    """The objective of a training recipe, over the folders of its inputs.

    Raises:
        StarvedError: no segment of the training documents is a target.
    """
    return Rlpt(recipe, inputs, codec, open_judge(recipe, inputs))


def _flat(text: str) -> str:
    return " ".join(text.split())


def _text(content: bytes) -> str | None:
    """The prediction as text, without blanks at its ends; None for half a character."""
    try:
        return content.decode().strip()
    except UnicodeDecodeError:
        return None
