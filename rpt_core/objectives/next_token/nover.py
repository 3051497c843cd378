"""NOVER: thoughts are ranked by the perplexity of the true tokens after them (arXiv 2505.16022).

    q_i = exp(-L_i / (K N_i)),   N_i = max(1, 1 + ln |z_i|)

L_i is taken under a slow copy of the policy (``phi <- 0.9 phi + 0.1 theta`` every 100 steps), K are the true
tokens, |z_i| those of the thought. Among the n answers of a group in the asked form:

    R_r = (n - rank_i) / n           rank 0 for the lowest q; equal ones share the mean of their ranks
    R_e = share of the other n - 1 that are both longer and worse
    total = 1 + R_r + R_e            and 0 for an answer out of form

GRPO without division by the deviation (``loss=nover``). The page of the authors prints ln, their code takes
log10; with either the ranks are nearly always the same.

Failures: a rank throws the size of a gain away; N pays for length by itself; a scorer larger than the policy,
or apart from it, is gamed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rpt_core.objectives.evidence import Evidence, Needs, Wanted
from rpt_core.objectives.likelihood import log_likelihood
from rpt_core.objectives.next_token.thought import Logprobs, ThoughtAndAnswer
from rpt_core.objectives.objective import Asked, Drawn, Question, Verdict, Verdicts
from rpt_core.policy.tails import Tail
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.objectives import NoverObjective


@dataclass(frozen=True)
class Nover(ThoughtAndAnswer):
    """How a next-token question is rewarded under NOVER."""

    settings: NoverObjective

    @property
    def needs(self) -> Needs:
        """The true tokens' likelihood after each thought under the slow copy."""
        settings = self.settings
        return Needs(reference_decay=settings.reference_decay, reference_every=settings.reference_every)

    def tail(self, question: Question, sample: Sample) -> Tail:
        """The true tokens after an answer's thought; nothing to score where it is out of form."""
        return super().tail(question, sample) if self.is_formed(sample) else Tail((), ())

    def wanted(self, asked: Sequence[Asked], drawn: Drawn) -> Wanted:
        """The true tokens after every thought of an answer in the asked form."""
        return Wanted(reference_tails=self.tails(asked, drawn))

    def settled(self, verdicts: Verdicts, evidence: Evidence) -> Verdicts:
        """Every answer's total; its verdict, right or wrong, is left as it is."""
        return [
            [_rewarded(*group) for group in zip(groups, of_one, strict=True)]
            for groups, of_one in zip(verdicts, evidence.reference_tails, strict=True)
        ]


def _rewarded(group: list[Verdict], tails: Sequence[Logprobs]) -> list[Verdict]:
    logs = [log_likelihood(tail) for tail in tails]
    # a formed answer whose truth has no chance at all ranks last, with the others of its kind
    costs = [
        (cost(log, len(tail), verdict.thought_tokens) if log is not None else math.inf) if tail else None
        for verdict, tail, log in zip(group, tails, logs, strict=True)
    ]
    formed = [(one, v.thought_tokens) for one, v in zip(costs, group, strict=True) if one is not None]
    earned = iter(totals([one for one, _ in formed], [length for _, length in formed]))
    return [
        replace(verdict, score=0.0 if one is None else next(earned))
        for verdict, one in zip(group, costs, strict=True)
    ]


def cost(log: float, num_true: int, num_thought: int) -> float:
    """q: the truth's perplexity, its logarithm divided by N.

    Example:
        >>> round(cost(-1.021651, 3, 12), 6)
        1.102656
    """
    penalty = max(1.0, 1.0 + math.log(num_thought)) if num_thought else 1.0
    return math.exp(-log / (num_true * penalty))


def totals(costs: Sequence[float], lengths: Sequence[int]) -> list[float]:
    """What the answers in the asked form earn, from their q and the lengths of their thoughts.

    Example:
        >>> [round(one, 6) for one in totals([1.1, 1.2, 2.3, 1.0], [12, 30, 5, 80])]
        [2.083333, 1.5, 1.25, 2.0]
    """
    n = len(costs)
    pairs = list(zip(costs, lengths, strict=True))
    return [
        1.0
        + (n - mean_rank(q, costs)) / n
        + (sum(other > q and longer > length for other, longer in pairs) / (n - 1) if n > 1 else 0.0)
        for q, length in pairs
    ]


def mean_rank(q: float, costs: Sequence[float]) -> float:
    """The place of a cost among all, 0 for the lowest; equal ones share the mean of their places.

    Example:
        >>> [mean_rank(q, [1.0, 2.0, 2.0, 3.0]) for q in (1.0, 2.0, 3.0)]
        [0.0, 1.5, 3.0]
    """
    return sum(other < q for other in costs) + (sum(other == q for other in costs) - 1) / 2
