"""What the steps of a training saw: a sample of answers for people to read, and a digest of every batch.

The digest makes a step repeatable: :mod:`rpt_core.train.rl.replay` rebuilds it and compares.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rpt_core.artifacts.recipe import canonical_json
from rpt_core.train.rl.collect import Answered, Batch, Group

ROLLOUTS_FILE = "rollouts.parquet"
BATCHES_FILE = "batches.parquet"
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
BATCHES_SCHEMA = pa.schema(
    [
        ("step", pa.int32()),
        ("cursor", pa.int64()),
        ("groups", pa.int32()),
        ("kept", pa.int32()),
        ("digest", pa.string()),
    ]
)
"""By step: questions drawn before it, groups of answers and those that reached the update, and
:func:`batch_digest`."""


class Record:
    """The first answers to the first questions of every step, and every step's digest."""

    def __init__(self, earlier: Path | None = None) -> None:
        """Begin empty, or resume from the tables in the folder of a checkpoint."""
        self._rows = pq.read_table(earlier / ROLLOUTS_FILE).to_pylist() if earlier else []
        self._batches = pq.read_table(earlier / BATCHES_FILE).to_pylist() if earlier else []

    def add(self, step: int, cursor: int, batch: Batch) -> None:
        """Take the step's sample and its digest.

        Args:
            step: 1-based.
            cursor: The objective's before the step.
            batch: What the step learnt from.
        """
        self._batches.append(
            {
                "step": step,
                "cursor": cursor,
                "groups": sum(1 for _ in batch.groups),
                "kept": batch.num_kept,
                "digest": batch_digest(batch),
            }
        )
        for _, group in zip(range(GROUPS_A_STEP), batch.groups, strict=False):
            self._rows += answer_rows(step, group, ANSWERS_A_GROUP)

    def write(self, folder: Path) -> None:
        """Write both tables as Parquet."""
        pq.write_table(pa.Table.from_pylist(self._rows, SCHEMA), folder / ROLLOUTS_FILE)
        pq.write_table(pa.Table.from_pylist(self._batches, BATCHES_SCHEMA), folder / BATCHES_FILE)


def answer_rows(step: int, group: Group, num: int | None = None) -> list[dict[str, Any]]:
    """The first ``num`` answers of a group (all without it) as rows of the table of rollouts."""
    return [
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
        for verdict in group.verdicts[:num]
    ]


def batch_digest(batch: Batch) -> str:
    """SHA-256 over everything a step's update was told, hex.

    That is every document with its cuts and suffixes, every answer's tokens and how it ended, its verdict
    and reward, and which groups were kept. Log-probabilities are left out: their last bits depend on the
    machine, and two machines that drew the same answers saw the same batch.
    """
    whole = hashlib.sha256()
    for document in batch.documents:
        _feed(whole, document)
    return whole.hexdigest()


def _feed(whole: Any, document: Answered) -> None:
    trunk = document.asked.trunk
    whole.update(canonical_json([trunk.key, len(trunk.instruction_ids), len(trunk.document_ids)]))
    whole.update(np.array(trunk.token_ids, "<i4").tobytes())
    for cut, group in zip(trunk.cuts, document.groups, strict=True):
        whole.update(canonical_json([cut.position, list(cut.suffix_ids), group.keep, len(group.samples)]))
        for sample, verdict in zip(group.samples, group.verdicts, strict=True):
            told = [sample.finish, verdict.verdict, verdict.score, len(sample.token_ids)]
            told += [] if verdict.advantage is None else [verdict.advantage]
            whole.update(canonical_json(told))
            whole.update(np.array(sample.token_ids, "<i4").tobytes())


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
