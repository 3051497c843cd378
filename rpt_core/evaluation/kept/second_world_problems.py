"""What the sample world's second edition knows of answers to its problems: each is read from its own text.

A problem words a question unlike the documents do, and it is held out as they are: its row is that of its
kind and steps. Right is the last closed box; whether the thought before it is the true chain is measured as
in documents.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rpt_core.evaluation.kept.measures import Marked
from rpt_core.evaluation.kept.second_world import mark, marked, salt_of
from rpt_core.sample.second.questions import Question
from rpt_core.sample.second.reading import claims


def second_world_problems(corpus: Path, items: pa.Table) -> Marked:
    """Rows of an evaluation's table in mode ``problems``; what asks nothing of the world is unknown.

    Args:
        corpus: Folder of the corpus whose problems were asked.
        items: Rows whose ``doc_id`` is the problem's.
    """
    table = pq.read_table(corpus / "problems.parquet", columns=["problem_id", "problem"]).to_pylist()
    asked = set(items["doc_id"].to_pylist())
    questions = {row["problem_id"]: asks(row["problem"]) for row in table if row["problem_id"] in asked}
    salt = salt_of(corpus)
    columns = zip(*(items[name].to_pylist() for name in ("doc_id", "thought", "verdict")), strict=True)
    marks = [
        mark(questions.get(problem), thought or "", verdict, salt) for problem, thought, verdict in columns
    ]
    return marked(marks)


def asks(problem: str) -> Question | None:
    """The question that a problem words; None where it tells no steps from a start, or tells several.

    Example:
        >>> asks("My alarm rang at 6. Now shift it 3 on, 1 back. When then?")
        Question(kind='clock', start='6', phrases=('3 on', '1 back'))
        >>> asks("What is the fourth root of 16?") is None
        True
    """
    found = [claim.question for claim in claims(problem)]
    return found[0] if len(found) == 1 else None
