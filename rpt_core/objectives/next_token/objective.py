"""The next-token objective: a question, a sampler of positions and, where thoughts have one, a budget.

RPT, RMT and their control are rows of :mod:`rpt_core.objectives.registry`: they differ in these parts
alone, so any sampler goes with any budget. The third part of RMT, the next-token loss on all other tokens of
the document, is a weight of the training recipe (``ntp_weight``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpt_core.errors import RecipeError, StarvedError
from rpt_core.objectives.evidence import Evidence, Needs, Wanted
from rpt_core.objectives.next_token.budget import ThoughtBudget, longest_answer
from rpt_core.objectives.next_token.positions import Positions
from rpt_core.objectives.next_token.question import NextToken
from rpt_core.objectives.next_token.samplers.curriculum import TieredSampler
from rpt_core.objectives.next_token.samplers.learnable import LearnableSampler
from rpt_core.objectives.next_token.samplers.rounds import RoundsSampler
from rpt_core.objectives.next_token.samplers.sampler import Sampler, Visited
from rpt_core.objectives.objective import (
    Asked,
    Drawn,
    Question,
    Seen,
    Verdict,
    Verdicts,
    by_place,
    in_one_row,
)
from rpt_core.objectives.rounds import Rounds, Visit, merge_visits
from rpt_core.policy.codec import Codec
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.objectives import RmtObjective, RptObjective
from rpt_core.recipes.reinforce import PolicyRecipe


@dataclass
class NextTokenObjective:
    """Next-token reasoning over a scored corpus."""

    name: str
    question: NextToken
    positions: Positions
    """Of the training documents."""
    sampler: Sampler
    open_held_out: Callable[[], Positions]
    per_visit: int
    """Most held-out questions of one document."""
    longest: int
    """Most tokens an answer may have."""
    budget: ThoughtBudget | None = None
    asks: bool = True
    """False for documents without a question, whose own loss is all there is."""

    @property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end an answer."""
        return self.question.stop_ids

    @property
    def needs(self) -> Needs:
        """Evidence the rewards stand on."""
        return self.question.needs

    def draw(self, step: int, cursor: int, num_prompts: int) -> tuple[list[Asked], int]:
        """The sampler's next visits, each as one trunk, with the step's budget after every cut."""
        visits, after = self.sampler.take(step, cursor, num_prompts)
        tokens = self.budget.tokens(step) if self.budget else None
        question = self.question if tokens is None else self.question.under_budget(tokens)
        asked = [self._asked(question, visit, tokens) for visit in visits]
        self._note(visits, asked)
        if not self.asks:
            asked = [Asked(replace(one.trunk, cuts=()), ()) for one in asked]
        return asked, after

    def held_out(self, num_prompts: int) -> list[Asked]:
        """Questions on held-out documents; the order is the same in every training, whatever its seed."""
        positions = self._held_out
        rounds = Rounds(positions.counts, self.per_visit, seed=0)
        visits = merge_visits(rounds.take(0, min(num_prompts, rounds.num)))
        windows = ((positions.read(owner), items) for owner, items in visits)
        return [self.question.ask(window, window.positions[items].tolist()) for window, items in windows]

    def wanted(self, asked: Sequence[Asked], drawn: Drawn) -> Wanted:
        """What the question's reward stands on."""
        return self.question.wanted(asked, drawn)

    def verdicts(self, asked: Sequence[Asked], drawn: Drawn, evidence: Evidence | None = None) -> Verdicts:
        """Verdicts by document, question and answer."""
        judged = (self._verdict(question, sample) for question, sample in in_one_row(asked, drawn))
        found = by_place(judged, drawn)
        return found if evidence is None else self.question.settled(found, evidence)

    def longest_answer(self, step: int) -> int:
        """Most tokens an answer of this step may have."""
        if self.budget is None:
            return self.longest
        return longest_answer(self.budget.tokens(step), self.budget.settings, self.longest)

    @cached_property
    def _held_out(self) -> Positions:
        return self.open_held_out()

    def _verdict(self, question: Question, sample: Sample) -> Verdict:
        verdict = self.question.judge(question, sample)
        if self.budget is None or question.budget is None:
            return verdict
        return self.budget.rewarded(verdict, question.budget)

    def _note(self, visits: Sequence[Visit], asked: Sequence[Asked]) -> None:
        """Nothing of a draw is remembered."""

    def _asked(self, question: NextToken, visit: Visit, tokens: int | None) -> Asked:
        """The questions of a visit, each with its tier and the budget it is asked under."""
        owner, items = visit
        window = self.positions.read(owner)
        asked = question.ask(window, window.positions[items].tolist())
        tiers = self.sampler.tiers(owner)[items].tolist()
        return replace(
            asked,
            questions=tuple(
                replace(one, budget=tokens, tier=tier if tier >= 0 else None)
                for one, tier in zip(asked.questions, tiers, strict=True)
            ),
        )


