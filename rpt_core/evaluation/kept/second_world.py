"""What the sample world's second edition knows of answers: its questions are read from the written text."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rpt_core.artifacts.manifest import MANIFEST_FILE
from rpt_core.evaluation.kept.arm import FAULTS
from rpt_core.evaluation.kept.measures import Marked
from rpt_core.recipes.world import SALT
from rpt_core.sample.second.holdout import row_of
from rpt_core.sample.second.measures import is_true_chain, measure, questions_of
from rpt_core.sample.second.questions import Question

Mark = tuple[str, int, str, bool, int, str]
UNKNOWN: Mark = ("", 0, "", False, 0, "other")
"""Of a place that asks none of the world's questions."""


def second_world(corpus: Path, items: pa.Table) -> Marked:
    """Rows of an evaluation's table, judged step by step (:mod:`rpt_core.sample.second.measures`)."""
    documents = pq.read_table(corpus / "documents.parquet", columns=["doc_id", "text"]).to_pylist()
    asked = set(items["doc_id"].to_pylist())
    questions = questions_of(row for row in documents if row["doc_id"] in asked)
    salt = salt_of(corpus)
    names = ("doc_id", "char_offset", "thought", "verdict")
    columns = zip(*(items[name].to_pylist() for name in names), strict=True)
    marks = [
        mark(questions.get((document, offset)), thought or "", verdict, salt)
        for document, offset, thought, verdict in columns
    ]
    return marked(marks)


def marked(marks: Sequence[Mark]) -> Marked:
    """Marks of answers as arrays."""
    return in_columns([[one[part] for one in marks] for part in range(len(UNKNOWN))])


def in_columns(columns: Sequence[Sequence[Any]], **more: Any) -> Marked:
    """Marks as arrays.

    Args:
        columns: Rows, steps, kinds, verified, hits and names of faults, one entry an answer each.
        more: Further fields of :class:`Marked`.
    """
    rows, steps, kinds, verified, hits, faults = columns
    return Marked(
        rows=np.array(rows, dtype=str),
        steps=np.array(steps, dtype=np.int64),
        kinds=np.array(kinds, dtype=str),
        verified=np.array(verified, dtype=bool),
        hits=np.array(hits, dtype=np.int64),
        faults=np.array([FAULTS.index(str(name)) for name in faults], dtype=np.uint8),
        **more,
    )


def salt_of(corpus: Path) -> str:
    """Of the hold-out that a corpus was split by, as its manifest says; the usual one where it has none."""
    manifest = corpus / MANIFEST_FILE
    recipe = json.loads(manifest.read_text())["recipe"] if manifest.is_file() else {}
    return str(recipe.get("held_questions") or SALT)


def mark(question: Question | None, thought: str, verdict: str, salt: str) -> Mark:
    """One answer to a question; :data:`UNKNOWN` to none."""
    if question is None:
        return UNKNOWN
    found = measure(question, thought, verdict)
    hits = round(found.process * question.num_steps)
    chain = is_true_chain(question, thought)
    return row_of(question.sentence, salt), question.num_steps, question.kind, chain, hits, found.fault
