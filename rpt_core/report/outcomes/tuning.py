"""Tuning runs: as many for every arm, on seeds and questions of their own, all of them shown."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpt_core.artifacts.build import GIGA
from rpt_core.errors import RecipeError
from rpt_core.evaluation.kept.arm import ArmOutcomes
from rpt_core.evaluation.kept.file import read_artifact
from rpt_core.pages.words import percent
from rpt_core.recipes.outcomes import setting_words
from rpt_core.recipes.reports.outcomes_report import StudyArm
from rpt_core.report.blocks import Cell, Row, Section, Table, flops
from rpt_core.report.outcomes.claims import RUNS_AN_ARM, TUNING_SEEDS
from rpt_core.report.outcomes.values import score
from rpt_core.report.sources import SourceArtifact, source_of


@dataclass(frozen=True, slots=True)
class TuningRun:
    """One setting of one arm under one tuning seed."""

    arm: str
    number: int
    """In the order in which the arm's runs are listed, from 1."""
    seed: int
    setting: Mapping[str, Any]
    accuracy: float
    gflops: float
    source: SourceArtifact

    @property
    def words(self) -> str:
        """The setting in one line."""
        return setting_words(dict(sorted(self.setting.items()))) or "as written"


def read_runs(arms: Sequence[StudyArm], inputs: Mapping[str, Path]) -> list[TuningRun]:
    """The runs of a study.

    Raises:
        RecipeError: one arm was given more runs than another, or a run is of a seed that is reported.
    """
    found = list[TuningRun]()
    for arm in arms:
        for number in range(len(arm.outcomes)):
            folder = inputs[f"tuning.{arm.name}.outcomes.{number}"]
            kept = read_artifact(folder, arm.name)
            found.append(_run(kept, number + 1, source_of(folder, "outcomes")))
    check_fair(found)
    return found


def _run(kept: ArmOutcomes, number: int, source: SourceArtifact) -> TuningRun:
    accuracy, gflops = score(kept, "accuracy"), kept.own_gflops
    return TuningRun(kept.arm, number, kept.seed, kept.setting, accuracy, gflops, source)


def check_fair(runs: Sequence[TuningRun]) -> None:
    """Refuse a search that favours an arm.

    Raises:
        RecipeError: an arm has more than :data:`RUNS_AN_ARM` runs, or one has not as many as another, or a
            run is of a seed that is no tuning seed.
    """
    counts = Counter(run.arm for run in runs)
    if len(set(counts.values())) > 1 or max(counts.values(), default=0) > RUNS_AN_ARM:
        listed = ", ".join(f"{name} {num}" for name, num in counts.items())
        raise RecipeError(
            f"the tuning runs are {listed}, and every arm has the same number, {RUNS_AN_ARM} at most: an arm "
            "that was searched longer would win by the search. Add or leave out runs."
        )
    if wrong := sorted({run.seed for run in runs} - set(TUNING_SEEDS)):
        raise RecipeError(
            f"a tuning run is of seed {wrong[0]}, and settings are searched on the seeds "
            f"{', '.join(map(str, TUNING_SEEDS))} alone, which no page reports. Leave it out."
        )


def best(runs: Sequence[TuningRun]) -> TuningRun:
    """The run with the best accuracy, of equal ones the cheapest."""
    return max(runs, key=lambda run: (run.accuracy, -run.gflops))


def tuning_section(runs: Sequence[TuningRun]) -> Iterator[Section]:
    """Every run; nothing where there was none."""
    if not runs:
        return
    groups: dict[str, list[Row]] = {}
    for run in runs:
        accuracy = Cell(percent(run.accuracy), source=run.source, value=run.accuracy)
        row: Row = (str(run.number), str(run.seed), run.words, accuracy, flops(GIGA * run.gflops))
        groups.setdefault(run.arm, []).append(row)
    lead = (
        f"{RUNS_AN_ARM} runs for each arm, on seeds of their own and on questions that no reported seed "
        "asks: five settings under one seed, then the best of them under two more. Accuracy chooses, of "
        "equal ones the fewest FLOPs."
    )
    head = ("run", "seed", "setting", "accuracy", "FLOPs")
    yield Section("Tuning", [lead, Table(head, groups=list(groups.items()), words=frozenset({2}))])
