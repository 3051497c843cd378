"""Ranks that say no more than the answers do: models that no paired test separates share a place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from rpt_core.evaluation.scores import Outcomes, paired
from rpt_core.evaluation.statistics.compare import ALPHA, PairedComparison, compare, holm


@dataclass(frozen=True, slots=True)
class Rank:
    """The places a model may have."""

    best: int
    """One more than there are models that beat it beyond chance."""
    worst: int
    """As many as there are models, less those it beats beyond chance."""

    def __str__(self) -> str:
        """One place, or from the best to the worst.

        Example:
            >>> str(Rank(1, 1)), str(Rank(1, 3))
            ('1', '1–3')
        """
        return str(self.best) if self.best == self.worst else f"{self.best}–{self.worst}"


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two models on the same questions."""

    first: str
    second: str
    comparison: PairedComparison
    """The second less the first."""
    adjusted_p_value: float
    """After Holm's correction over all pairs of the column."""

    @property
    def separated(self) -> bool:
        """Whether one beats the other at the 5 % level of the whole column."""
        return self.adjusted_p_value < ALPHA


@dataclass(frozen=True, slots=True)
class ColumnRanking:
    """One column of a leaderboard."""

    pairings: tuple[Pairing, ...]
    ranks: Mapping[str, Rank]
    """By model, the best place first, and of equal ones the higher score."""

    def pairing(self, first: str, second: str) -> Pairing | None:
        """Two models' comparison, whichever way round it was made."""
        names = {first, second}
        return next((one for one in self.pairings if {one.first, one.second} == names), None)


def rank(models: Mapping[str, Outcomes]) -> ColumnRanking:
    """Compare every model with every other on the same questions, and give each the places it may have.

    Each pair is tested by sign flips over clusters
    (:func:`rpt_core.evaluation.statistics.compare.sign_flip_p`); Holm's correction bounds the chance of any
    false separation in the column at 5 %. Being separated is no order of groups (A may be separated from C
    and neither from B), so a model has a range of places.

    Args:
        models: By name, the outcomes of one column.

    Raises:
        RecipeError: two models did not answer the same questions.
    """
    pairs = list(combinations(models, 2))
    comparisons = [compare(paired(models[first], models[second])) for first, second in pairs]
    adjusted = holm([found.p_value for found in comparisons])
    pairings = tuple(
        Pairing(first, second, found, p_value)
        for (first, second), found, p_value in zip(pairs, comparisons, adjusted, strict=True)
    )
    beaten = dict.fromkeys(models, 0)
    beats = dict(beaten)
    for one in pairings:
        if one.separated:
            gained = one.comparison.difference.value > 0
            winner, loser = (one.second, one.first) if gained else (one.first, one.second)
            beats[winner] += 1
            beaten[loser] += 1
    ranks = {name: Rank(1 + beaten[name], len(models) - beats[name]) for name in models}
    return ColumnRanking(pairings, {name: ranks[name] for name in _in_order(models, ranks)})


def _in_order(models: Mapping[str, Outcomes], ranks: Mapping[str, Rank]) -> Sequence[str]:
    def place(name: str) -> tuple[int, int, float, str]:
        found = models[name]
        score = float((found.score / found.samples).mean())
        return ranks[name].best, ranks[name].worst, -score, name

    return sorted(models, key=place)
