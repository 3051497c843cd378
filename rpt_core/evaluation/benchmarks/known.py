"""Known benchmarks (AIME, MATH-500, GPQA ...) whose items the corpus holds: solved, graded, scored by set.

Preparing a corpus keeps the items of known test sets out of training and passes them on in
``benchmarks.parquet``; they are asked from there, so what is scored is what was decontaminated against.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self
from zlib import crc32

import numpy as np
import pyarrow as pa

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.corpus.tables import read_rows
from rpt_core.errors import RecipeError
from rpt_core.evaluation.benchmarks.problems import Problems, ask_some
from rpt_core.evaluation.benchmarks.protocol import Report, Setting
from rpt_core.evaluation.scores import Outcomes, accuracy, outcomes
from rpt_core.objectives.objective import Asked
from rpt_core.objectives.problems.question import Problem, Solve
from rpt_core.recipes.evaluation import EvaluationRecipe

BENCHMARKS = "benchmarks"


@dataclass
class KnownBenchmarks(Problems):
    """Up to ``num_problems`` items of each known benchmark; items are named ``aime24:<id>``."""

    name: ClassVar[str] = "benchmarks"
    modes: ClassVar[Mapping[str, tuple[str, ...]]] = {BENCHMARKS: (BENCHMARKS,)}

    @classmethod
    def open(cls, setting: Setting) -> Self:
        """Draw the items, each benchmark's by a stream of its own, so that the others do not matter.

        Raises:
            RecipeError: the corpus holds no item of a benchmark the recipe names.
        """
        recipe = setting.recipe
        assert isinstance(recipe, EvaluationRecipe)
        held = cls.held(setting.problem_corpus)
        if unknown := [name for name in recipe.benchmarks if name not in held]:
            raise RecipeError(
                f"the corpus holds no item of {', '.join(unknown)}; it holds {', '.join(held) or 'none'}. "
                "Put the benchmark's file into the data folder, or leave its name out of benchmarks."
            )
        wanted = {name: held[name] for name in recipe.benchmarks or held}
        solve, asked, balance = Solve.of(recipe.problems, setting.codec), list[Asked](), RowCounts()
        for name, problems in wanted.items():
            some, counts = ask_some(solve, problems, recipe, 2, crc32(name.encode()), refusal=cls.refusal)
            asked, balance = asked + some, balance + counts
        return cls(asked, balance, setting.sampling(problems=True), solve)

    @classmethod
    def held(cls, corpus: Path) -> dict[str, list[Problem]]:
        """The items a corpus holds, by name of the benchmark."""
        return read_benchmarks(corpus)

    @staticmethod
    def refusal(problem: Problem) -> str:
        """Why an item cannot be asked; empty where it can."""
        return ""

    def scores(self, items: pa.Table, mode: str, checkpoint: str) -> dict[str, Any]:
        """One tier, ``all``, and each benchmark by itself."""
        found = outcomes(items, mode, checkpoint)
        return {**super().scores(items, mode, checkpoint), "by_benchmark": by_benchmark(found)}

    def summary(self, items: pa.Table, counted: Mapping[str, float]) -> dict[str, Any]:
        """How answers were graded, beside the held-out problems' counts."""
        return {f"{self.name}_grading": dict(counted)} if counted else {}

    def report(self) -> Report:
        """Counts of how answers were graded, under the benchmark's own name."""
        return {f"{self.name}/{count}": num for count, num in self.solve.report().items()}, {}


def read_benchmarks(corpus: Path) -> dict[str, list[Problem]]:
    """The items of every benchmark in a corpus, each once, by name of the benchmark."""
    found: dict[str, dict[str, Problem]] = {}
    for row in read_rows(corpus / "benchmarks.parquet"):
        name = f"{row['benchmark']}:{row['problem_id']}"
        item = Problem(name, row["problem"], row["solution"] or "", row["answer"])
        found.setdefault(row["benchmark"], {})[name] = item
    return {benchmark: list(found[benchmark].values()) for benchmark in sorted(found)}


def by_benchmark(found: Outcomes) -> dict[str, dict[str, float | int | None]]:
    """Accuracy of each benchmark among the items, clustered by item."""
    names = np.array([item_id.rpartition(":")[0] for item_id in found.item_ids.tolist()])
    return {str(name): accuracy(found.where(names == name)).as_json() for name in np.unique(names)}
