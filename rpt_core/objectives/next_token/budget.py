"""The dynamic token budget of RMT (arXiv 2509.24375): how long a thought should be, what its length earns.

    B_t = max(B_min, floor(B_0 * gamma ** (t / T)))              the budget when t of T steps are done
    r_len = r_max * max(0, 1 - |l - B_t| / B_t)                  a triangle over the thought's length l
    r = (1 - w) * r_match + w * r_len                            the composite reward

The budget falls from ``first`` towards ``first * decay`` over the training; the words that tell it to the
model stand after the cut (:mod:`rpt_core.objectives.next_token.prompts`), so the trunk is the same at every
step and its computation stays shared.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rpt_core.objectives.objective import Verdict
from rpt_core.recipes.objectives import Budget

ROUNDING = 1e-9
"""``800 * 0.2 ** 1`` must not lose a token to the last bit of a float."""


def budget_at(budget: Budget, done: float) -> int:
    """Thought tokens asked for when a share ``done`` of the schedule is over (RMT, DTB).

    ``B_t = max(B_min, floor(B_0 * gamma ** (t / T)))``. Beyond the schedule's end the last value holds.

    Example:
        >>> [budget_at(Budget(), done) for done in (0, 0.3, 0.5, 0.7, 1)]
        [800, 493, 357, 259, 160]
    """
    falls = budget.first * budget.decay ** min(max(done, 0.0), 1.0)
    return max(budget.least, math.floor(falls + ROUNDING))


def waiting(due: int, budget: Budget, mean_thought_tokens: float) -> int:
    """The scheduled budget, or the higher one at which it waits for the thoughts (``Budget.wait_share``).

    Never above ``first``.

    Example:
        >>> waiting(160, Budget(wait_share=0.6), 500.0), waiting(160, Budget(), 500.0)
        (300, 160)
    """
    return max(due, min(budget.first, math.floor(budget.wait_share * mean_thought_tokens + ROUNDING)))


def final_budget(budget: Budget) -> int:
    """What an evaluation asks for: the budget training ends with."""
    return budget_at(budget, 1.0)


def length_reward(thought_tokens: int, budget: int, highest: float = 1.0) -> float:
    """The triangle: full reward at the budget, none for no thought or one of twice the budget (RMT, DTB).

    Example:
        >>> [length_reward(tokens, 160) for tokens in (0, 80, 160, 240, 320, 400)]
        [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    """
    return highest * max(0.0, 1.0 - abs(thought_tokens - budget) / budget)


def reward(*, is_right: bool, thought_tokens: int, budget: int, settings: Budget) -> float:
    """``(1 - w) * r_match + w * r_len`` (RMT, composite reward).

    Args:
        is_right: Whether the prediction matches; never for a truncated or unread answer.
        thought_tokens: Length of the thought; of the whole answer where the thought never ends.
        budget: In force when the answer was drawn.
        settings: The weight ``w``, and whether length is paid to wrong answers too.

    Example:
        >>> pays = Budget(weight=0.2)
        >>> [reward(is_right=r, thought_tokens=80, budget=160, settings=pays) for r in (True, False)]
        [0.9, 0.1]
    """
    earned = length_reward(thought_tokens, budget, settings.highest)
    if settings.paid == "when-right" and not is_right:
        earned = 0.0
    return (1 - settings.weight) * is_right + settings.weight * earned


def longest_answer(budget: int, settings: Budget, limit: int) -> int:
    """Most tokens an answer may have: the recipe's limit, or the cap at twice the budget where it is on.

    Beyond twice the budget a thought earns nothing for its length, so drawing more of it is mostly waste.
    The cap leaves room to close the thought and to answer. An answer it cuts off is *truncated*.

    Example:
        >>> longest_answer(160, Budget(hard_cap=True), 2048), longest_answer(160, Budget(), 2048)
        (352, 2048)
    """
    return min(limit, 2 * budget + settings.answer_tokens) if settings.hard_cap else limit


MEAN_THOUGHT, DRAWN_TOKENS = "mean_thought_tokens", "drawn_thought_tokens"


@dataclass
class ThoughtBudget:
    """The budget of one training, and the thoughts it may wait for."""

    settings: Budget
    steps: int
    """Of the training; the schedule's length where the settings have none of their own."""
    mean_thought_tokens: float = 0.0
    """Of the last step's answers that thought."""
    drawn_tokens: int = 0
    """Of all thoughts so far."""

    def tokens(self, step: int) -> int:
        """B_t at a 1-based step."""
        due = budget_at(self.settings, self._done(step))
        return waiting(due, self.settings, self.mean_thought_tokens)

    def _done(self, step: int) -> float:
        """Share of the schedule that is over, t / T; above 1 after its end."""
        if self.settings.schedule_tokens:
            return self.drawn_tokens / self.settings.schedule_tokens
        return (step - 1) / (self.settings.schedule_steps or self.steps)

    def rewarded(self, verdict: Verdict, tokens: int) -> Verdict:
        """The verdict with the composite reward, asked under a budget of ``tokens``."""
        is_right, thought = verdict.verdict == "correct", verdict.thought_tokens
        score = reward(is_right=is_right, thought_tokens=thought, budget=tokens, settings=self.settings)
        return replace(verdict, score=score)

    def observe(self, verdicts: Sequence[Sequence[Verdict]]) -> None:
        """Take in a step's answers."""
        thoughts = [v.thought_tokens for group in verdicts for v in group if v.thought_tokens]
        self.mean_thought_tokens = float(np.mean(thoughts)) if thoughts else 0.0
        self.drawn_tokens += sum(thoughts)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """What the budget depends on beside the step."""
        known: dict[str, NDArray[np.generic]] = {}
        if self.settings.wait_share:
            known[MEAN_THOUGHT] = np.array([self.mean_thought_tokens])
        if self.settings.schedule_tokens:
            known[DRAWN_TOKENS] = np.array([self.drawn_tokens], np.int64)
        return known

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from :meth:`state`."""
        self.mean_thought_tokens = float(state[MEAN_THOUGHT][0]) if MEAN_THOUGHT in state else 0.0
        self.drawn_tokens = int(state[DRAWN_TOKENS][0]) if DRAWN_TOKENS in state else 0
