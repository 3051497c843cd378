"""The table of outcomes of ``rpt eval``: that of all evaluations, and what a benchmark adds to it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rpt_core.evaluation.items import FINAL, ITEMS_FILE, SCHEMA
from rpt_core.objectives.outcomes import VerdictName


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """One answer to one item in one mode, as in :class:`rpt_core.evaluation.items.Item` where names agree."""

    mode: str
    item_id: str
    doc_id: str
    """The item; for next tokens, the text."""
    sample: int
    verdict: VerdictName
    score: float
    thought_tokens: int
    answer_tokens: int
    prediction: str
    """What was read as the answer; empty where nothing could be."""
    truth: str
    prompt_digest: str
    """SHA-256 of the token ids before the answer."""
    checkpoint: str = FINAL
    step: int | None = None
    gflops: float | None = None
    position: int | None = None
    """Of a next token, in its text."""
    entropy_nats: float | None = None
    """The model's own, over its likeliest tokens, before a next token."""
    tier: str = ""
    thinks: bool = False
    first_token: bool | None = None
    tail: str | None = None
    thought: str | None = None
    prediction_tokens: int = 0
    char_offset: int | None = None
    subject: str | None = None
    """What items share beside a topic; errors are clustered by it."""
    topic: str = ""
    answer: str = ""
    """The whole text that was drawn."""
    sample_seed: int | None = None
    """Key of the sample's random stream, a function of seed, item and number; None where nothing is drawn."""
    option_nats: tuple[float, ...] | None = None
    """Log-probability of each choice, where choices are ranked."""


OUTCOMES = pa.schema(
    [
        *SCHEMA,
        ("subject", pa.string()),
        ("topic", pa.string()),
        ("prompt_digest", pa.string()),
        ("answer", pa.large_string()),
        ("sample_seed", pa.int64()),
        ("option_nats", pa.list_(pa.float64())),
        ("engine", pa.string()),
        ("engine_version", pa.string()),
    ]
)


def as_outcomes(rows: Iterable[OutcomeRow], engine: tuple[str, str]) -> pa.Table:
    """Rows as columns, each with the engine that drew it and its version."""
    held = list(rows)
    columns = {one.name: [getattr(row, one.name) for row in held] for one in fields(OutcomeRow)}
    columns |= {"engine": [engine[0]] * len(held), "engine_version": [engine[1]] * len(held)}
    return pa.table({name: columns[name] for name in OUTCOMES.names}, schema=OUTCOMES)


def write_outcomes(tables: Sequence[pa.Table], folder: Path) -> pa.Table:
    """Write ``items.parquet``, in the order of the parts; gives back the whole table."""
    table = pa.concat_tables(tables) if tables else OUTCOMES.empty_table()
    pq.write_table(table, folder / ITEMS_FILE, compression="zstd")
    return table


@dataclass
class EvaluationProgress:
    """How far an evaluation has come: parts of the table in a folder, and what they cost."""

    folder: Path
    parts: int = 0
    flops: float = 0.0
    tokens: int = 0
    reused: dict[str, int] = field(default_factory=dict)
    """Samples taken over, by fingerprint of the evaluation they come from."""

    @classmethod
    def open(cls, folder: Path, saved: Path | None) -> "EvaluationProgress":
        """Go on from a saved folder, or begin."""
        folder.mkdir(parents=True, exist_ok=True)
        if saved is None:
            return cls(folder)
        note: dict[str, Any] = json.loads((saved / "progress.json").read_text())
        for path in saved.glob("*.parquet"):
            (folder / path.name).write_bytes(path.read_bytes())
        return cls(folder, **note)

    def add(self, table: pa.Table) -> None:
        """The next part."""
        pq.write_table(table, self.folder / f"{self.parts:06d}.parquet", compression="zstd")
        self.parts += 1

    def note(self) -> None:
        """Write what is needed beside the parts to resume."""
        said = {name: value for name, value in asdict(self).items() if name != "folder"}
        (self.folder / "progress.json").write_text(json.dumps(said))

    def tables(self) -> list[pa.Table]:
        """All parts, in order."""
        return [pq.read_table(self.folder / f"{part:06d}.parquet") for part in range(self.parts)]
