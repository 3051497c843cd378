"""JEPO: a bound of the log-likelihood of the true tokens, over several thoughts (arXiv 2503.19618).

With ``L_i = log p(t | x, z_i)`` of n thoughts, and ``M = log (1/n) sum_i exp(L_i)``:

    one    E[mean_i L_i] <= log p(t | x)    1/n sum_i [ (L_i - mean of the others) grad log p(z_i) + grad L_i
    ] many   E[M], tighter as n grows         sum_i (M - M_-i) grad log p(z_i) + grad M,   M_-i over the
    others,
                                            grad M = sum_i softmax(L)_i grad L_i

The trainer takes means over answers, so ``many`` is multiplied by n here. In practice (appendix B; the
default) advantages are divided by their deviation and clipped to 1, and the part that learns the truth is
weighed: ``truth_weight`` 0 to 0.01 for short truths, 1 for long ones. A thought that never ends has no bound;
it stays out and pays ``format_penalty`` in an advantage of its own.

Failures: without the division raw advantages span orders of magnitude; with a truth weight of 1 on short
truths the policy learns to say the truth after any thought.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rpt_core.objectives.evidence import Evidence
from rpt_core.objectives.likelihood import log_likelihood, log_mean_exp, with_mean
from rpt_core.objectives.next_token.thought import (
    Logprobs,
    ThoughtAndTruth,
    by_group,
    settled_groups,
)
from rpt_core.objectives.objective import Verdict, Verdicts
from rpt_core.objectives.verdicts import learnt
from rpt_core.recipes.objectives import JepoObjective

DELTA = 1e-6
"""Added to a deviation before it divides."""


@dataclass(frozen=True)
class Jepo(ThoughtAndTruth):
    """How a next-token question is rewarded under JEPO."""

    settings: JepoObjective

    def settled(self, verdicts: Verdicts, evidence: Evidence) -> Verdicts:
        """By group: each thought's log-likelihood as its score, its advantage, and the truth's weight."""
        groups = by_group(verdicts, evidence)
        return settled_groups(verdicts, (self._rewarded(group, tails) for group, tails, _ in groups))

    def _rewarded(self, group: list[Verdict], tails: Sequence[Logprobs]) -> list[Verdict]:
        settings = self.settings
        logs = [log_likelihood(tail) for tail in tails]
        known = [one for one in logs if one is not None]
        bound = one_sample(known) if settings.bound == "one" else many_samples(known)
        pays = normalised([0.0 if log is not None else -settings.format_penalty for log in logs])
        ours = iter(zip(_clipped(bound.advantages) if settings.normalise else bound.advantages,
                        bound.truth, strict=True))  # fmt: skip
        found = []
        for verdict, tail, log, pay, score in zip(group, tails, logs, pays, with_mean(logs), strict=True):
            advantage, weight = next(ours) if log is not None else (0.0, 0.0)
            scored = replace(verdict, score=score, advantage=advantage + pay)
            found.append(learnt(scored, tail, settings.truth_weight * weight))
        return found


@dataclass(frozen=True, slots=True)
class Bound:
    """What a bound's gradient, as a mean over the thoughts, weighs them and the truth after them with."""

    nats: float
    advantages: tuple[float, ...]
    truth: tuple[float, ...]


def one_sample(logs: Sequence[float]) -> Bound:
    """The mean of the thoughts' log-likelihoods; each is compared with the others.

    Example:
        >>> [round(one, 3) for one in one_sample([-1.0, -2.0, -6.0]).advantages]
        [3.0, 1.5, -4.5]
    """
    n = len(logs)
    if not n:
        return Bound(0.0, (), ())
    mean = math.fsum(logs) / n
    gaps = tuple(n / (n - 1) * (one - mean) if n > 1 else 0.0 for one in logs)
    return Bound(mean, gaps, (1.0,) * n)


def many_samples(logs: Sequence[float]) -> Bound:
    """The log of the mean likelihood; each thought is worth what the bound has by it."""
    n = len(logs)
    if not n:
        return Bound(0.0, (), ())
    whole = log_mean_exp(logs)
    others = [log_mean_exp([*logs[:i], *logs[i + 1 :]]) if n > 1 else whole for i in range(n)]
    shares = tuple(math.exp(one - whole) for one in logs)  # n times softmax(L)
    return Bound(whole, tuple(n * (whole - other) for other in others), shares)


def normalised(values: Sequence[float]) -> list[float]:
    """Values less their mean, divided by the population's deviation; zeros where all are equal."""
    mean = math.fsum(values) / len(values)
    deviation = _deviation(values)
    return [(one - mean) / (deviation + DELTA) if deviation else 0.0 for one in values]


def _clipped(advantages: Sequence[float]) -> list[float]:
    """Divided by the population's deviation, within -1 and 1; the factor n of a mean cancels."""
    deviation = _deviation(advantages) if advantages else 0.0
    return [max(-1.0, min(one / (deviation + DELTA), 1.0)) for one in advantages]


def _deviation(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((one - mean) ** 2 for one in values) / len(values))
