r"""PretrainZero's learned masker: the policy names the spans that it is asked about (arXiv 2512.03442).

One policy plays both parts, and learns both from answers that are compared within their group:

    masker      reads a document, thinks, names a span of it             r = 1 - a where a > 0, else 0
    predictor   reads what stands before the span, thinks, predicts it   r = 1 if it is the span, else 0

with ``a`` the share of right answers to that span: it pays to name what can be predicted and seldom is. The
masker's answers to one document are one group, the answers to each span another. Both hang below one trunk:
the masker's cut stands at the document's end, a span's where it begins. docs/methods.md (rule 5.15) says what
differs from the paper.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Self
from zlib import crc32

import numpy as np

from rpt_core.objectives.next_token.objective import NextTokenObjective, open_objective
from rpt_core.objectives.next_token.positions import Rules, Window, places_of, truth_ids
from rpt_core.objectives.next_token.prefix import is_prefix, read
from rpt_core.objectives.next_token.prompts import stated_prompt
from rpt_core.objectives.next_token.question import NextToken
from rpt_core.objectives.objective import (
    Asked,
    Drawn,
    Gather,
    Question,
    Verdict,
    Verdicts,
    by_itself,
)
from rpt_core.objectives.rounds import Rounds, merge_visits
from rpt_core.objectives.verdicts import Reading, answer_bytes, verdict
from rpt_core.policy.codec import Codec
from rpt_core.policy.trunk import Cut, Sample
from rpt_core.recipes.objectives import NextTokenSettings, PretrainZeroObjective
from rpt_core.recipes.reinforce import PolicyRecipe

MASK = b"\\mask{"
SHORT_TASK = " mask"
"""What tells the masker's question from the predictor's where control tokens do the asking."""
TASK = """

Do not continue the text. Choose one short span of it instead, a word or a few, that a reader could work out
from what stands before it, though not at a glance. Reason step by step; then copy the span as it stands in
the text, the space before it included, into \\mask{}."""

Span = tuple[int, int]
"""Position of its first token in the document, and its tokens."""


def mask_reward(accuracy: float) -> float:
    """What naming a span earns, by the share of right predictions of it.

    Example:
        >>> mask_reward(0.0), mask_reward(0.25), mask_reward(1.0)
        (0.0, 0.75, 0.0)
    """
    return 1.0 - accuracy if accuracy > 0 else 0.0


@dataclass(frozen=True, slots=True)
class MaskQuestion(Question):
    """Which span of a window is to be predicted."""

    owner: int = 0
    """Number of the window."""


@dataclass(frozen=True, slots=True)
class SpanQuestion(Question):
    """What a span is; ``truth_ids`` begin with its tokens."""

    num_tokens: int = 1
    named_by: tuple[int, ...] = ()
    """Answers of the masker that named it, by number."""


@dataclass(frozen=True)
class Masking(NextToken):
    """How a span is asked for, and how it is asked about."""

    settings: PretrainZeroObjective
    mask_suffix_ids: tuple[int, ...] = ()
    """Between a document and the masker's answers."""

    @classmethod
    def of(cls, settings: NextTokenSettings, codec: Codec) -> Self:
        """With the words of both parts, those of the settings' template."""
        prompt = stated_prompt(settings.prompt, codec, SHORT_TASK, TASK)
        return replace(super().of(settings, codec), mask_suffix_ids=prompt.suffix_ids)

    def training_rules(self, context_tokens: int) -> Rules:
        """Windows leave room for the masker's words, too."""
        rules = super().training_rules(context_tokens)
        more = max(0, len(self.mask_suffix_ids) - len(self.prompt.suffix_ids))
        return replace(rules, window_tokens=max(2, rules.window_tokens - more))

    def ask_for_span(self, owner: int, window: Window) -> Asked:
        """The masker's question, after a whole window."""
        empty = self.ask(window, ())
        cut = Cut(len(empty.trunk.document_ids), self.mask_suffix_ids)
        tail = self._question(window, window.end).tail
        question = MaskQuestion(window.doc_id, window.end, "", tail=tail, owner=owner)
        return Asked(replace(empty.trunk, cuts=(cut,)), (question,))

    def ask_about(self, window: Window, spans: Mapping[Span, Sequence[int]]) -> Asked:
        """The predictor's questions about some spans, each with the answers that named it."""
        ordered = sorted(spans)
        asked = self.ask(window, [position for position, _ in ordered])
        questions = tuple(
            self._about(window, question, span, spans[span])
            for question, span in zip(asked.questions, ordered, strict=True)
        )
        return Asked(asked.trunk, questions)

    def spans_named(self, window: Window, sample: Sample) -> list[Span]:
        """Every place in a window where what an answer names may be asked about."""
        reading = self._mask_reading(sample)
        for span in reading.predictions if reading else ():
            if found := places_of(window, span, self.settings.span_tokens, self.codec):
                return found
        return []

    def judge(self, question: Question, sample: Sample) -> Verdict:
        """Right or wrong of a prediction; what naming a span earns is known later, and until then nothing."""
        if not isinstance(question, MaskQuestion):
            return super().judge(question, sample)
        reading = self._mask_reading(sample)
        found = verdict(sample, self.codec, reading, is_right=None if reading is None else False)
        return replace(found, verdict="scored") if found.verdict == "wrong" else found

    def _is_right(self, question: Question, predictions: Sequence[bytes]) -> bool:
        if not isinstance(question, SpanQuestion):
            return super()._is_right(question, predictions)
        span = self.codec.to_bytes(question.truth_ids[: question.num_tokens])
        if self.settings.match == "exact":
            return span in predictions
        truth = self._truth(question)
        return any(one.startswith(span) and is_prefix(one, truth) for one in predictions)

    def _mask_reading(self, sample: Sample) -> Reading | None:
        if sample.finish != "stop":
            return None
        answer, escapes = answer_bytes(sample, self.codec), self.settings.newline_escapes
        # a model trained here has one token for a box and none for a mask, and was shown the box alone
        return read(answer, newline_escapes=escapes, box=MASK) or read(answer, newline_escapes=escapes)

    def _about(self, window: Window, question: Question, span: Span, named_by: Sequence[int]) -> SpanQuestion:
        position, num = span
        ids = truth_ids(window, position, max(num, self.settings.truth_tokens), self.codec)
        truth = self.codec.decode(ids[:num])
        return SpanQuestion(
            question.document, position, truth, ids, question.tail, num_tokens=num, named_by=tuple(named_by)
        )


