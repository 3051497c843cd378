"""RLP: a thought earns what it adds to the log-likelihood of the next token (arXiv 2510.01265, section 3).

    r = log p_theta(x_t | x_<t, c_t) - log p_phi(x_t | x_<t)

theta is the policy, given its thought c_t; phi a moving average of it, given an empty one. An answer is the
thought alone: it ends where the thought does, the true tokens are forced after it. Nothing is compared
with a truth, so an answer is *scored*, neither right nor wrong. Only thought tokens carry gradient.

The baseline is the same for all thoughts of a cut. It cancels in ``r - mean(r)``, which times G / (G - 1) is
the paper's advantage (``loss=rlp``).

Failures: short thoughts gain little; a weak reader of thoughts starves it, for the truth is never learnt; one
thought with a chance of 1e-9 sets its group's mean (``gain_clip_nats`` bounds it; the paper has no bound).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rpt_core.objectives.evidence import Evidence, Needs, Wanted
from rpt_core.objectives.likelihood import clipped_gain, log_likelihood, with_mean
from rpt_core.objectives.next_token.thought import Logprobs, ThoughtAlone, by_group, settled_groups
from rpt_core.objectives.objective import Asked, Drawn, Verdict, Verdicts
from rpt_core.recipes.objectives import RlpObjective


def information_gain(given_thought: Sequence[float], without: Sequence[float]) -> float:
    """The reward of one thought, nats, from the log-probabilities of the true tokens.

    Example:
        >>> round(information_gain([-0.105361], [-0.867501]), 6)
        0.76214
    """
    return sum(given_thought) - sum(without)


@dataclass(frozen=True)
class InformationGain(ThoughtAlone):
    """How a next-token question is rewarded under RLP."""

    settings: RlpObjective

    @property
    def needs(self) -> Needs:
        """The true tokens' likelihood after each thought, and under a reference without one."""
        return Needs(forced=True, reference_decay=self.settings.reference_decay)

    def wanted(self, asked: Sequence[Asked], drawn: Drawn) -> Wanted:
        """The true tokens after every thought that ended, and after an empty one."""
        return Wanted(tails=self.tails(asked, drawn), reference_tails=self.empty_tails(asked))

    def settled(self, verdicts: Verdicts, evidence: Evidence) -> Verdicts:
        """Rewards by group. A thought that never ended stays out of it: it earns the others' mean."""
        groups = by_group(verdicts, evidence, evidence.reference_tails)
        return settled_groups(verdicts, (self._rewarded(*group) for group in groups))

    def _rewarded(self, group: list[Verdict], tails: Sequence[Logprobs], without: Logprobs) -> list[Verdict]:
        gains = [
            None if log_likelihood(tail) is None else self._bounded(information_gain(tail, without))
            for tail in tails
        ]
        return [replace(verdict, score=gain) for verdict, gain in zip(group, with_mean(gains), strict=True)]

    def _bounded(self, gain: float) -> float:
        return clipped_gain(gain, self.settings.gain_clip_nats)
