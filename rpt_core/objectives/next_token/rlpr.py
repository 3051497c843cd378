"""RLPR: a thought earns the mean probability of the true tokens after it (arXiv 2506.18254, section 2).

    r = clip(1/K sum_k c_k - 1/K sum_k b_k, 0, 1)

``c_k`` given the thought, ``b_k`` given an empty one: under the policy, in the same pass, or under the start
model (``baseline=start``, as the authors do it). GRPO on every sampled token, thought and the policy's own
answer (``loss=rlpr``); the forced truth has no loss. A thought that never ends earns 0.

Inside a group the baseline cancels, except where the clip acts. Groups whose rewards hardly differ are
dropped by ``selection.deviation_share`` (0.5 in the paper), the second thing the baseline's clip decides
about.

Failures: the mean is ruled by the easy tokens of a long truth; thoughts may lose all their entropy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rpt_core.objectives.evidence import Evidence, Needs, Wanted
from rpt_core.objectives.likelihood import value
from rpt_core.objectives.next_token.thought import Logprobs, ThoughtAndAnswer, by_group, settled_groups
from rpt_core.objectives.objective import Asked, Drawn, Verdict, Verdicts
from rpt_core.recipes.objectives import RlprObjective


@dataclass(frozen=True)
class MeanProbability(ThoughtAndAnswer):
    """How a next-token question is rewarded under RLPR."""

    settings: RlprObjective

    @property
    def needs(self) -> Needs:
        """The true tokens' likelihood after each thought, and without one."""
        return Needs(forced=True, reference_decay=1.0 if self.settings.baseline == "start" else None)

    def wanted(self, asked: Sequence[Asked], drawn: Drawn) -> Wanted:
        """The true tokens after every thought that ended; after an empty one where a baseline is named."""
        tails, baseline = self.tails(asked, drawn), self.settings.baseline
        if baseline == "none":
            return Wanted(tails=tails)
        empty = self.empty_tails(asked)
        if baseline == "start":
            return Wanted(tails=tails, reference_tails=empty)
        return Wanted(tails=tails, empty_tails=empty)

    def settled(self, verdicts: Verdicts, evidence: Evidence) -> Verdicts:
        """Every answer's reward; its verdict, right or wrong, is left as it is."""
        others = evidence.reference_tails if self.settings.baseline == "start" else None
        groups = by_group(verdicts, evidence, others)
        return settled_groups(verdicts, (self._rewarded(*group) for group in groups))

    def _rewarded(self, group: list[Verdict], tails: Sequence[Logprobs], without: Logprobs) -> list[Verdict]:
        share = self.settings.format_share
        return [
            replace(
                verdict,
                score=(1 - share) * reward(tail, without) + share * (verdict.verdict in ("correct", "wrong")),
            )
            for verdict, tail in zip(group, tails, strict=True)
        ]


def reward(given: Sequence[float], without: Sequence[float]) -> float:
    """What one thought earns, from log-probabilities of the true tokens with it and without.

    Example:
        >>> import math
        >>> given, without = ([math.log(c) for c in x] for x in ((0.9, 0.5, 0.8), (0.4, 0.1, 0.6)))
        >>> round(reward(given, without), 6), reward((), without), round(reward(given, ()), 6)
        (0.366667, 0.0, 0.733333)
    """
    own, others = value("mean", given), value("mean", without)
    return 0.0 if own is None else min(max(own - (others or 0.0), 0.0), 1.0)
