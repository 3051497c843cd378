"""Models under seeds: evaluations and trainings, read once, and paired on the same questions or refused."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rpt_core.artifacts.build import FLOPS, GIGA, METRICS_FILE
from rpt_core.errors import RecipeError
from rpt_core.evaluation import scores
from rpt_core.evaluation.items import PROBLEMS, REASONING, read_items
from rpt_core.evaluation.scores import Outcomes
from rpt_core.evaluation.statistics.compare import PairedItems
from rpt_core.evaluation.statistics.intervals import Floats
from rpt_core.recipes.reports.report import StudyRecipe
from rpt_core.report.blocks import Cell, Inline, share
from rpt_core.report.sources import SourceArtifact, charged, source_of


@dataclass(frozen=True)
class Evaluated:
    """One evaluation: its scores, its rows and where it came from."""

    name: str
    scores: dict[str, Any]
    items: pa.Table
    source: SourceArtifact

    @classmethod
    def read(cls, name: str, folder: Path) -> "Evaluated":
        """From an evaluation's folder."""
        found = json.loads((folder / "scores.json").read_text())
        return cls(name, found, read_items(folder), source_of(folder, "evaluation"))

    def outcomes(self, mode: str) -> Outcomes:
        """The final model's outcomes in one mode; at next tokens, at the positions training asks about."""
        found = scores.outcomes(self.items, mode)
        return found if mode == PROBLEMS or "floor_nats" not in self.scores else found.above(self.floor_nats)

    def milestone(self, step: int) -> Outcomes:
        """The outcomes of a checkpoint on the way, left free to think."""
        return scores.outcomes(self.items, REASONING, f"{step:06d}")

    def accuracy(self, mode: str) -> Cell:
        """How often it is right in a mode; a dash where it was not asked."""
        found = self.outcomes(mode)
        return share(scores.accuracy(found) if len(found) else None, self.source)

    def habit(self, name: str) -> Cell:
        """One of :data:`HABITS`."""
        return replace(HABITS[name](self.outcomes(REASONING)), source=self.source)

    @property
    def floor_nats(self) -> float:
        """Entropy from which on positions are asked in training."""
        return float(self.scores["floor_nats"])

    @property
    def tiers_nats(self) -> dict[str, float]:
        """Nested tiers of difficulty with the entropy each begins at."""
        return dict(self.scores["thresholds_nats"])


@dataclass(frozen=True)
class TrainingLog:
    """What one training used up and logged on the way."""

    rows: tuple[dict[str, float], ...]
    """Its metrics, the look before the first step (step 0) included where there was one."""
    charged_gflops: float = 0.0
    """Of the proxy that chose its positions, and of its judge."""

    @classmethod
    def read(cls, folder: Path, known: Mapping[str, Path]) -> "TrainingLog":
        """From a training's folder and the page's other inputs."""
        lines = (folder / METRICS_FILE).read_text().splitlines()
        return cls(tuple(json.loads(line) for line in lines), charged(folder, known) / GIGA)

    @property
    def steps(self) -> tuple[dict[str, float], ...]:
        """Metrics of step 1 and on."""
        return tuple(row for row in self.rows if row["step"])

    def used(self, step: int = 0) -> tuple[int, float]:
        """Training tokens and GFLOPs up to a step; of the whole training without one."""
        row = self.steps[step - 1]
        return int(row["tokens_total"]), float(row[FLOPS])


@dataclass(frozen=True)
class Model:
    """One model under every seed."""

    name: str
    evaluations: tuple[Evaluated, ...]
    trainings: tuple[TrainingLog, ...] = ()

    def outcomes(self, mode: str) -> Outcomes:
        """The answers of all seeds; documents of different seeds are different clusters."""
        return scores.pooled([one.outcomes(mode) for one in self.evaluations])

    def tiers(self, mode: str) -> dict[str, Outcomes]:
        """Its answers by nested tier, of those tiers that have any."""
        return scores.tiers_of(self.outcomes(mode), list(self.evaluations[0].tiers_nats.values()))

    def accuracy(self, mode: str) -> Cell:
        """How often it is right in a mode; a dash where it was not asked."""
        found = self.outcomes(mode)
        return share(scores.accuracy(found) if len(found) else None)


