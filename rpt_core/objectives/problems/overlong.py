"""Soft overlong punishment: an answer close to the length limit loses reward before it is cut off."""

from dataclasses import dataclass, replace

from rpt_core.objectives.objective import Verdict


@dataclass(frozen=True, slots=True)
class Overlong:
    """What the last tokens before the limit cost (DAPO, arXiv 2503.14476, section 3.4, equation 13).

    With L the limit, C the punished tokens before it and p the penalty, an answer of n tokens loses nothing
    up to ``L - C``, then ``p (n - (L - C)) / C``: p at the limit. A cut answer has n = L.
    """

    limit: int
    """Tokens of the longest answer."""
    tokens: int
    """Punished ones before it; 0 for none."""
    penalty: float

    def punished(self, verdict: Verdict) -> Verdict:
        """The verdict with what its length costs; right and wrong stay what they are."""
        lost = self.loss(verdict.answer_tokens)
        return replace(verdict, score=verdict.score - lost) if lost else verdict

    def loss(self, answer_tokens: int) -> float:
        """What an answer of this many tokens loses.

        Example:
            >>> [Overlong(100, 20, 1.0).loss(tokens) for tokens in (80, 90, 100)]
            [0.0, 0.5, 1.0]
        """
        into = answer_tokens - (self.limit - self.tokens)
        return self.penalty * min(into, self.tokens) / self.tokens if self.tokens and into > 0 else 0.0
