"""RPT's prefix reward in expectation: what the answers after a thought would earn, without drawing one.

    E[r | z] = sum over k <= K of s_k prod_{j <= k} c_j

``c_j`` is the chance of the j-th true token after the thought, ``s_k`` that the box closes after k of them; a
boundary inside a character is left out, as in the reward itself (RPT, eq. 3). It is the reward of
:mod:`rpt_core.objectives.next_token.prefix` with the noise of the drawn prediction taken out. Only the
document's own tokens are counted; another spelling of the same bytes is missed, and so is a right prefix
longer than K.

The gradient has two terms, as VeriFree's (``loss=rloo``): thoughts by their gap to the mean of the others,
and the true tokens and the closings by what they contribute, without a baseline.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rpt_core.objectives.evidence import Evidence
from rpt_core.objectives.next_token.prefix import truth_of
from rpt_core.objectives.next_token.thought import Logprobs, ThoughtAlone, by_group, settled_groups
from rpt_core.objectives.objective import ForcedTarget, Question, Verdict, Verdicts
from rpt_core.policy.tails import Tail
from rpt_core.policy.trunk import Sample


@dataclass(frozen=True)
class ExpectedPrefix(ThoughtAlone):
    """How a next-token question is rewarded by the prefix rule's expectation."""

    def judge(self, question: Question, sample: Sample) -> Verdict:
        """The thought; what is learnt after it: the true tokens, then the box closed at each boundary."""
        tail = self.tail(question, sample)
        closing = self.codec.encode("}")[0]
        ends = [
            Tail((*tail.given, *tail.scored[:num]), (closing,))
            for num in self._ends(question, len(tail.scored))
        ]
        found = (ForcedTarget(replace(tail, closing=None)), *map(ForcedTarget, ends))
        return replace(super().judge(question, sample), forced=found)

    def tail_after(self, question: Question, thought_ids: Sequence[int]) -> Tail:
        """The true tokens in a box, and its closing after each."""
        tail = super().tail_after(question, thought_ids)
        return replace(tail, closing=self.codec.encode("}")[0])

    def settled(self, verdicts: Verdicts, evidence: Evidence) -> Verdicts:
        """Each thought's expected reward, and what each forced token contributes to it."""
        groups = by_group(verdicts, evidence)
        return settled_groups(
            verdicts,
            ([self._rewarded(*one) for one in zip(group, tails, strict=True)] for group, tails, _ in groups),
        )

    def _ends(self, question: Question, num: int) -> list[int]:
        """After how many of the first ``num`` true tokens a prediction may end: at whole characters."""
        tokens = [self.codec.token_bytes(token) for token in question.truth_ids]
        boundaries = truth_of(tokens).boundaries
        return [k for k in range(1, num + 1) if sum(map(len, tokens[:k])) in boundaries]

    def _rewarded(self, verdict: Verdict, logprobs: Logprobs) -> Verdict:
        first, *closings = verdict.forced
        if not logprobs:
            return verdict
        given, closed = logprobs[: len(first.tail.scored)], logprobs[len(first.tail.scored) :]
        ends = [len(one.tail.given) - len(first.tail.given) for one in closings]
        shares = contributions(given, closed, ends)
        learns = tuple(
            math.fsum(s for s, end in zip(shares, ends, strict=True) if end > k) for k in range(len(given))
        )
        truth = replace(first, logprobs=given, weight=1.0 if any(learns) else 0.0, emphasis=learns)
        boxes = (
            replace(one, logprobs=(closed[end - 1],), weight=share)
            for one, end, share in zip(closings, ends, shares, strict=True)
        )
        return replace(verdict, score=math.fsum(shares), forced=(truth, *boxes))


def contributions(given: Sequence[float], closed: Sequence[float], ends: Sequence[int]) -> list[float]:
    """``s_k prod_{j <= k} c_j`` of every end k; their sum is the expected reward.

    Args:
        given: ``log c_k``.
        closed: ``log s_k``.
        ends: The k that count, from 1.

    Example:
        >>> given, closed = ([math.log(c) for c in x] for x in ((0.9, 0.5, 0.8), (0.4, 0.15, 0.7)))
        >>> round(sum(contributions(given, closed, [1, 2, 3])), 6)
        0.6795
    """
    return [math.exp(math.fsum(given[:k]) + closed[k - 1]) for k in ends]
