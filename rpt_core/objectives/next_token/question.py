"""RPT: think, then predict the next token; right is what the text says, byte for byte."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpt_core.errors import StarvedError
from rpt_core.objectives.evidence import Chances
from rpt_core.objectives.next_token.budget import final_budget
from rpt_core.objectives.next_token.dense import conditional_scores, dense_scores
from rpt_core.objectives.next_token.positions import Positions, Rules, Window, truth_ids
from rpt_core.objectives.next_token.prefix import (
    Truth,
    first_token,
    is_first_token,
    is_prefix,
    length_bonus,
    num_whole_tokens,
    read,
    truth_of,
)
from rpt_core.objectives.next_token.prompts import next_token_prompt
from rpt_core.objectives.objective import Asked, Question, Verdict
from rpt_core.objectives.prompts import Prompt
from rpt_core.objectives.rounds import Rounds, merge_visits
from rpt_core.objectives.verdicts import Reading, answer_bytes, verdict
from rpt_core.policy.codec import Codec
from rpt_core.policy.trunk import Cut, Sample, Trunk
from rpt_core.recipes.objectives import NextTokenObjective, RmtObjective, RptObjective
from rpt_core.recipes.reinforce import PolicyRecipe

SHOWN_TOKENS = 12
"""Tokens of context and of truth that a table of rollouts shows."""


@dataclass(frozen=True)
class NextToken:
    """How one next-token question is put and judged; positions come from outside."""

    settings: NextTokenObjective
    codec: Codec
    prompt: Prompt

    @classmethod
    def of(cls, settings: NextTokenObjective, codec: Codec) -> "NextToken":
        """With the prompt the settings name; where they have a budget, the one training ends with."""
        budget = settings.budget if isinstance(settings, RmtObjective) else None
        return cls(settings, codec, prompt_of(settings, codec, final_budget(budget) if budget else None))

    def rules(self, context_tokens: int) -> Rules:
        """What is eligible when instruction, document and suffix share ``context_tokens``.

        The floor alone, however training chooses: questions on held-out text are the same for all.
        """
        room = max(2, context_tokens - self.prompt.num_tokens)
        only = self.settings.problem_is_context
        return Rules(self.settings.entropy_floor_nats, room, problem_is_context=only)

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
    def is_dense(self) -> bool:
        """Whether a wrong answer's reward leans on the policy's plain prediction."""
        return self.settings.reward in ("dense", "conditional-dense")

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

    def _truth(self, question: Question) -> Truth:
        return truth_of([self.codec.token_bytes(token) for token in question.truth_ids])

    def _question(self, window: Window, position: int) -> Question:
        ids = truth_ids(window, position, self.settings.truth_tokens, self.codec)
        tail = window.document_ids[max(window.start, position - SHOWN_TOKENS) : position].tolist()
        return Question(
            document=window.doc_id,
            position=position,
            truth=self.codec.decode(ids[:SHOWN_TOKENS]),
            truth_ids=ids,
            tail=self.codec.decode(tail),
        )


def prompt_of(settings: NextTokenObjective, codec: Codec, budget_tokens: int | None) -> Prompt:
    """The words the settings name; they state a budget only where the settings have one with words."""
    budget = settings.budget if isinstance(settings, RmtObjective) else None
    stated = budget_tokens if budget is not None and budget.words else None
    return next_token_prompt(settings.prompt, codec, stated)


class Rpt:
    """Next-token reasoning over a scored corpus (design 3.4: an :class:`Objective`)."""

    name = "rpt"

    def __init__(self, recipe: PolicyRecipe, inputs: Mapping[str, Path], codec: Codec) -> None:
        self.next_token = NextToken.of(recipe.objective, codec)
        self.stop_ids = codec.end_ids
        self._where = (inputs["corpus"], inputs["difficulty"], codec)
        self._context_tokens = recipe.context_tokens
        rules = self.next_token.training_rules(recipe.context_tokens)
        self.positions = Positions.open(*self._where, rules, "train")
        self.balance = self.positions.balance
        """Training tokens looked at, eligible, and refused by reason."""
        if not self.positions.num:
            raise StarvedError(
                f"there is nothing to ask: {self.positions.why_none()}. Lower entropy_floor_nats, or score "
                "the corpus with a weaker proxy model."
            )
        self._rounds = Rounds(self.positions.counts, recipe.cuts_per_document, recipe.seed)
        self._per_document = recipe.cuts_per_document
        self._held_out: Positions | None = None

    def draw(self, step: int, cursor: int, num_prompts: int) -> tuple[list[Asked], int]:
        """The next questions in a fixed random order without replacement; see :class:`Rounds`."""
        visits = merge_visits(self._rounds.take(cursor, num_prompts))
        return self._pose(self.positions, visits, self.next_token), cursor + num_prompts

    def held_out(self, num_prompts: int) -> list[Asked]:
        """Questions on held-out documents; the order is the same in every training, whatever its seed."""
        if self._held_out is None:
            rules = self.next_token.rules(self._context_tokens)
            self._held_out = Positions.open(*self._where, rules, "eval")
        rounds = Rounds(self._held_out.counts, self._per_document, seed=0)
        visits = merge_visits(rounds.take(0, min(num_prompts, rounds.num)))
        return self._pose(self._held_out, visits, self.next_token)

    def judge(self, asked: Asked, cut: int, samples: Sequence[Sample]) -> list[Verdict]:
        """Verdicts of one group."""
        return [self.next_token.judge(asked.questions[cut], sample) for sample in samples]

    def judge_with(
        self, asked: Sequence[Asked], drawn: Sequence[Sequence[Sequence[Sample]]], chances: Chances
    ) -> list[list[list[Verdict]]]:
        """Verdicts of many groups; dense rewards ask ``chances`` about every guess at once."""
        verdicts = [
            [self.judge(one, cut, group) for cut, group in enumerate(samples)]
            for one, samples in zip(asked, drawn, strict=True)
        ]
        if not self.next_token.is_dense:
            return verdicts
        guesses = [
            [[self.next_token.first_guess(sample) for sample in group] for group in samples]
            for samples in drawn
        ]
        known = chances([one.trunk for one in asked], guesses)
        return [
            [self.next_token.densified(*pair) for pair in zip(groups, of_one, strict=True)]
            for groups, of_one in zip(verdicts, known, strict=True)
        ]

    def _pose(
        self, positions: Positions, visits: Sequence[tuple[int, NDArray[np.int64]]], put: NextToken
    ) -> list[Asked]:
        """One trunk per visit; every window is visited once (:func:`merge_visits`)."""
        windows = ((positions.read(owner), items) for owner, items in visits)
        return [put.ask(window, window.positions[items].tolist()) for window, items in windows]


def open_objective(recipe: PolicyRecipe, inputs: Mapping[str, Path], codec: Codec) -> Rpt:
    """The objective of a training recipe, over the folders of its inputs.

    Raises:
        StarvedError: no position of the training documents is eligible.
    """
    if isinstance(recipe.objective, RptObjective) and recipe.objective.learnability:
        from rpt_core.objectives.next_token.samplers.learnable import LearnableRpt  # it stands on this module

        return LearnableRpt(recipe, inputs, codec)
    return Rpt(recipe, inputs, codec)
