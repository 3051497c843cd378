"""Pass rates of problems under one model: the table, and which problems a range of rates keeps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rpt_core.objectives.problems.question import Problem

RATES_FILE = "pass_rates.parquet"
BY_RATE = ("too-hard", "too-easy", "no-pass-rate")
"""Why the filter leaves problems out."""
SCHEMA = pa.schema(
    [
        ("problem_id", pa.string()),
        ("samples", pa.int32()),
        ("correct", pa.int32()),
        ("truncated", pa.int32()),
        ("unread", pa.int32()),
        ("mean_tokens", pa.float64()),
    ]
)
"""One row a problem. ``unread``: answers whose box could not be read or compared; ``mean_tokens``: of all
answers, thought included."""


@dataclass(frozen=True, slots=True)
class RateRange:
    """The pass rates a training keeps, both ends included."""

    rates: Mapping[str, float]
    """By problem id."""
    least: float
    most: float

    def __call__(self, problem: Problem) -> str:
        """Why a problem is left out; empty where it is kept.

        Example:
            >>> asked = RateRange({"a": 0.0, "b": 0.5}, 0.05, 0.95)
            >>> [asked(Problem(name, "", "", "")) for name in "abc"]
            ['too-hard', '', 'no-pass-rate']
        """
        rate = self.rates.get(problem.problem_id)
        if rate is None:
            return "no-pass-rate"
        return "too-hard" if rate < self.least else "too-easy" if rate > self.most else ""


Refusal = Callable[[Problem], str]
"""Why a problem is not trained on; empty where it is."""


def read_rates(folder: Path) -> dict[str, float]:
    """Share of right answers by problem id."""
    table = pq.read_table(folder / RATES_FILE, columns=["problem_id", "samples", "correct"])
    return {row["problem_id"]: row["correct"] / row["samples"] for row in table.to_pylist()}
