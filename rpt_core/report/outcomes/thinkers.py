"""A smaller model that thinks against a larger one that does not, at equal training and at equal use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from rpt_core.artifacts.build import GIGA
from rpt_core.evaluation.statistics.intervals import Estimate
from rpt_core.report.outcomes.sized import (
    Size,
    accuracy_at,
    answer_tokens,
    context_tokens,
    course_of,
    read_at,
)
from rpt_core.report.outcomes.tables import mean_over, mean_share


def pairs_of(sizes: Sequence[Size]) -> list[tuple[Size, Size]]:
    """Every smaller size with every larger one, neighbours first."""
    found = list(combinations(range(len(sizes)), 2))
    return [(sizes[i], sizes[j]) for i, j in sorted(found, key=lambda pair: (pair[1] - pair[0], pair))]


def shared_seeds(smaller: Size, larger: Size) -> list[int]:
    """Under which both were run."""
    return sorted(set(smaller.seeds) & set(larger.seeds))


def ends_of(smaller: Size, larger: Size) -> dict[int, float]:
    """The thinker's accuracy at the end of RPT less the larger's at the end of next tokens, by seed."""
    return {
        seed: smaller.thinking(seed)[-1].accuracy - larger.plain(seed)[-1].accuracy
        for seed in shared_seeds(smaller, larger)
    }


def _difference(by_seed: Mapping[int, float]) -> Estimate | None:
    found = mean_over(by_seed)
    return found.within(-1.0, 1.0) if found else None


@dataclass(frozen=True, slots=True)
class EqualTraining:
    """Both after as many operations, everything that each stands on counted."""

    name: str
    spent_gflops: float
    """1e9 operations of the thinker, mean over seeds."""
    larger_gflops: float
    """Of the larger at its end."""
    thinker: Estimate | None
    plain_at_equal: Estimate | None
    by_seed: Mapping[int, float]
    """Differences at equal operations, of seeds under which the larger has such a point."""
    at_end: Estimate | None
    """Of both at the ends of their trainings."""

    @property
    def at_equal(self) -> Estimate | None:
        """The mean difference with Student's interval; None where no seed has an equal point."""
        return _difference(self.by_seed)

    @classmethod
    def of(cls, smaller: Size, larger: Size) -> "EqualTraining":
        """Compare two sizes."""
        seeds = shared_seeds(smaller, larger)
        last = {seed: smaller.thinking(seed)[-1] for seed in seeds}
        found = {seed: read_at(larger.plain(seed), last[seed].total_gflops) for seed in seeds}
        known = {seed: value for seed, value in found.items() if value is not None}
        return cls(
            name=f"{smaller.name} against {larger.name}",
            spent_gflops=_mean([one.total_gflops for one in last.values()]),
            larger_gflops=_mean([larger.plain(seed)[-1].total_gflops for seed in seeds]),
            thinker=mean_share({seed: one.accuracy for seed, one in last.items()}),
            plain_at_equal=mean_share(known),
            by_seed={seed: last[seed].accuracy - value for seed, value in known.items()},
            at_end=_difference(ends_of(smaller, larger)),
        )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def plain_gflops(size: Size, seed: int) -> float:
    """1e9 operations of one pass over the text before a question: 2 N a token."""
    return 2 * size.parameters * context_tokens(size.method.by_seed[seed]) / GIGA


def thinking_gflops(size: Size, seed: int, answers: int) -> float:
    """The same with every token of so many answers; the text before them is read once."""
    drawn = answers * answer_tokens(size.method.by_seed[seed])
    return plain_gflops(size, seed) + 2 * size.parameters * drawn / GIGA


def voted(size: Size, seed: int, answers: int) -> float:
    """Accuracy of RPT's last model where the commonest of so many predictions counts."""
    outcomes = size.method.by_seed[seed]
    return accuracy_at(outcomes, course_of(outcomes).points[-1], "thinking", answers)


@dataclass(frozen=True, slots=True)
class EqualTest:
    """Both with as many operations a question, at the ends of their trainings."""

    name: str
    plain_gflops: float
    """1e9 operations of the larger's pass, mean over seeds."""
    single_gflops: float
    """Of the thinker with one answer."""
    votes: int
    """Answers that the thinker may draw for the larger's operations; 0 where one is dearer."""
    thinker: Estimate | None
    plain: Estimate | None
    by_seed: Mapping[int, float]
    """Differences; none where one answer is dearer."""

    @property
    def difference(self) -> Estimate | None:
        """The mean difference with Student's interval."""
        return _difference(self.by_seed)

    @classmethod
    def of(cls, smaller: Size, larger: Size) -> "EqualTest":
        """Compare two sizes."""
        seeds = shared_seeds(smaller, larger)
        most = min((smaller.method.by_seed[seed].answers.num_samples for seed in seeds), default=0)
        budget = _mean([plain_gflops(larger, seed) for seed in seeds])
        costs = [_mean([thinking_gflops(smaller, seed, k) for seed in seeds]) for k in range(1, most + 1)]
        votes = sum(cost <= budget for cost in costs)
        plain = {seed: larger.plain(seed)[-1].accuracy for seed in seeds}
        thinker = {seed: voted(smaller, seed, votes) for seed in seeds} if votes else {}
        return cls(
            name=f"{smaller.name} against {larger.name}",
            plain_gflops=budget,
            single_gflops=costs[0] if costs else 0.0,
            votes=votes,
            thinker=mean_share(thinker),
            plain=mean_share(plain),
            by_seed={seed: value - plain[seed] for seed, value in thinker.items()},
        )
