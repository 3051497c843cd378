"""RPT: think, then predict the next token; right is what the text says, byte for byte."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpt_core.errors import StarvedError
from rpt_core.objectives.budget import final_budget
from rpt_core.objectives.objective import Asked, Question, Verdict
from rpt_core.objectives.positions import Positions, Rounds, Rules, Window, merge_visits, truth_ids
from rpt_core.objectives.prompts import Prompt, next_token_prompt
from rpt_core.objectives.recipe import NextTokenObjective, RmtObjective
from rpt_core.objectives.rewards.prefix import is_first_token, is_prefix, read, truth_of
from rpt_core.objectives.verdicts import answer_bytes, verdict
from rpt_core.policy.codec import Codec
from rpt_core.policy.trunk import Cut, Sample, Trunk
from rpt_core.train.recipe import PolicyRecipe

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
        """What is eligible when instruction, document and suffix share ``context_tokens``."""
        room = max(2, context_tokens - self.prompt.num_tokens)
        return Rules(self.settings.entropy_floor_nats, room)

    def ask(self, window: Window, positions: Sequence[int]) -> Asked:
        """Questions at some positions of a window, as one trunk."""
        document = tuple(window.document_ids[window.start : window.end].tolist())
        cuts = tuple(Cut(position - window.start, self.prompt.suffix_ids) for position in positions)
        trunk = Trunk(window.key, self.prompt.instruction_ids, document, cuts)
        return Asked(trunk, tuple(self._question(window, position) for position in positions))

    def judge(self, question: Question, sample: Sample) -> Verdict:
        """The prefix reward (RPT, eq. 3), or the first-token variant of its appendix A."""
        answer = answer_bytes(sample, self.codec)
        reading = None
        if sample.finish == "stop":  # of an answer that was cut off, the last box is not known
            reading = read(answer, newline_escapes=self.settings.newline_escapes)
        is_right = reading is not None and self._is_right(question, reading.predictions)
        return verdict(sample, self.codec, reading, is_right)

    def _is_right(self, question: Question, predictions: Sequence[bytes]) -> bool:
        if self.settings.reward == "first-token":
            return any(is_first_token(p, question.truth_ids[0], self.codec) for p in predictions)
        if self.settings.reward == "token":
            return self.codec.token_bytes(question.truth_ids[0]) in predictions
        truth = truth_of([self.codec.token_bytes(token) for token in question.truth_ids])
        return any(is_prefix(prediction, truth) for prediction in predictions)

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
        rules = self.next_token.rules(recipe.context_tokens)
        self._where = (inputs["corpus"], inputs["difficulty"], codec, rules)
        self.positions = Positions.open(*self._where, "train")
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
            self._held_out = Positions.open(*self._where, "eval")
        rounds = Rounds(self._held_out.counts, self._per_document, seed=0)
        visits = merge_visits(rounds.take(0, min(num_prompts, rounds.num)))
        return self._pose(self._held_out, visits, self.next_token)

    def judge(self, asked: Asked, cut: int, samples: Sequence[Sample]) -> list[Verdict]:
        """Verdicts of one group."""
        return [self.next_token.judge(asked.questions[cut], sample) for sample in samples]

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
    return Rpt(recipe, inputs, codec)
