"""RLP: a thought earns what it adds to the log-likelihood of the next token (arXiv 2510.01265, section 3).

    r = log p_theta(x_t | x_<t, c_t) - log p_phi(x_t | x_<t)

theta is the policy, given its thought c_t; phi a moving average of it, given an empty one. An answer is the
thought alone: it ends where the thought does, the true tokens are forced after it. Nothing is compared
with a truth, so an answer is *scored*, neither right nor wrong. Only thought tokens carry gradient.

The baseline is the same for all thoughts of a cut. It cancels in ``r - mean(r)``, which times G / (G - 1) is
the paper's advantage.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from rpt_core.errors import RecipeError
from rpt_core.objectives.evidence import Evidence, Needs, Wanted
from rpt_core.objectives.next_token.question import NextToken
from rpt_core.objectives.objective import Asked, Drawn, Question, Verdict, Verdicts
from rpt_core.objectives.verdicts import answer_bytes, thought_tokens
from rpt_core.policy.codec import Codec
from rpt_core.policy.tails import Tail
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.objectives import NextTokenSettings, RlpObjective


def information_gain(given_thought: Sequence[float], without: Sequence[float]) -> float:
    """The reward of one thought, nats, from the log-probabilities of the true tokens.

    Example:
        >>> round(information_gain([-0.105361], [-0.867501]), 6)
        0.76214
    """
    return sum(given_thought) - sum(without)


@dataclass(frozen=True)
class InformationGain(NextToken):
    """How a next-token question is asked and rewarded under RLP."""

    settings: RlpObjective

    @classmethod
    def of(cls, settings: NextTokenSettings, codec: Codec) -> Self:
        """With the prompt the settings name.

        Raises:
            RecipeError: no single token ends a thought, so that drawing could not stop there.
        """
        if (num := len(codec.control("end_think"))) != 1:
            raise RecipeError(
                f"</think> is {num} tokens of this model's tokenizer, and drawing can stop at a single one "
                "only, so objective rlp would never see a thought end. Take a model with that token, or "
                "objective rpt."
            )
        return super().of(settings, codec)

    @property
    def stop_ids(self) -> frozenset[int]:
        """The end of the thought."""
        return frozenset(self.codec.control("end_think"))

    @property
    def needs(self) -> Needs:
        """The true tokens' likelihood after each thought, and under a reference without one."""
        return Needs(forced=True, reference_decay=self.settings.reference_decay)

    def judge(self, question: Question, sample: Sample) -> Verdict:
        """The thought as it is; what it earns is known with the evidence alone."""
        return Verdict(
            score=0.0,
            verdict="scored" if sample.finish == "stop" else "truncated",
            thought_tokens=thought_tokens(sample, self.codec),
            answer_tokens=len(sample.token_ids),
            thought=answer_bytes(sample, self.codec).decode(errors="replace"),
        )

    def wanted(self, asked: Sequence[Asked], drawn: Drawn) -> Wanted:
        """The true tokens after every thought that ended, and after an empty one."""
        end, num = self.codec.control("end_think"), self.settings.target_tokens
        opened = self.codec.control("box_open")  # a condition, not a target
        truths = [[question.truth_ids[:num] for question in one.questions] for one in asked]
        return Wanted(
            tails=[
                [
                    [Tail((*s.token_ids, *opened), truth if s.finish == "stop" else ()) for s in group]
                    for truth, group in zip(of_one, groups, strict=True)
                ]
                for of_one, groups in zip(truths, drawn, strict=True)
            ],
            reference_tails=[[[Tail((*end, *opened), truth)] for truth in of_one] for of_one in truths],
        )

    def settled(self, verdicts: Verdicts, evidence: Evidence) -> Verdicts:
        """Rewards by group. A thought that never ended stays out of it: it earns the others' mean."""
        return [
            [_rewarded(*group) for group in zip(groups, tails, without, strict=True)]
            for groups, tails, without in zip(verdicts, evidence.tails, evidence.reference_tails, strict=True)
        ]


def _rewarded(
    group: list[Verdict], tails: Sequence[tuple[float, ...]], without: Sequence[tuple[float, ...]]
) -> list[Verdict]:
    gains = [information_gain(tail, without[0]) if tail else None for tail in tails]
    known = [gain for gain in gains if gain is not None]
    mean = sum(known) / len(known) if known else 0.0
    return [
        replace(verdict, score=mean if gain is None else gain)
        for verdict, gain in zip(group, gains, strict=True)
    ]