@dataclass(kw_only=True)
class MaskAndPredict(NextTokenObjective):
    """Documents in random order; the policy itself says what of each is asked."""

    question: Masking
    windows: Rounds
    """Every window once before any twice."""
    num_spans: int
    """Answers to the masker's question: spans a document, where all name another."""
    seed: int
    sums: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Of what the masker did since it was last reported."""

    def draw(self, step: int, cursor: int, num_prompts: int) -> tuple[list[Asked], int]:
        """As many documents as make about ``num_prompts`` groups, the masker's own included."""
        num = -(-num_prompts // (1 + self.num_spans))
        owners = [owner for owner, _ in merge_visits(self.windows.take(cursor, num))]
        asked = [self.question.ask_for_span(owner, self.positions.read(owner)) for owner in owners]
        return asked, cursor + num

    def further(self, step: int, asked: Sequence[Asked], drawn: Drawn) -> list[Asked]:
        """By document, the predictor's questions about all spans that were named; none where none was."""
        return [self._about(step, one, samples) for one, [samples] in zip(asked, drawn, strict=True)]

    def concluded(
        self, asked: Sequence[Asked], drawn: Drawn, further: Sequence[Asked], found: Verdicts
    ) -> Verdicts:
        """The masker's verdicts, by how the predictor did."""
        plain = self.verdicts(asked, drawn)
        rows = zip(plain, further, found, strict=True)
        return [[self._earned(group, more.questions, groups)] for [group], more, groups in rows]

    def report(self, gather: Gather = by_itself) -> tuple[dict[str, float], dict[str, float]]:
        """How often a span was named, how many, how well predicted, and what naming it earned."""
        sums, self.sums = self.sums, defaultdict(float)  # all processes saw all answers: nothing to gather
        if not sums["answers"]:
            return {}, {}
        return {
            "masker/named": sums["named"] / sums["answers"],
            "masker/reward": sums["reward"] / sums["answers"],
            "masker/spans": sums["spans"] / sums["documents"],
            **({"masker/right": sums["right"] / sums["spans"]} if sums["spans"] else {}),
        }, {}

    def _about(self, step: int, one: Asked, samples: Sequence[Sample]) -> Asked:
        [question] = one.questions
        assert isinstance(question, MaskQuestion)
        window = self.positions.read(question.owner)
        named: dict[Span, list[int]] = {}
        for number, sample in enumerate(samples):
            if places := self.question.spans_named(window, sample):
                # the answer says which words, not which of several places
                rng = np.random.default_rng([self.seed, step, crc32(one.trunk.key.encode()), number, 8])
                named.setdefault(places[int(rng.integers(len(places)))], []).append(number)
        return self.question.ask_about(window, named)

    def _earned(
        self, group: Sequence[Verdict], questions: Sequence[Question], groups: Sequence[Sequence[Verdict]]
    ) -> list[Verdict]:
        """One document's masks: a span that no answer named rightly is unread, and earns nothing."""
        rewards: dict[int, float] = {}
        for question, answers in zip(questions, groups, strict=True):
            assert isinstance(question, SpanQuestion)
            accuracy = sum(one.verdict == "correct" for one in answers) / len(answers)
            rewards |= dict.fromkeys(question.named_by, mask_reward(accuracy))
            self.sums["right"] += accuracy
        counts = {"answers": len(group), "named": len(rewards), "spans": len(questions), "documents": 1}
        for name, value in {**counts, "reward": sum(rewards.values())}.items():
            self.sums[name] += value
        return [
            replace(
                one,
                score=rewards.get(number, 0.0),
                verdict="unparsed" if one.verdict == "scored" and number not in rewards else one.verdict,
            )
            for number, one in enumerate(group)
        ]


def open_masker(recipe: PolicyRecipe, inputs: Mapping[str, Path], codec: Codec) -> MaskAndPredict:
    """The learned masker over the training documents of a corpus.

    Raises:
        StarvedError: no span may begin anywhere.
    """
    plain = open_objective(recipe, inputs, codec, question=Masking)
    return MaskAndPredict(
        **{one.name: getattr(plain, one.name) for one in fields(plain)},
        windows=Rounds(np.minimum(plain.positions.counts, 1), 1, recipe.seed),
        num_spans=recipe.group_size,
        seed=recipe.seed,
    )
