"""VeriFree: a thought earns the probability of the true tokens after it (arXiv 2505.21493, section 2).

    J = E_z[P],   P = p(t | x, z) = prod_k p(t_k | x, z, t_<k)

P is the expectation, over the answers that could follow a thought z, of the reward for matching the truth t
exactly: no answer is drawn, compared or verified, and the gradient has less variance. Its estimate over G
thoughts,

    1/G sum_i [ A_i grad log p(z_i | x) + P_i grad log p(t | x, z_i) ],   A_i = P_i - mean of the others,

has two terms: thought tokens with an advantage (``loss=rloo``), and the true tokens themselves, weighed by
P_i without a baseline. A thought that never ends earns 0 and teaches no truth.

Failures: a lucky thought with a wrong chain and a high P is reinforced; a product of many tokens vanishes
(take at most six); where every P is tiny there is no signal, which is where most is to be learnt.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rpt_core.objectives.evidence import Evidence
from rpt_core.objectives.next_token.thought import (
    Logprobs,
    ThoughtAndTruth,
    by_group,
    settled_groups,
)
from rpt_core.objectives.objective import Verdict, Verdicts
from rpt_core.objectives.verdicts import learnt


def likelihood(logprobs: Sequence[float]) -> float:
    """The probability of the true tokens, from their log-probabilities in nats; 0 where none was scored.

    Example:
        >>> round(likelihood([math.log(0.9), math.log(0.5), math.log(0.8)]), 6)
        0.36
        >>> likelihood(())
        0.0
    """
    return math.exp(sum(logprobs)) if logprobs else 0.0


@dataclass(frozen=True)
class VeriFree(ThoughtAndTruth):
    """How a next-token question is rewarded under VeriFree."""

    def settled(self, verdicts: Verdicts, evidence: Evidence) -> Verdicts:
        """Each thought's reward, which is also the weight of the true tokens after it."""
        groups = by_group(verdicts, evidence)
        return settled_groups(
            verdicts,
            ([_rewarded(*one) for one in zip(group, tails, strict=True)] for group, tails, _ in groups),
        )


def _rewarded(verdict: Verdict, logprobs: Logprobs) -> Verdict:
    reward = likelihood(logprobs)
    return learnt(replace(verdict, score=reward), logprobs, reward)
