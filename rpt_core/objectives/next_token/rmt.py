"""RMT: next-token reasoning on a shrinking budget, from easy tokens to hard ones.

The third part of the method, the next-token loss on all other tokens of the document, is a weight of the
training recipe (``ntp_weight``): it needs no objective, and any objective on text may have it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpt_core.errors import StarvedError
from rpt_core.objectives.next_token import budget as dtb
from rpt_core.objectives.next_token.question import Rpt, prompt_of
from rpt_core.objectives.next_token.samplers.tiers import TieredWalk, next_level
from rpt_core.objectives.objective import Asked, Seen, Verdict
from rpt_core.objectives.rounds import merge_visits
from rpt_core.policy.codec import Codec
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.objectives import RmtObjective
from rpt_core.recipes.reinforce import PolicyRecipe

_MEAN_THOUGHT = "mean_thought_tokens"


class Rmt(Rpt):
    """Budget, curriculum and composite reward over a scored corpus; each may be left out."""

    name = "rmt"

    def __init__(self, recipe: PolicyRecipe, inputs: Mapping[str, Path], codec: Codec) -> None:
        super().__init__(recipe, inputs, codec)
        assert isinstance(recipe.objective, RmtObjective)
        self.settings, self._codec, self._steps = recipe.objective, codec, recipe.steps
        self._limit = recipe.reasoning_tokens
        curriculum = self.settings.curriculum
        self.wants_entropies = curriculum is not None and curriculum.follows == "policy"
        self._drawn: dict[str, int] = {}
        self._mean_thought_tokens = 0.0
        """Of the last step's answers that thought."""
        self.walk: TieredWalk | None = None
        if curriculum:
            self.walk = TieredWalk(self.positions, curriculum, recipe.cuts_per_document, recipe.seed)
            if not self.walk.num:
                raise StarvedError(
                    f"there is nothing to ask: none of {self.positions.num} eligible positions reaches the "
                    f"easiest tier of {curriculum.tiers_nats[0]} nats. Lower curriculum.tiers_nats."
                )

    def draw(self, step: int, cursor: int, num_prompts: int) -> tuple[list[Asked], int]:
        """The step's tiers and tokens, with its budget after every cut."""
        tokens = self.budget_tokens(step)
        put = replace(self.next_token, prompt=prompt_of(self.settings, self._codec, tokens))
        if self.walk is None:
            visits, after = self._rounds.take(cursor, num_prompts), cursor + num_prompts
        else:
            done = self._done(step, self.walk.settings.schedule_steps)
            visits, after = self.walk.take(done, step, cursor, num_prompts)
        merged = merge_visits(visits)
        asked = self._pose(self.positions, merged, put)
        self._drawn |= {one.trunk.key: owner for one, (owner, _) in zip(asked, merged, strict=True)}
        return [self._noted(one, *visit, tokens) for one, visit in zip(asked, merged, strict=True)], after

    def judge(self, asked: Asked, cut: int, samples: Sequence[Sample]) -> list[Verdict]:
        """Verdicts of one group: right or wrong as ever, the reward with its share for length."""
        verdicts = super().judge(asked, cut, samples)
        settings, tokens = self.settings.budget, asked.questions[cut].budget
        if settings is None or tokens is None:
            return verdicts
        return [
            replace(
                verdict,
                score=dtb.reward(
                    is_right=verdict.verdict == "correct",
                    thought_tokens=verdict.thought_tokens,
                    budget=tokens,
                    settings=settings,
                ),
            )
            for verdict in verdicts
        ]

    def longest_answer(self, step: int) -> int:
        """Most tokens an answer of this step may have."""
        tokens = self.budget_tokens(step)
        if tokens is None or self.settings.budget is None:
            return self._limit
        return dtb.longest_answer(tokens, self.settings.budget, self._limit)

    def budget_tokens(self, step: int) -> int | None:
        """B_t; None without a budget."""
        budget = self.settings.budget
        if budget is None:
            return None
        due = dtb.budget_at(budget, self._done(step, budget.schedule_steps))
        return dtb.waiting(due, budget, self._mean_thought_tokens)

    def observe(self, seen: Seen) -> None:
        """Follow how the policy fares, where budget and curriculum do."""
        lengths = [verdict.thought_tokens for group in seen.verdicts for verdict in group]
        thoughts = [tokens for tokens in lengths if tokens]
        self._mean_thought_tokens = float(np.mean(thoughts)) if thoughts else 0.0
        if self.walk is None:
            return
        if self.walk.settings.follows == "success":
            right = [verdict.verdict == "correct" for group in seen.verdicts for verdict in group]
            self.walk.level = next_level(self.walk.level, float(np.mean(right)), self.walk.settings)
        if self.wants_entropies:
            for key, entropies in seen.entropies_nats.items():
                window = self.positions.read(self._drawn[key])
                self.walk.remember(self._drawn[key], entropies[window.positions - window.start])
        self._drawn.clear()

    def state(self) -> dict[str, NDArray[np.generic]]:
        """What draws depend on beside step and cursor."""
        state = self.walk.state() if self.walk else {}
        if self.settings.budget and self.settings.budget.wait_share:
            state = {**state, _MEAN_THOUGHT: np.array([self._mean_thought_tokens])}
        return state

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from :meth:`state`."""
        self._mean_thought_tokens = float(state[_MEAN_THOUGHT][0]) if _MEAN_THOUGHT in state else 0.0
        if self.walk:
            self.walk.restore(state)

    def _done(self, step: int, schedule_steps: int) -> float:
        """Share of a schedule that is over when a step begins."""
        return (step - 1) / (schedule_steps or self._steps)

    def _noted(self, asked: Asked, window: int, items: NDArray[np.int64], tokens: int | None) -> Asked:
        """Each question with the budget it was asked under and its tier, for rewards and metrics."""
        tiers = self.walk.tiers(window)[items] if self.walk else np.full(len(items), -1)
        questions = tuple(
            replace(question, budget=tokens, tier=int(tier) if tier >= 0 else None)
            for question, tier in zip(asked.questions, tiers, strict=True)
        )
        return replace(asked, questions=questions)


def open_objective(recipe: PolicyRecipe, inputs: Mapping[str, Path], codec: Codec) -> Rmt:
    """The objective of a training recipe, over the folders of its inputs.

    Raises:
        StarvedError: no position of the training documents is eligible, or none lies in a tier.
    """
    return Rmt(recipe, inputs, codec)
