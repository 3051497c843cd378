"""Outcomes of three sizes that nobody trained, on a law that is known: for tests alone."""

from dataclasses import replace

import numpy as np

from rpt_core.evaluation.kept.arm import ArmOutcomes
from rpt_core.evaluation.kept.course import Course, Point, votes
from rpt_core.recipes.reports.outcomes_report import SIZES
from tests.unit.report.outcomes.simulated import simulated

SEEDS = (300, 301, 302)
SIZES_OF = {"0.3 M": 290_000, "1 M": 1_040_000, "3 M": 3_210_000}
"""Numbers of the models."""
STEPS = (3, 6, 12, 24, 48, 96)
CONTEXT, ANSWER_TOKENS, SAMPLES = 60, 12, 8
PER_STEP = 38e-6
"""1e9 operations of a step by number."""


def thinking_accuracy(size: int, step: int) -> float:
    """Of the start at step 0, then a power law of compute, with more for larger models."""
    if step == 0:
        return 0.30
    return 0.95 - 0.1 * (size / 1e6) ** -0.3 - 0.4 * (size * PER_STEP * step / 100) ** -0.5


def plain_accuracy(size: int, step: int) -> float:
    """Of the base model at step 0, then of next-token training."""
    return 0.25 + 0.04 * np.log10(size / 1e5) + 0.02 * np.log2(1 + step)


def sized(size: str, role: str, seed: int, scatter: float = 0.0) -> ArmOutcomes:
    """One arm of a size."""
    numbers, rng = SIZES_OF[size], np.random.default_rng([seed, len(role), SIZES_OF[size]])
    shift = rng.normal(0, scatter)
    steps = STEPS if role in ("RPT", "NTP") else (0,)
    whole = simulated("RPT", seed, 0.5, samples=SAMPLES)
    num = len(whole.questions)

    def right(chance: float, *shape: int) -> np.ndarray:
        """Drawn one by one."""
        found: np.ndarray = rng.random(shape) < chance
        return found

    points = []
    for step in steps:
        think = role in ("start", "RPT")
        drawn = right(thinking_accuracy(numbers, step) + shift, num, SAMPLES) if think else None
        voted = None
        if drawn is not None:
            said = [["a" if one else "b" for one in row] for row in drawn.tolist()]
            voted = np.array([votes(row, ok) for row, ok in zip(said, drawn.tolist(), strict=True)])
        points.append(
            Point(
                step=step,
                gflops=numbers * PER_STEP * step,
                plain_I=right(plain_accuracy(numbers, step) + shift, num),
                right_IS=drawn,
                voted_IS=voted,
                answer_tokens_I=None if drawn is None else np.full(num, SAMPLES * ANSWER_TOKENS),
            )
        )
    last = points[-1]
    given = whole.answers
    if last.right_IS is not None:
        given = replace(given, right_IS=last.right_IS)
    taught = role in ("start", "RPT")
    own = {"training": last.gflops} if last.step else {}
    proxy = {"proxy": 250.0} if role == "RPT" else {}
    shared = {"base": numbers * 2.2e-3, "cold start": numbers * 10.7e-3 if taught else 0.0}
    return replace(
        whole, study=SIZES, arm=f"{size}: {role}", answers=given, gflops=shared | own | proxy,
        steps=last.step, plain_I=last.plain_I, at_updates=0, updated_IS=None,
        course=Course(numbers, np.full(num, CONTEXT), tuple(points)),
    )  # fmt: skip


def all_sizes(sizes: tuple[str, ...] = tuple(SIZES_OF), scatter: float = 0.01) -> list[ArmOutcomes]:
    """Every arm of some sizes under three seeds."""
    return [
        sized(size, role, seed, scatter)
        for size in sizes
        for role in ("base", "start", "RPT", "NTP")
        for seed in SEEDS
    ]
