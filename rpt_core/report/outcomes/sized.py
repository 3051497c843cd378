"""Outcomes of the study of sizes, read by size, seed and point of compute."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rpt_core.errors import RecipeError
from rpt_core.evaluation.kept.arm import ArmOutcomes
from rpt_core.evaluation.kept.course import Course, Point
from rpt_core.evaluation.statistics.intervals import Estimate
from rpt_core.report.outcomes.claims import RPT, START
from rpt_core.report.outcomes.tables import mean_share
from rpt_core.report.outcomes.values import Arm

BASE, WITHOUT = "base", "NTP"
ROLES = (BASE, START, RPT, WITHOUT)
"""Of every size: its base model, the start that thinks, RPT from that, next-token training from the base."""
Way = Literal["thinking", "plain"]
"""How a model answers: draws a thought and a prediction, or names the likeliest next token."""


@dataclass(frozen=True, slots=True)
class At:
    """One checkpoint under one seed."""

    step: int
    own_gflops: float
    """1e9 operations of its training."""
    total_gflops: float
    """With its base model, its lessons and the proxy's pass."""
    accuracy: float
    """At held-out questions of 2 to 4 steps."""


@dataclass(frozen=True, slots=True)
class Size:
    """The four arms of a size."""

    name: str
    base: Arm
    start: Arm
    method: Arm
    without: Arm

    @property
    def seeds(self) -> list[int]:
        """Under which all four were run."""
        return sorted(set.intersection(*(set(arm.by_seed) for arm in self.arms)))

    @property
    def arms(self) -> tuple[Arm, ...]:
        """In the order of :data:`ROLES`."""
        return self.base, self.start, self.method, self.without

    @property
    def parameters(self) -> int:
        """Numbers of the model."""
        return course_of(self.base.by_seed[self.seeds[0]]).parameters

    def thinking(self, seed: int) -> list[At]:
        """The start and RPT's checkpoints, as thinkers."""
        return [*_path(self.start.by_seed[seed], "thinking"), *_path(self.method.by_seed[seed], "thinking")]

    def plain(self, seed: int) -> list[At]:
        """The base model and its next-token training's checkpoints, as they name the next token."""
        return [*_path(self.base.by_seed[seed], "plain"), *_path(self.without.by_seed[seed], "plain")]


def course_of(outcomes: ArmOutcomes) -> Course:
    """What its checkpoints answered.

    Raises:
        RecipeError: nobody kept it.
    """
    if outcomes.course is None or not outcomes.course.points:
        raise RecipeError(
            f"the outcomes of {outcomes.arm} under seed {outcomes.seed} hold no checkpoints, and a study of "
            "sizes is about those. Run the arm again with this version."
        )
    return outcomes.course


def _path(outcomes: ArmOutcomes, way: Way) -> list[At]:
    shared = outcomes.shared_gflops
    proxy = outcomes.gflops.get("proxy", 0.0)
    return [
        At(one.step, one.gflops, shared + proxy + one.gflops, accuracy_at(outcomes, one, way))
        for one in course_of(outcomes).points
    ]


def accuracy_at(outcomes: ArmOutcomes, point: Point, way: Way, votes: int = 0) -> float:
    """Accuracy of one checkpoint at held-out questions of 2 to 4 steps; NaN where it was not asked so.

    Args:
        outcomes: Of its arm.
        point: The checkpoint.
        way: How it answers.
        votes: Of a thinker, answers of which the commonest counts; 0 for the mean of single answers.
    """
    held = outcomes.questions.held_I
    found = point.plain_I if way == "plain" else point.right_IS
    if votes and way == "thinking" and point.voted_IS is not None:
        found = point.voted_IS[:, votes - 1]
    return float("nan") if found is None or not held.any() else float(found[held].mean())


def read_sizes(arms: Sequence[Arm]) -> list[Size]:
    """The sizes in the order they come.

    Raises:
        RecipeError: a size lacks an arm, has no seed that all its arms have, or an arm was asked other
            questions than the rest of its seed.
    """
    found: dict[str, dict[str, Arm]] = {}
    for arm in arms:
        size, _, role = arm.name.rpartition(": ")
        found.setdefault(size, {})[role] = arm
    for size, by_role in found.items():
        if not size or set(by_role) != set(ROLES):
            raise RecipeError(
                f"the size {size!r} has the arms {', '.join(by_role)}, and a study of sizes has "
                f"{', '.join(ROLES)} of each. Lay the study out again."
            )
    sizes = [Size(size, *(by_role[role] for role in ROLES)) for size, by_role in found.items()]
    if without := [one.name for one in sizes if not one.seeds]:
        raise RecipeError(
            f"the arms of {without[0]} have no seed in common, so nothing can be compared. Run one seed "
            "of all."
        )
    _check_questions(sizes)
    return sizes


def _check_questions(sizes: Sequence[Size]) -> None:
    asked: dict[int, tuple[str, str]] = {}
    for arm in (arm for size in sizes for arm in size.arms):
        for seed, one in arm.by_seed.items():
            first = asked.setdefault(seed, (arm.name, one.questions.digest))
            if first[1] != one.questions.digest:
                raise RecipeError(
                    f"under seed {seed} {first[0]} and {arm.name} were asked different questions (digests "
                    f"{first[1]} and {one.questions.digest}). Evaluate both alike."
                )


def read_at(path: Sequence[At], total_gflops: float) -> float | None:
    """A path's accuracy at an amount of training, everything counted: a line between two checkpoints.

    Args:
        path: By compute.
        total_gflops: Read on a logarithmic axis.

    Returns:
        None below its first point and beyond its last.

    Example:
        >>> path = [At(0, 0, 100, 0.2), At(5, 300, 400, 0.6)]
        >>> read_at(path, 200.0), read_at(path, 401.0)
        (0.4, None)
    """
    totals = [one.total_gflops for one in path]
    if not totals or not totals[0] <= total_gflops <= totals[-1]:
        return None
    found = np.interp(np.log(total_gflops), np.log(totals), [one.accuracy for one in path])
    return float(round(found, 12))


@dataclass(frozen=True, slots=True)
class Mean:
    """One checkpoint, mean over seeds."""

    step: int
    own_gflops: float
    total_gflops: float
    accuracy: Estimate
    """With Student's interval."""


def means(by_seed: Mapping[int, Sequence[At]]) -> list[Mean]:
    """Checkpoints by step, of those that every seed has."""
    steps = set.intersection(*({one.step for one in path} for path in by_seed.values())) if by_seed else set()
    found = []
    for step in sorted(steps):
        at = {seed: next(one for one in path if one.step == step) for seed, path in by_seed.items()}
        accuracy = mean_share({seed: one.accuracy for seed, one in at.items()})
        assert accuracy is not None
        own, total = (
            float(np.mean([getattr(one, name) for one in at.values()]))
            for name in ("own_gflops", "total_gflops")
        )
        found.append(Mean(step, own, total, accuracy))
    return found


def context_tokens(outcomes: ArmOutcomes) -> float:
    """Mean tokens of the document before a held-out question."""
    return float(course_of(outcomes).context_I[outcomes.questions.held_I].mean())


def answer_tokens(outcomes: ArmOutcomes) -> float:
    """Mean tokens of one answer of the last checkpoint to a held-out question, thought and prediction."""
    point = course_of(outcomes).points[-1]
    if point.answer_tokens_I is None or point.right_IS is None:
        return float("nan")
    return float(point.answer_tokens_I[outcomes.questions.held_I].mean() / point.right_IS.shape[1])
