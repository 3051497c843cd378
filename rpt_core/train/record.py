"""A sample of what the policy thought and answered, for people to read."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rpt_core.train.gather import Batch

ROLLOUTS_FILE = "rollouts.parquet"
GROUPS_A_STEP = 4
ANSWERS_A_GROUP = 2
SHOWN_CHARACTERS = 4_000
"""Longer thoughts are cut in the middle, where the cut is marked."""
SCHEMA = pa.schema(
    [
        ("step", pa.int32()),
        ("doc_id", pa.string()),
        ("position", pa.int32()),
        ("prompt_tail", pa.string()),
        ("thought", pa.string()),
        ("prediction", pa.string()),
        ("truth", pa.string()),
        ("verdict", pa.string()),
        ("reward", pa.float32()),
        ("tokens", pa.int32()),
    ]
)


class Record:
    """The table of rollouts: the first answers to the first questions of every step."""

    def __init__(self, earlier: Path | None = None) -> None:
        """Begin empty, or go on from the table of a checkpoint."""
        self._rows: list[dict[str, Any]] = pq.read_table(earlier).to_pylist() if earlier else []

    def add(self, step: int, batch: Batch) -> None:
        """Take the step's sample."""
        for _, group in zip(range(GROUPS_A_STEP), batch.groups, strict=False):
            for verdict in group.verdicts[:ANSWERS_A_GROUP]:
                self._rows.append(
                    {
                        "step": step,
                        "doc_id": group.question.document,
                        "position": group.question.position,
                        "prompt_tail": group.question.tail,
                        "thought": shown(verdict.thought),
                        "prediction": shown(verdict.prediction),
                        "truth": group.question.truth,
                        "verdict": verdict.verdict,
                        "reward": verdict.score,
                        "tokens": verdict.answer_tokens,
                    }
                )

    def write(self, path: Path) -> None:
        """Write all of it as Parquet."""
        pq.write_table(pa.Table.from_pylist(self._rows, SCHEMA), path)


def shown(text: str) -> str:
    """The text, its middle left out where it is too long for a table.

    Example:
        >>> len(shown("a" * 9_000)) < 4_100, "[1000 characters left out]" in shown("a" * 5_000)
        (True, True)
    """
    if len(text) <= SHOWN_CHARACTERS:
        return text
    half = SHOWN_CHARACTERS // 2
    return f"{text[:half]} [{len(text) - 2 * half} characters left out] {text[-half:]}"