@dataclass(frozen=True)
class Models:
    """All models of a study, asked the same questions."""

    start: Model
    arms: Sequence[Model]
    others: Sequence[Model]
    """Those that no training of the study made."""

    @classmethod
    def read(cls, recipe: StudyRecipe, inputs: Mapping[str, Path], mode: str) -> "Models":
        """The models a recipe names, from the folders of its inputs.

        Raises:
            RecipeError: two models of a seed did not answer the same questions in this mode.
        """
        models = []
        for name, trainings in ((model.name, model.trainings) for model in recipe.models):
            folders = [inputs[f"models.{name}.evaluations.{i}"] for i in range(len(recipe.seeds))]
            named = zip(recipe.seeds, folders, strict=True)
            evaluations = tuple(Evaluated.read(f"seed {seed}, {name}", folder) for seed, folder in named)
            used = [inputs[f"models.{name}.trainings.{i}"] for i in range(len(trainings))]
            models.append(
                Model(name, evaluations, tuple(TrainingLog.read(folder, inputs) for folder in used))
            )
        start, *rest = models
        _refuse_other_questions(start, rest, mode)
        return cls(start, [one for one in rest if one.trainings], [one for one in rest if not one.trainings])

    @property
    def all(self) -> list[Model]:
        """Every model: the start, the arms, the others."""
        return [self.start, *self.arms, *self.others]

    def named(self, name: str) -> Model | None:
        """The model of a name, where the study has it."""
        return next((model for model in self.all if model.name == name), None)


def _refuse_other_questions(start: Model, others: Sequence[Model], mode: str) -> None:
    for number, first in enumerate(start.evaluations):
        asked = first.outcomes(mode).item_ids
        for other in (model.evaluations[number] for model in others):
            found = other.outcomes(mode).item_ids
            if not np.array_equal(asked, found):
                raise RecipeError(
                    f"{other.name} answered {len(found)} questions and {first.name} {len(asked)}, and not "
                    "the same: they cannot be paired. Evaluate all with the same corpus, difficulty, "
                    "objective, seed and number of questions."
                )


Measure = Callable[[Outcomes], Floats]
"""One number an item."""


def right(found: Outcomes) -> Floats:
    """Mean score of each item."""
    return found.score / found.samples


def thinks(found: Outcomes) -> Floats:
    """Share of each item's answers that think."""
    return found.thinks / found.samples


def pair(
    before: Outcomes, after: Outcomes, of: Measure = right, of_after: Measure | None = None
) -> PairedItems:
    """Two sets of answers to the same questions, item by item.

    Args:
        before: The one compared with.
        after: The one in question.
        of: What is compared.
        of_after: The same for ``after``, where it is measured otherwise.

    Raises:
        RecipeError: the questions differ.
    """
    scores.paired(before, after)
    return PairedItems(of(before), (of_after or of)(after), before.documents)


HABITS: dict[str, Callable[[Outcomes], Cell]] = {
    "accuracy": lambda found: share(scores.accuracy(found)),
    "thinks": lambda found: share(scores.think_share(found)),
    "right when thinking": lambda found: share(scores.accuracy_given(found, thinking=True)),
    "right when guessing": lambda found: share(scores.accuracy_given(found, thinking=False)),
}
"""How a model answers when it is free."""


def habits(mode: str) -> dict[str, Callable[[Model], Inline]]:
    """The same of a model over all its seeds, as columns of a table."""

    def column(cell: Callable[[Outcomes], Cell]) -> Callable[[Model], Inline]:
        return lambda model: cell(model.outcomes(mode))

    return {name: column(cell) for name, cell in HABITS.items()}
