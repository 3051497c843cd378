"""All benchmarks: one row each."""

from collections.abc import Iterable

from rpt_core.evaluation.benchmarks.choice import Choice
from rpt_core.evaluation.benchmarks.known import KnownBenchmarks
from rpt_core.evaluation.benchmarks.next_token import NextTokens
from rpt_core.evaluation.benchmarks.problems import Problems
from rpt_core.evaluation.benchmarks.protocol import Benchmark, Setting
from rpt_core.evaluation.benchmarks.segments import Segments

BENCHMARKS: tuple[type[Benchmark], ...] = (
    NextTokens,
    Segments,
    Problems,
    KnownBenchmarks,
    Choice,
)


def open_benchmarks(setting: Setting, modes: Iterable[str]) -> dict[str, Benchmark]:
    """The benchmarks that some modes of the recipe need, each opened once, by mode of the table of outcomes.

    Raises:
        StarvedError: the corpus holds no item of one.
    """
    wanted, found = frozenset(modes), dict[str, Benchmark]()
    for benchmark in BENCHMARKS:
        mine = [mode for mode in benchmark.modes if mode in wanted]
        if mine:
            found |= dict.fromkeys(table_modes(mine), benchmark.open(setting))
    return found


def table_modes(modes: Iterable[str]) -> list[str]:
    """The modes of the table of outcomes that some modes of the recipe ask, in order.

    Example:
        >>> table_modes(["reasoning", "plain"])
        ['reasoning', 'plain', 'plain-instructed']
    """
    known = {mode: several for benchmark in BENCHMARKS for mode, several in benchmark.modes.items()}
    return [one for mode in modes for one in known[mode]]
