"""Problems with their solutions as documents: what the papers train on when they train on a problem set.

The statement stands first and is no target (``context_chars``); next-token questions are asked about the
solution. Rows come from the finished problem table, so they are clean, split with their problems and clear
of everything held out.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rpt_core.corpus.clean.language import detect_language
from rpt_core.corpus.tables import read_rows
from rpt_core.corpus.text.shield import without

GAP = "\n\n"
"""Between statement and solution; belongs to the statement."""


def solution_documents(problems: Path) -> Iterator[dict[str, Any]]:
    """Rows for the document table, of every problem that has a solution.

    Args:
        problems: ``problems.parquet`` of a corpus.
    """
    for row in read_rows(problems):
        if not row["solution"]:
            continue
        text = f"{row['problem']}{GAP}{row['solution']}"
        lang, score = detect_language(without(text))
        yield {
            "doc_id": row["problem_id"], "source": row["source"], "title": "", "text": text,
            "split": row["split"], "lang": lang, "lang_score": score, "native_id": row["problem_id"],
            "categories": [], "origin": row["origin"], "cluster": row["cluster"], "metrics": "{}",
            "pii": "{}", "context_chars": len(row["problem"]) + len(GAP),
        }  # fmt: skip
