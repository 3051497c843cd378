"""Outcomes of seeds that nobody ran, with an effect that is known: for tests alone."""

from pathlib import Path
from typing import Any

import numpy as np

from rpt_core.evaluation.kept.arm import FAULTS, NEW_PAIR, NEW_SENTENCE, SEEN, Answers, ArmOutcomes, Questions
from rpt_core.evaluation.kept.file import OUTCOMES_FILE, question_digest, to_bytes
from rpt_core.pages.words import slug
from rpt_core.recipes.outcomes import KeptOutcomesRecipe
from rpt_core.recipes.reports.outcomes_report import OutcomesReportRecipe, StudyArm

SEEDS = tuple(range(100, 108))
START, ARMS = "start", ("RPT", "more SFT", "rejection SFT", "permuted reward")
EFFECT = {START: 0.30, "RPT": 0.60, "more SFT": 0.38, "rejection SFT": 0.45, "permuted reward": 0.15}
"""Accuracy at held-out questions of 2 to 4 steps."""
DESIGN = "d" * 64


def questions(num: int = 240) -> Questions:
    """Three rows, 2 to 6 steps, three questions a document."""
    places = np.arange(num)
    return Questions(
        digest=question_digest([f"q{place}" for place in places]),
        rows_I=np.array([(NEW_SENTENCE, NEW_PAIR, SEEN)[place % 3] for place in places]),
        steps_I=2 + places % 5,
        kinds_I=np.array([("clock", "week")[place % 2] for place in places]),
        documents_I=places // 3,
    )


def simulated(
    arm: str,
    seed: int,
    accuracy: float,
    *,
    thinks: float = 1.0,
    long_drop: float = 0.15,
    samples: int = 64,
    scatter: float = 0.02,
    gflops: float = 1200.0,
) -> ArmOutcomes:
    """An arm's answers under a seed: right with one chance each, moved by the seed and by the question."""
    rng = np.random.default_rng([seed, sum(map(ord, arm))])
    asked = questions()
    shift = rng.normal(0, scatter)
    chances = np.clip(accuracy + shift - long_drop * (asked.steps_I > 4), 0.01, 0.99)
    hard = rng.beta(4 * chances, 4 * (1 - chances))
    right = rng.random((len(asked), samples)) < hard[:, None]
    chain = right & (rng.random(right.shape) < 0.9)
    faults = np.where(chain, FAULTS.index("right"), rng.integers(1, 5, right.shape)).astype(np.uint8)
    thought = rng.binomial(samples, thinks, len(asked))
    own = {} if arm == START else {"training": gflops, "proxy": 420.0}
    hits = (chain * asked.steps_I[:, None] + ~chain * (asked.steps_I[:, None] - 1)).sum(axis=1)
    return ArmOutcomes(
        study="imperfect-teacher", arm=arm, seed=seed, design=DESIGN, questions=asked,
        answers=Answers(right, thought, 8 * thought, chain, hits, faults),
        gflops={"base": 300.0, "cold start": 500.0} | own,
        steps=0 if arm == START else 48, tokens=330_000, plain_I=rng.random(len(asked)) < 0.2,
        at_updates=0 if arm == START else 32,
        updated_IS=None if arm == START else rng.random(right.shape) < chances[:, None],
    )  # fmt: skip


def write_folder(root: Path, outcomes: ArmOutcomes, number: int = 0) -> Path:
    """The folder of an artifact with these outcomes."""
    folder = root / f"{slug(outcomes.arm)}-{outcomes.seed}-{number}"
    folder.mkdir(parents=True)
    (folder / OUTCOMES_FILE).write_bytes(to_bytes(outcomes))
    return folder


def page_of(
    root: Path, outcomes: list[ArmOutcomes], tuning: list[ArmOutcomes] | None = None, **fields: Any
) -> tuple[OutcomesReportRecipe, dict[str, Path]]:
    """A page's recipe and input folders."""
    inputs: dict[str, Path] = {}

    def arms(given: list[ArmOutcomes], place: str) -> tuple[StudyArm, ...]:
        by_arm: dict[str, list[KeptOutcomesRecipe]] = {}
        for one in given:
            listed = by_arm.setdefault(one.arm, [])
            inputs[f"{place}.{one.arm}.outcomes.{len(listed)}"] = write_folder(root / place, one, len(listed))
            listed.append(
                KeptOutcomesRecipe(
                    file="here",
                    sha256="0" * 64,
                    study=one.study,
                    arm=one.arm,
                    seed=one.seed,
                    design=one.design,
                )
            )
        return tuple(StudyArm(name=name, outcomes=tuple(found)) for name, found in by_arm.items())

    seeds = tuple(sorted({one.seed for one in outcomes}))
    recipe = OutcomesReportRecipe(
        seeds=seeds, arms=arms(outcomes, "arms"), tuning=arms(tuning or [], "tuning"), **fields
    )
    return recipe, inputs