@dataclass
class FollowingObjective(NextTokenObjective):
    """The same where sampler or budget follow how the policy fares; their state is in every checkpoint."""

    drawn: list[Visit] = field(default_factory=list)
    """Visits since the last step ended."""
    owners: dict[str, int] = field(default_factory=dict)
    """Their windows by key of the trunk."""

    @property
    def wants_entropies(self) -> bool:
        """Whether updates must score the documents' own tokens for the sampler."""
        return self.sampler.wants_entropies

    def observe(self, seen: Seen) -> None:
        """Tell budget and sampler what the step showed."""
        if self.budget:
            self.budget.observe(seen.verdicts)
        groups = iter(seen.verdicts)
        visits = [Visited(owner, items, [next(groups) for _ in items]) for owner, items in self.drawn]
        own_nats = {}
        if self.wants_entropies:
            for key, entropies in seen.entropies_nats.items():
                window = self.positions.read(self.owners[key])
                own_nats[self.owners[key]] = entropies[window.positions - window.start]
        self.sampler.observe(visits, own_nats)
        self.drawn.clear()
        self.owners.clear()

    def state(self) -> dict[str, NDArray[np.generic]]:
        """What draws depend on beside step and cursor."""
        return {**self.sampler.state(), **(self.budget.state() if self.budget else {})}

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from :meth:`state`."""
        self.sampler.restore(state)
        if self.budget:
            self.budget.restore(state)

    def _note(self, visits: Sequence[Visit], asked: Sequence[Asked]) -> None:
        """Remember the visits until the step is over."""
        self.drawn += visits
        self.owners |= {one.trunk.key: owner for one, (owner, _) in zip(asked, visits, strict=True)}


def open_objective(
    recipe: PolicyRecipe, inputs: Mapping[str, Path], codec: Codec, question: type[NextToken] = NextToken
) -> NextTokenObjective:
    """The objective of a training recipe, over the folders of its inputs.

    Args:
        recipe: Names sampler and budget.
        inputs: ``corpus`` and ``difficulty``.
        codec: The policy's codec.
        question: How questions are asked and what answers earn.

    Raises:
        StarvedError: no position of the training documents is eligible, or none lies in a tier.
    """
    settings, asks = recipe.objective, question.of(recipe.objective, codec)
    where = partial(Positions.open, inputs["corpus"], inputs["difficulty"], codec)
    positions = where(asks.training_rules(recipe.context_tokens), "train")
    if not positions.num:
        raise StarvedError(
            f"there is nothing to ask: {positions.why_none()}. Lower entropy_floor_nats, or score "
            "the corpus with a weaker proxy model."
        )
    sampler = open_sampler(recipe, positions)
    follows = isinstance(settings, RmtObjective) or isinstance(sampler, LearnableSampler)
    budget = settings.budget if isinstance(settings, RmtObjective) else None
    return (FollowingObjective if follows else NextTokenObjective)(
        name=settings.name,
        question=asks,
        positions=positions,
        sampler=sampler,
        open_held_out=partial(where, asks.rules(recipe.context_tokens), "eval"),
        per_visit=recipe.cuts_per_document,
        longest=recipe.reasoning_tokens,
        budget=ThoughtBudget(budget, recipe.steps) if budget else None,
    )


def open_control(recipe: PolicyRecipe, inputs: Mapping[str, Path], codec: Codec) -> NextTokenObjective:
    """NTP: the documents RPT would ask about, without a question; RMT's authors left this control out.

    Raises:
        RecipeError: the documents' loss has no weight, so there is nothing to learn from.
        StarvedError: no position of the training documents is eligible.
    """
    if not recipe.ntp_weight:
        raise RecipeError(
            "objective ntp asks nothing and ntp_weight is 0, so there is no loss at all. Give ntp_weight a "
            "value above 0; 1 is ordinary next-token training."
        )
    return replace(open_objective(recipe, inputs, codec), asks=False)


def open_sampler(recipe: PolicyRecipe, positions: Positions) -> Sampler:
    """The sampler a recipe names.

    Raises:
        StarvedError: it has tiers, and no position lies in one.
    """
    settings, per_visit, seed = recipe.objective, recipe.cuts_per_document, recipe.seed
    if isinstance(settings, RptObjective | RmtObjective) and settings.learnability:
        return LearnableSampler(positions, settings.learnability, per_visit, seed)
    if not isinstance(settings, RmtObjective) or settings.curriculum is None:
        return RoundsSampler(Rounds(positions.counts, per_visit, seed))
    tiered = TieredSampler(positions, settings.curriculum, per_visit, seed, recipe.steps)
    if not tiered.num:
        raise StarvedError(
            f"there is nothing to ask: none of {positions.num} eligible positions reaches the easiest tier "
            f"of {settings.curriculum.tiers_nats[0]} nats. Lower curriculum.tiers_nats."
        )
    return tiered
