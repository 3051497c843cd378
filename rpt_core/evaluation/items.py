"""The table of outcomes: one row per answer. Every score of an evaluation is a function of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rpt_core.objectives.outcomes import VerdictName

ITEMS_FILE = "items.parquet"
TEXT_NATS = "text_nats"
"""In ``scores.json``: mean negative log-likelihood of held-out text, nats a token."""
PLAIN, INSTRUCTED, REASONING, FORCED = "plain", "plain-instructed", "reasoning", "forced"
"""Modes of next tokens: argmax on the raw trunk; on the instructed trunk; free to think; made to think."""
JUDGED, JUDGED_FORCED = "judged", "judged-forced"
"""Modes of segments: free to think; made to think."""
PROBLEMS = "problems"
FINAL = "final"
"""``checkpoint`` of the model that was asked for; its milestones are called ``000120`` and so on."""


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One answer to one question, in one mode, by one checkpoint."""

    checkpoint: str
    step: int | None
    """Training step of a milestone; None for the final model."""
    gflops: float | None
    """Training compute up to a milestone, in units of 1e9 operations."""
    mode: str
    item_id: str
    """The same for every model asked the same question."""
    doc_id: str
    """Document or problem: the cluster."""
    position: int | None
    entropy_nats: float | None
    """Under the proxy model; None for problems."""
    tier: str
    """The highest tier the entropy reaches (``hard`` is also medium and easy); empty for problems."""
    sample: int
    verdict: VerdictName
    score: float
    thinks: bool
    thought_tokens: int
    answer_tokens: int
    first_token: bool | None
    """Whether the prediction's first token is the true one (RPT, appendix A); None for problems."""
    prediction: str
    truth: str
    tail: str | None = None
    """Words before the cut; written once per item and mode, for the final model."""
    thought: str | None = None
    """For the final model only: the texts of many checkpoints would be most of the file."""
    prediction_tokens: int = 0
    """Length of what was predicted; 0 when nothing could be read."""
    char_offset: int | None = None
    """Code points of the document before the cut, so that what is known of places can be looked up."""
    subject: str | None = None
    """What several items share within a benchmark: a subject, or the passage they are asked about."""
    category: str | None = None
    """What several subjects share."""


SCHEMA = pa.schema(
    [
        ("checkpoint", pa.string()),
        ("step", pa.int32()),
        ("gflops", pa.float64()),
        ("mode", pa.string()),
        ("item_id", pa.string()),
        ("doc_id", pa.string()),
        ("position", pa.int32()),
        ("entropy_nats", pa.float32()),
        ("tier", pa.string()),
        ("sample", pa.int32()),
        ("verdict", pa.string()),
        ("score", pa.float64()),
        ("thinks", pa.bool_()),
        ("thought_tokens", pa.int32()),
        ("answer_tokens", pa.int32()),
        ("first_token", pa.bool_()),
        ("prediction", pa.large_string()),
        ("truth", pa.large_string()),
        ("tail", pa.large_string()),
        ("thought", pa.large_string()),
        ("prediction_tokens", pa.int32()),
        ("char_offset", pa.int64()),
    ]
)
DECLARED = pa.schema([("subject", pa.string()), ("category", pa.string())])
"""Columns of a table in which some item has one: a table without them has the bytes of revision 1."""
LEVELS = ("category", "subject", "doc_id")
"""Columns by which items are nested, the outermost first."""


def as_table(items: Iterable[ItemRow]) -> pa.Table:
    """Items as columns."""
    names = [field.name for field in fields(ItemRow)]
    rows = [[getattr(item, name) for name in names] for item in items]
    found = zip(*rows, strict=True) if rows else ([] for _ in names)
    columns = dict(zip(names, map(list, found), strict=True))
    declared = [field for field in DECLARED if any(value is not None for value in columns[field.name])]
    schema = pa.schema([*SCHEMA, *declared])
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


def clusters(items: pa.Table) -> NDArray[np.str_]:
    """The outermost level that each row declares, by which its error is clustered: shape ``(rows,)``.

    Items of one subject are alike, and so are subjects of one category: an error that is clustered further
    inside than the benchmark is nested is too small (Miller 2024, "Adding Error Bars to Evals", section 2.2).

    Example:
        >>> table = pa.table({"doc_id": ["1", "2", "3"], "subject": ["law", "law", None]})
        >>> clusters(table).tolist()
        ['subject law', 'subject law', '3']
    """
    found = np.array(items["doc_id"].to_pylist(), dtype=object)
    for level in reversed(LEVELS[:-1]):
        if level in items.column_names:
            for row, label in enumerate(items[level].to_pylist()):
                found[row] = found[row] if label is None else f"{level} {label}"
    return found.astype(str)


def from_table(table: pa.Table) -> list[ItemRow]:
    """The items of :func:`as_table` again."""
    return [ItemRow(**row) for row in table.to_pylist()]


def write_items(tables: Sequence[pa.Table], folder: Path) -> pa.Table:
    """Write ``items.parquet`` and give back the whole table."""
    table = pa.concat_tables(tables, promote_options="default")
    pq.write_table(table, folder / ITEMS_FILE, compression="zstd")
    return table


def read_items(folder: Path) -> pa.Table:
    """The table of an evaluation's folder.

    Raises:
        FileNotFoundError: it is not an evaluation.
    """
    return pq.read_table(folder / ITEMS_FILE)


def tier_names(thresholds_nats: Sequence[float]) -> list[str]:
    """``easy``, ``medium``, ``hard`` for three thresholds (RPT, 4.1), else named by their thresholds.

    Example:
        >>> tier_names((0.5, 1.0, 1.5)), tier_names((0.5, 2.0))
        (['easy', 'medium', 'hard'], ['over 0.5', 'over 2'])
    """
    if len(thresholds_nats) == 3:
        return ["easy", "medium", "hard"]
    return [f"over {threshold:g}" for threshold in thresholds_nats]


def tier_of(entropy_nats: float, thresholds_nats: Sequence[float]) -> str:
    """The highest tier an entropy reaches.

    Example:
        >>> [tier_of(h, (0.5, 1.0, 1.5)) for h in (0.5, 1.2, 1.5, 9.0)]
        ['easy', 'medium', 'hard', 'hard']
    """
    reached = sum(entropy_nats >= threshold for threshold in thresholds_nats)
    return tier_names(thresholds_nats)[max(reached, 1) - 1]
