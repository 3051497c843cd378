"""The question of RPT: think, then predict the next token; right is a byte-exact prefix of the text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from rpt_core.objectives.evidence import Evidence, Needs, Wanted
from rpt_core.objectives.next_token.budget import final_budget
from rpt_core.objectives.next_token.dense import conditional_scores, dense_scores
from rpt_core.objectives.next_token.positions import Rules, Window, truth_ids
from rpt_core.objectives.next_token.prefix import (
    Continuation,
    first_token,
    is_first_token,
    is_prefix,
    length_bonus,
    num_whole_tokens,
    read,
    truth_of,
)
from rpt_core.objectives.next_token.prompts import next_token_prompt
from rpt_core.objectives.next_token.results import whole_number
from rpt_core.objectives.objective import Asked, Drawn, Question, Verdict, Verdicts
from rpt_core.objectives.prompts import Prompt
from rpt_core.objectives.verdicts import Reading, answer_bytes, verdict
from rpt_core.policy.codec import Codec
from rpt_core.policy.trunk import Cut, Sample, Trunk
from rpt_core.recipes.objectives import NextTokenSettings, RmtObjective

SHOWN_TOKENS = 12
"""Tokens of context and of truth that a table of rollouts shows."""


@dataclass(frozen=True)
class NextToken:
    """How one next-token question is asked and judged; positions come from outside."""

    settings: NextTokenSettings
    codec: Codec
    prompt: Prompt

    @classmethod
    def of(cls, settings: NextTokenSettings, codec: Codec) -> Self:
        """With the prompt the settings name; where they have a budget, the one training ends with."""
        budget = settings.budget if isinstance(settings, RmtObjective) else None
        stated = final_budget(budget) if budget and budget.words else None
        return cls(settings, codec, next_token_prompt(settings.prompt, codec, stated))

    def under_budget(self, tokens: int) -> Self:
        """The same question, with another budget stated where the settings state one."""
        budget = self.settings.budget if isinstance(self.settings, RmtObjective) else None
        if budget is None or not budget.words:
            return self
        return replace(self, prompt=next_token_prompt(self.settings.prompt, self.codec, tokens))

    def rules(self, context_tokens: int) -> Rules:
        """What is eligible when instruction, document and suffix share ``context_tokens``.

        The floor alone, however training chooses: questions on held-out text are the same for all.
        """
        room = max(2, context_tokens - self.prompt.num_tokens)
        return Rules(
            self.settings.entropy_floor_nats,
            room,
            problem_is_context=self.settings.problem_is_context,
            results_only=self.settings.asked == "results",
        )

    def training_rules(self, context_tokens: int) -> Rules:
        """What training may ask: :meth:`rules`, with the recipe's own choice and its noise guards."""
        settings, rules = self.settings, self.rules(context_tokens)
        return replace(
            rules,
            entropy_floor_nats=0.0 if settings.choose == "random" else rules.entropy_floor_nats,
            top_share=settings.top_share if settings.choose == "top-share" else None,
            entropy_ceiling_nats=settings.entropy_ceiling_nats or math.inf,
            surprise_ceiling_nats=settings.surprise_ceiling_nats or math.inf,
        )

    def ask(self, window: Window, positions: Sequence[int]) -> Asked:
        """Questions at some positions of a window, as one trunk."""
        document = tuple(window.document_ids[window.start : window.end].tolist())
        cuts = tuple(Cut(position - window.start, self.prompt.suffix_ids) for position in positions)
        trunk = Trunk(window.key, self.prompt.instruction_ids, document, cuts)
        return Asked(trunk, tuple(self._question(window, position) for position in positions))

    @property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end an answer."""
        return self.codec.end_ids

    @property
    def asks_whole(self) -> bool:
        """Whether the whole number alone is right, of a plain guess as of an answer."""
        return self.settings.asked == "results" and self.settings.reward == "prefix"

    def says_whole(self, question: Question, guesses: Sequence[int]) -> bool:
        """Whether greedy decoding says the number and then no more of it.

        Args:
            question: Its true tokens spell the number.
            guesses: The likeliest token at each of their places, and after them.
        """
        *of_number, behind = guesses
        if tuple(of_number) != question.truth_ids:
            return False
        spelt = [self.codec.token_bytes(token) for token in question.truth_ids]
        longer = whole_number(truth_of([*spelt, self.codec.token_bytes(behind)]))
        return longer.content == b"".join(spelt)

    @property
    def needs(self) -> Needs:
        """Evidence the reward stands on."""
        return Needs(plain=self.is_dense)

    @property
    def is_dense(self) -> bool:
        """Whether a wrong answer's reward leans on the policy's plain prediction."""
        return self.settings.reward in ("dense", "conditional-dense")

    def wanted(self, asked: Sequence[Asked], drawn: Drawn) -> Wanted:
        """For dense rewards, the plain probability of every first guess."""
        if not self.is_dense:
            return Wanted()
        return Wanted(plain=[[[self.first_guess(s) for s in of_cut] for of_cut in cuts] for cuts in drawn])

    def judge(self, question: Question, sample: Sample) -> Verdict:
        """The prefix reward (RPT, eq. 3), or a variant of its appendix A; dense ones as their first token."""
        reading = self._reading(sample)
        is_right = reading is not None and self._is_right(question, reading.predictions)
        bonus = self._bonus(question, reading.predictions) if is_right and reading else 0.0
        return verdict(sample, self.codec, reading, is_right, is_right + bonus if bonus else None)

    def first_guess(self, sample: Sample) -> int:
        """The token an answer's prediction begins with; -1 where none can be read."""
        reading = self._reading(sample)
        found = first_token(reading.predictions[0], self.codec) if reading else None
        return -1 if found is None else found

    def settled(self, verdicts: Verdicts, evidence: Evidence) -> Verdicts:
        """Verdicts with their rewards, now that what :meth:`wanted` asked for is known."""
        if not self.is_dense:
            return verdicts
        return [
            [self.densified(*pair) for pair in zip(groups, of_one, strict=True)]
            for groups, of_one in zip(verdicts, evidence.plain, strict=True)
        ]

    def densified(self, verdicts: Sequence[Verdict], chances: Sequence[float]) -> list[Verdict]:
        """One group's verdicts with the dense reward; a bonus for length is kept."""
        if self.settings.reward == "conditional-dense":
            scores = conditional_scores(verdicts, chances, self.settings.when_none_right)
        else:
            scores = dense_scores(verdicts, chances)
        pairs = zip(verdicts, scores, strict=True)
        return [v if v.verdict == "correct" else replace(v, score=score) for v, score in pairs]

    def _reading(self, sample: Sample) -> Reading | None:
        if sample.finish != "stop":  # of an answer that was cut off, the last box is not known
            return None
        answer = answer_bytes(sample, self.codec)
        return read(answer, newline_escapes=self.settings.newline_escapes)

    def _is_right(self, question: Question, predictions: Sequence[bytes]) -> bool:
        if self.settings.reward == "first-token" or self.is_dense:
            return any(is_first_token(p, question.truth_ids[0], self.codec) for p in predictions)
        if self.settings.reward == "token":
            return self.codec.token_bytes(question.truth_ids[0]) in predictions
        truth = self._truth(question)
        return any(is_prefix(prediction, truth) for prediction in predictions)

    def _bonus(self, question: Question, predictions: Sequence[bytes]) -> float:
        each, most = self.settings.further_token_bonus, self.settings.bonus_tokens
        if not each:
            return 0.0
        truth = self._truth(question)
        return length_bonus(max(num_whole_tokens(p, truth) for p in predictions), each, most)

    def _truth(self, question: Question) -> Continuation:
        truth = truth_of([self.codec.token_bytes(token) for token in question.truth_ids])
        return whole_number(truth) if self.settings.asked == "results" else truth

    def _number_of(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        """The tokens of the number that these begin with; likelihoods are of it, too, and of nothing more."""
        number = whole_number(truth_of([self.codec.token_bytes(token) for token in ids]))
        ends = self.codec.byte_starts(list(ids))[1:]
        return ids[: int(np.searchsorted(ends, len(number.content))) + 1]

    def _question(self, window: Window, position: int) -> Question:
        ids = truth_ids(window, position, self.settings.truth_tokens, self.codec)
        if self.settings.asked == "results":
            ids = self._number_of(ids)
        tail = window.document_ids[max(window.start, position - SHOWN_TOKENS) : position].tolist()
        return Question(
            document=window.doc_id,
            position=position,
            truth=self.codec.decode(ids[:SHOWN_TOKENS]),
            truth_ids=ids,
            tail=self.codec.decode(tail),
        )
