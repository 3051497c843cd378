"""Scores of documents by a language model, as a table beside them: one row each, in their order."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from rpt_core.corpus.tables import read_rows
from rpt_core.errors import RecipeError

SCORES_FILE = "scores.parquet"
SCORES = pa.schema(
    [("doc_id", pa.string()), ("score", pa.float32()), ("state", pa.string()), ("reply", pa.string())]
)
"""``score`` is null unless ``state`` is ``read``; of a reply that was no score the beginning is kept."""
SCORE = "llm_quality"
"""Name of the score among a document's metrics."""


def with_scores(rows: Iterator[dict[str, Any]], scores: Path | None) -> Iterator[dict[str, Any]]:
    """The documents, each with its score or None under :data:`SCORE`; as they are without scores.

    Args:
        rows: Of ``documents.parquet``, in its order.
        scores: Folder with the scores of the same table.

    Raises:
        RecipeError: the scores are of other documents.
    """
    if scores is None:
        yield from rows
        return
    scored = read_rows(scores / SCORES_FILE)
    for row in rows:
        found = next(scored, None)
        if found is None or found["doc_id"] != row["doc_id"]:
            raise _others()
        yield {**row, SCORE: found["score"]}
    if next(scored, None) is not None:
        raise _others()


def _others() -> RecipeError:
    return RecipeError(
        "the scores are of other documents than those to be prepared. Score these documents: leave out "
        "scores.documents, or name the same as the prepare recipe does."
    )
