"""The next token at held-out positions: guessed from plain text, or reasoned about first (RPT, section 4)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import pyarrow as pa

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.errors import StarvedError
from rpt_core.evaluation.answers import (
    GradedAnswer,
    ModelUnderTest,
    next_token_guesses,
    truth_guesses,
)
from rpt_core.evaluation.benchmarks.protocol import Benchmark, Key, Setting
from rpt_core.evaluation.items import FORCED, INSTRUCTED, PLAIN, REASONING, tier_of
from rpt_core.evaluation.questions import at_most, draw_by_window
from rpt_core.evaluation.scores import mode_scores, outcomes, paired, tiers_of
from rpt_core.evaluation.statistics.intervals import clustered_mean
from rpt_core.objectives.next_token.positions import Positions
from rpt_core.objectives.next_token.prefix import is_first_token
from rpt_core.objectives.next_token.question import NextToken
from rpt_core.objectives.objective import Asked, Question, Verdict, in_one_row
from rpt_core.policy.engines.engine import Drawn
from rpt_core.policy.trunk import Sampling
from rpt_core.recipes.evaluation import EvaluationRecipe

GREEDY = (PLAIN, INSTRUCTED)
"""Modes of one argmax a question; in all others answers are drawn."""


@dataclass
class NextTokens(Benchmark):
    """Up to ``num_positions`` held-out positions, scored by tier of the proxy model's entropy.

    Where the whole number alone is right (``asked=results``), the plain guess is greedy decoding of it.

    The draw depends on the corpus, the difficulty, the thresholds and the seed, never on the model.
    """

    name: ClassVar[str] = "places"
    modes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        PLAIN: (PLAIN, INSTRUCTED),
        REASONING: (REASONING,),
        FORCED: (FORCED,),
    }

    asked: Sequence[Asked]
    balance: RowCounts
    """Held-out tokens in, positions asked, refused by reason."""
    sampling: Sampling
    question_type: NextToken
    tiers_nats: tuple[float, ...]
    entropies_nats: Mapping[str, float]
    """How uncertain the proxy model was, by item id."""
    char_offsets: Mapping[str, int]
    """Code points of the document before each position, by item id."""

    @classmethod
    def open(cls, setting: Setting) -> Self:
        """Draw positions above the lowest threshold, each as likely as any other.

        Raises:
            StarvedError: no held-out position is eligible.
        """
        recipe, codec = setting.recipe, setting.codec
        assert isinstance(recipe, EvaluationRecipe)
        question_type = NextToken.of(recipe.objective, codec)
        rules = question_type.rules(recipe.context_tokens)
        rules = replace(rules, entropy_floor_nats=min(recipe.tiers_nats))
        where = setting.inputs["corpus"], setting.inputs["difficulty"]
        positions = Positions.open(*where, codec, rules, "eval")
        if not positions.num:
            raise StarvedError(
                f"there is nothing to evaluate: {positions.why_none()}. Lower the lowest of tiers_nats, or "
                "hold out more documents (eval_share)."
            )
        asked, entropies, offsets = list[Asked](), dict[str, float](), dict[str, int]()
        for owner, within in draw_by_window(recipe.seed, positions.counts, recipe.num_positions):
            window = positions.read(owner)
            places = window.positions[within].tolist()
            asked.append(question_type.ask(window, places))
            names = [item_id(window.doc_id, place) for place in places]
            entropies |= zip(names, map(float, window.entropies_nats[within]), strict=True)
            starts = codec.char_offsets(window.document_ids.tolist())
            offsets |= zip(names, starts[places].tolist(), strict=True)
        balance = at_most(positions.balance, recipe.num_positions, "not-drawn")
        return cls(asked, balance, setting.sampling(), question_type, recipe.tiers_nats, entropies, offsets)

    def grade(self, asked: Sequence[Asked], drawn: Drawn) -> list[Verdict]:
        """Bytes against bytes: the prefix reward (RPT, eq. 3)."""
        return [self.question_type.judge(question, sample) for question, sample in in_one_row(asked, drawn)]

    def num_answers(self, mode: str) -> int:
        """One guess a position, or as many samples as the recipe asks."""
        if mode not in GREEDY:
            return super().num_answers(mode)
        return sum(len(one.questions) for one in self.asked) if mode == PLAIN or self._is_instructed else 0

    def answers(self, mode: str, model: ModelUnderTest) -> Iterator[list[GradedAnswer]]:
        """Argmax of the raw or instructed trunk; or thought and prediction, sampled."""
        if mode not in GREEDY:
            yield from model.sampled(self.asked, self.sampling, self.grade, thinking=mode == FORCED)
        elif mode == PLAIN or self._is_instructed:
            yield self._guessed(model, instructed=mode == INSTRUCTED)

    def key(self, answer: GradedAnswer) -> Key:
        """The position, its entropy and tier, and whether the first token is right (RPT, appendix A)."""
        question = answer.question
        name = item_id(question.document, question.position)
        nats = self.entropies_nats[name]
        return Key(
            item_id=name,
            position=question.position,
            entropy_nats=nats,
            tier=tier_of(nats, self.tiers_nats),
            first_token=self._first_token(question, answer.verdict),
            char_offset=self.char_offsets.get(name),
        )

    def scores(self, items: pa.Table, mode: str, checkpoint: str) -> dict[str, Any]:
        """By tier; see :func:`mode_scores`."""
        return mode_scores(items, mode, checkpoint, self.tiers_nats, sampled=mode not in GREEDY)

    def summary(self, items: pa.Table, counted: Mapping[str, float]) -> dict[str, Any]:
        """How much the instruction before the document changes plain prediction, by tier."""
        raw, instructed = outcomes(items, PLAIN), outcomes(items, INSTRUCTED)
        if not len(instructed):
            return {}
        parts = tiers_of(raw, self.tiers_nats), tiers_of(instructed, self.tiers_nats)
        pairs = {tier: paired(parts[0][tier], parts[1][tier]) for tier in parts[0]}
        changes = {tier: clustered_mean(one.differences, one.clusters) for tier, one in pairs.items()}
        return {"instructed_minus_plain": {tier: change.as_json() for tier, change in changes.items()}}

    @property
    def _is_instructed(self) -> bool:
        return bool(self.question_type.prompt.instruction_ids)

    def _guessed(self, model: ModelUnderTest, *, instructed: bool) -> list[GradedAnswer]:
        if self.question_type.asks_whole:
            return self._guessed_whole(model, instructed=instructed)
        guesses = next_token_guesses(model.policy, self.asked, instructed=instructed)
        model.num_forwarded += sum(max(cut.position for cut in one.trunk.cuts) for one in self.asked)
        return [
            GradedAnswer(question, 0, self._compared(question, token))
            for one, tokens in zip(self.asked, guesses, strict=True)
            for question, token in zip(one.questions, tokens, strict=True)
        ]

    def _guessed_whole(self, model: ModelUnderTest, *, instructed: bool) -> list[GradedAnswer]:
        """Greedy decoding of the whole number: each of its tokens, and then no further digit."""
        guesses = truth_guesses(model.policy, self.asked, instructed=instructed)
        model.num_forwarded += sum(
            max(
                cut.position + len(question.truth_ids)
                for cut, question in zip(one.trunk.cuts, one.questions, strict=True)
            )
            for one in self.asked
        )
        return [
            GradedAnswer(question, 0, self._compared_whole(question, tokens))
            for one, found in zip(self.asked, guesses, strict=True)
            for question, tokens in zip(one.questions, found, strict=True)
        ]

    def _compared_whole(self, question: Question, tokens: tuple[int, ...]) -> Verdict:
        is_right = self.question_type.says_whole(question, tokens)
        said = self.question_type.codec.decode(tokens[:-1])
        num = len(question.truth_ids)
        return Verdict(float(is_right), "correct" if is_right else "wrong", 0, num, "", said, num)

    def _compared(self, question: Question, token: int) -> Verdict:
        is_right, said = token == question.truth_ids[0], self.question_type.codec.decode([token])
        return Verdict(float(is_right), "correct" if is_right else "wrong", 0, 1, "", said, 1)

    def _first_token(self, question: Question, verdict: Verdict) -> bool:
        if verdict.verdict not in ("correct", "wrong"):
            return False
        codec = self.question_type.codec
        return is_first_token(verdict.prediction.encode(), question.truth_ids[0], codec)


def item_id(document: str, position: int) -> str:
    """Names a held-out position; the same for every model that shares the tokenizer.

    Example:
        >>> item_id("ab12", 40)
        'ab12:40'
    """
    return f"{document}:{position}"
