"""The table a benchmark ends with: what was found beside its target, what differs, and what did not run."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

MISSED, NOT_RUN = 1, 3
"""Exit codes: a target was missed or a result is not equal; else, something did not run. 2: a wrong call."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measure."""

    measure: str
    ours: str
    peer: str
    found: float
    """How many times faster or smaller than the peer; or, beside no peer, the figure itself."""
    target: float
    at_most: bool = False
    """Whether the target is an upper bound."""

    @property
    def met(self) -> bool:
        """Whether the target is."""
        return self.found <= self.target if self.at_most else self.found >= self.target


@dataclass
class Table:
    """Rows as they come; each is printed at once and all of them at the end."""

    rows: list[Row] = field(default_factory=list)
    unequal: list[str] = field(default_factory=list)
    """Results worse than the peer's or than what is promised; their rows do not count."""
    missed: list[str] = field(default_factory=list)
    """Targets missed that are no rows."""
    not_run: list[str] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Take a row in."""
        self.rows.append(row)
        print(_line(row), flush=True)

    def end(self) -> int:
        """Print everything again, in order; the exit code."""
        print(f"\n| {'measure':58} | {'ours':>14} | {'peer':>26} | {'found':>7} | {'target':>7} |")
        print(f"|{'-' * 60}|{'-' * 16}|{'-' * 28}|{'-' * 9}|{'-' * 9}|")
        for row in self.rows:
            print(_line(row))
        for kind, found in (("NOT EQUAL", self.unequal), ("not run", self.not_run)):
            for text in found:
                print(f"{kind}: {text}")
        missed = [row.measure for row in self.rows if not row.met] + self.missed
        if missed:
            print("missed: " + "; ".join(missed))
        if missed or self.unequal:
            return MISSED
        return NOT_RUN if self.not_run else 0


def _line(row: Row) -> str:
    sign = "<=" if row.at_most else ">="
    verdict = "" if row.met else " MISSED"
    return (
        f"| {row.measure:58} | {row.ours:>14} | {row.peer:>26} | {row.found:7.2f} | {sign} {row.target:4g} |"
        f"{verdict}"
    )


def clocked(run: Callable[[], object]) -> Callable[[], float]:
    """The processor seconds of this process that a call takes."""

    def timed() -> float:
        started = time.process_time()
        run()
        return time.process_time() - started

    return timed


def race(ours: Callable[[], float], peer: Callable[[], float], rounds: int) -> tuple[float, float]:
    """Median seconds of both sides, which alternate; a first round is discarded."""
    taken = [(ours(), peer()) for _ in range(rounds + 1)][1:]
    mine, theirs = zip(*taken, strict=True)
    return statistics.median(mine), statistics.median(theirs)


def speeds(measure: str, seconds: tuple[float, float], megabytes: float, name: str, target: float) -> Row:
    """A row of two speeds on the same text."""
    mine, theirs = (megabytes / side for side in seconds)
    return Row(measure, f"{mine:.2f} MB/s", f"{name} {theirs:.3g} MB/s", mine / theirs, target)
