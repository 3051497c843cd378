"""A next-token question whose answer is the thought alone; what it earns stands on tokens forced after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from rpt_core.errors import RecipeError
from rpt_core.objectives.evidence import Placed
from rpt_core.objectives.next_token.question import NextToken
from rpt_core.objectives.objective import Asked, Drawn, Question, Verdict
from rpt_core.objectives.verdicts import answer_bytes, thought_tokens
from rpt_core.policy.codec import Codec
from rpt_core.policy.tails import Tail
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.objectives import LikelihoodSettings, NextTokenSettings


@dataclass(frozen=True)
class ThoughtAlone(NextToken):
    """Drawing stops where the thought ends. Nothing is compared with a truth: an answer is *scored*."""

    settings: LikelihoodSettings

    @classmethod
    def of(cls, settings: NextTokenSettings, codec: Codec) -> Self:
        """With the prompt the settings name.

        Raises:
            RecipeError: no single token ends a thought, so that drawing could not stop there.
        """
        if (num := len(codec.control("end_think"))) != 1:
            raise RecipeError(
                f"</think> is {num} tokens of this model's tokenizer, and drawing can stop at a single one "
                "only, so objectives rlp and verifree would never see a thought end. Take a model with that "
                "token, or objective rpt."
            )
        return super().of(settings, codec)

    @property
    def stop_ids(self) -> frozenset[int]:
        """The end of the thought."""
        return frozenset(self.codec.control("end_think"))

    def judge(self, question: Question, sample: Sample) -> Verdict:
        """The thought as it is; what it earns is known with the evidence alone."""
        return Verdict(
            score=0.0,
            verdict="scored" if sample.finish == "stop" else "truncated",
            thought_tokens=thought_tokens(sample, self.codec),
            answer_tokens=len(sample.token_ids),
            thought=answer_bytes(sample, self.codec).decode(errors="replace"),
        )

    def tail_after(self, question: Question, thought_ids: Sequence[int]) -> Tail:
        """The true tokens in a box after a thought; the box is a condition, not a target."""
        box = self.codec.control("box_open")
        return Tail((*thought_ids, *box), question.truth_ids[: self.settings.target_tokens])

    def tail(self, question: Question, sample: Sample) -> Tail:
        """The true tokens after an answer; nothing to score where its thought never ended."""
        tail = self.tail_after(question, sample.token_ids)
        return tail if sample.finish == "stop" else Tail(tail.given, ())

    def tails(self, asked: Sequence[Asked], drawn: Drawn) -> Placed[Tail]:
        """:meth:`tail` of every answer."""
        return [
            [
                [self.tail(question, sample) for sample in group]
                for question, group in zip(one.questions, groups, strict=True)
            ]
            for one, groups in zip(asked, drawn, strict=True)
        ]
