"""Held-out problems with known answers: drawn, solved and graded by the answer reward (RLVR)."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import pyarrow as pa

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.evaluation.benchmarks.protocol import Benchmark, Report, Setting
from rpt_core.evaluation.items import PROBLEMS
from rpt_core.evaluation.questions import at_most, drawn
from rpt_core.objectives.objective import Asked, Verdict, in_one_row
from rpt_core.objectives.problems.question import Problem, Solve, read_problems
from rpt_core.policy.engines.engine import Drawn
from rpt_core.policy.trunk import Sampling
from rpt_core.recipes.evaluation import EvaluationFields

Refusal = Callable[[Problem], str] | None
"""Why a problem is not asked; empty where it is."""


@dataclass
class Problems(Benchmark):
    """Up to ``num_problems`` held-out problems that fit into the context."""

    name: ClassVar[str] = "problems"
    modes: ClassVar[Mapping[str, tuple[str, ...]]] = {PROBLEMS: (PROBLEMS,)}

    asked: Sequence[Asked]
    balance: RowCounts
    sampling: Sampling
    solve: Solve

    @classmethod
    def open(cls, setting: Setting) -> Self:
        """Draw the problems by seed."""
        recipe = setting.recipe
        solve = Solve.of(recipe.problems, setting.codec)
        found = read_problems(setting.problem_corpus, "eval")
        asked, balance = ask_some(solve, found, recipe, 1)
        return cls(asked, balance, setting.sampling(problems=True), solve)

    def grade(self, asked: Sequence[Asked], drawn: Drawn) -> list[Verdict]:
        """The last closed box of each answer against the known one."""
        return self.solve.judge_all(in_one_row(asked, drawn))

    def summary(self, items: pa.Table, counted: Mapping[str, float]) -> dict[str, Any]:
        """How answers were graded, where any was."""
        return {"grading": dict(counted)} if counted else {}

    def report(self) -> Report:
        """Counts of how answers were graded; there is nothing to time."""
        return self.solve.report(), {}


def ask_some(
    solve: Solve, problems: Sequence[Problem], recipe: EvaluationFields, *stream: int, refusal: Refusal = None
) -> tuple[list[Asked], RowCounts]:
    """Up to ``num_problems`` of some problems that fit into the context, drawn by seed and stream.

    Args:
        solve: How a problem is asked and graded.
        problems: In a fixed order.
        recipe: Of the evaluation.
        stream: Names the draw, so that one set's does not depend on another's.
        refusal: Why a problem is not asked though it would fit; None asks them all.
    """
    fitting, refused = list[Problem](), Counter[str]()
    for problem in problems:
        reason = refusal(problem) if refusal else ""
        if not reason and not solve.fits(problem, recipe.context_tokens):
            reason = "problem-too-long"
        if reason:
            refused[reason] += 1
        else:
            fitting.append(problem)
    chosen = drawn(recipe.seed, len(fitting), recipe.num_problems, *stream)
    balance = RowCounts(rows_in=len(problems), kept=len(fitting), dropped=dict(refused))
    asked = [solve.ask(fitting[index]) for index in chosen.tolist()]
    return asked, at_most(balance, recipe.num_problems, "problem-not-drawn")
