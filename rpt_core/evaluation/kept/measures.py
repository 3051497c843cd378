"""What a world knows of answers and a text does not: how new a question was, and whether a thought holds.

A world says it by one function, named in :data:`MEASURES`. Nothing here is read before an evaluation is done.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rpt_core.evaluation.items import JUDGED, PROBLEMS, REASONING
from rpt_core.evaluation.kept.arm import FAULTS, SEEN
from rpt_core.sample.bounds import WORDS_A_STEP, bound_of


@dataclass(frozen=True, slots=True)
class Marked:
    """One entry for each row of a table of outcomes, in its order; shapes are ``(answers,)``."""

    rows: NDArray[np.str_]
    """How new the question is (:data:`.arm.HELD_ROWS`); empty where it is not known."""
    steps: NDArray[np.int64]
    kinds: NDArray[np.str_]
    verified: NDArray[np.bool_] | None
    """The thought is the true chain, whatever was answered."""
    hits: NDArray[np.int64] | None
    """True steps that stand in the thought, in order and with their values."""
    faults: NDArray[np.uint8] | None
    """Codes of :data:`FAULTS`."""
    checks: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    """What else is verified of an answer and its thought, by name."""
    right: NDArray[np.bool_] | None = None
    """Right by the world's truth; None where the evaluation's verdict says it."""
    fooling: Mapping[float, NDArray[np.bool_]] = field(default_factory=dict)
    """By share of :data:`.judged.ERRING`, wrong answers that a judge which errs so would accept."""


Measure = Callable[[Path, pa.Table], Marked]
"""Of a corpus's folder and some rows of ``items.parquet``, with their thoughts."""
MEASURES: Mapping[str, str] = {
    "first-world": "rpt_core.evaluation.kept.measures:first_world",
    "second-world": "rpt_core.evaluation.kept.second_world:second_world",
    "calculator": "rpt_core.evaluation.kept.calculator:calculator",
    "second-world-segments": "rpt_core.evaluation.kept.second_world_segments:second_world_segments",
    "second-world-problems": "rpt_core.evaluation.kept.second_world_problems:second_world_problems",
}
"""By name, ``module:function``."""
MODES: Mapping[str, str] = {"second-world-segments": JUDGED, "second-world-problems": PROBLEMS}
"""In which mode of an evaluation answers are kept, where not in that of next tokens."""


def measure_of(name: str) -> Measure:
    """The function of a name."""
    found: Measure = resolve_name(MEASURES[name])
    return found


def mode_of(name: str) -> str:
    """The mode whose answers a measure judges."""
    return MODES.get(name, REASONING)


def first_world(corpus: Path, items: pa.Table) -> Marked:
    """Of the sample world's first edition: its traces are never wrong, and no question is new."""
    columns = ["doc_id", "char_offset", "thought", "kind"]
    traces = pq.read_table(corpus / "traces.parquet", columns=columns).to_pylist()
    true = {(row["doc_id"], row["char_offset"]): (row["kind"], row["thought"]) for row in traces}
    places = zip(*(items[name].to_pylist() for name in ("doc_id", "char_offset", "thought")), strict=True)
    found = [_first_world_row(true.get((document, offset)), thought) for document, offset, thought in places]
    steps, kinds, hits, whole = (np.array([one[part] for one in found]) for part in range(4))
    known = steps > 0
    unread = np.array([not thought for thought in items["thought"].to_pylist()], bool)
    codes = np.where(whole, FAULTS.index("right"), FAULTS.index("other"))
    return Marked(
        rows=np.where(known, SEEN, ""),
        steps=steps.astype(np.int64),
        kinds=kinds.astype(str),
        verified=whole.astype(bool),
        hits=hits.astype(np.int64),
        faults=np.where(unread, FAULTS.index("unread"), codes).astype(np.uint8),
    )


def _first_world_row(trace: tuple[str, str] | None, thought: str | None) -> tuple[int, str, int, bool]:
    """Steps, kind, how many of the steps the thought begins with, and whether it is the whole chain."""
    bound = bound_of(*trace) if trace else None
    if bound is None or trace is None:
        return 0, "", 0, False
    wanted, said = trace[1].split(), (thought or "").split()
    ends = range(len(wanted) - WORDS_A_STEP * (bound.num_steps - 1), len(wanted) + 1, WORDS_A_STEP)
    return bound.num_steps, bound.kind, sum(wanted[:end] == said[:end] for end in ends), wanted == said
