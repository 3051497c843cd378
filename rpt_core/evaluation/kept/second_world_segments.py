"""What the sample world's second edition knows of predicted segments: right is what the walk comes to.

Counted are segments that state a value reached, "It now shows 2.", after steps and a start that the text
tells before them: the truth is the walk from that start, so no judge is asked. An answer is right where the
*first* sentence of its prediction states the true value of the same kind, in the documents' words or in a
paraphrase (one of the two other wordings of :mod:`rpt_core.sample.second.wordings`). What it says after that
is passed over: which steps a text tells next is free, and nobody can know it. Segments that tell steps have
no truth before they are written, from either side of the gap; they stand in no row and are counted nowhere.
Whether a judge's own reply could be read changes nothing.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rpt_core.evaluation.kept.judged import ERRING
from rpt_core.evaluation.kept.measures import Marked
from rpt_core.evaluation.kept.second_world import in_columns, salt_of
from rpt_core.objectives.next_segment.judge import errs
from rpt_core.sample.second.holdout import row_of
from rpt_core.sample.second.kinds import KINDS
from rpt_core.sample.second.measures import READ, Place, is_true_chain, measure
from rpt_core.sample.second.questions import Question
from rpt_core.sample.second.reading import claims
from rpt_core.sample.second.wordings import SECOND

COLUMNS = ("doc_id", "char_offset", "thought", "verdict", "prediction")


def second_world_segments(corpus: Path, items: pa.Table) -> Marked:
    """Rows of a judged evaluation's table, each beside the world's truth.

    Args:
        corpus: Folder of the corpus that was asked about.
        items: Rows whose ``char_offset`` says where their segment begins; thoughts may be missing.
    """
    documents = pq.read_table(corpus / "documents.parquet", columns=["doc_id", "text"]).to_pylist()
    asked = set(items["doc_id"].to_pylist())
    questions = {
        place: question
        for row in documents
        if row["doc_id"] in asked
        for place, question in stated(row["doc_id"], row["text"]).items()
    }
    salt = salt_of(corpus)
    columns = zip(*(items[name].to_pylist() for name in COLUMNS), strict=True)
    marks = [_mark(questions, salt, *row) for row in columns]
    rows, steps, kinds, right, verified, hits, faults, *fooling = (
        [mark[part] for mark in marks] for part in range(7 + len(ERRING))
    )
    return in_columns(
        (rows, steps, kinds, verified, hits, faults),
        right=np.array(right, dtype=bool),
        fooling={share: np.array(of, dtype=bool) for share, of in zip(ERRING, fooling, strict=True)},
    )


def stated(doc_id: str, text: str) -> dict[Place, Question]:
    """The questions of a document by where the sentence of their value begins.

    Example:
        >>> text = "The old clock shows 3. The hand moves 1 on, 2 back. It now shows 2."
        >>> [(place, asked.truth) for place, asked in stated("d", text).items()]
        [(('d', 52), '2')]
    """
    return {
        (doc_id, claim.char_offset - len(KINDS[claim.kind].reached)): claim.question
        for claim in claims(text)
        if claim.question is not None and claim.char_offset is not None
    }


def states_truth(question: Question, predicted: str) -> bool:
    """Whether the first sentence of a prediction states the question's true value.

    Example:
        >>> asked = Question("clock", "3", ("1 on", "2 back"))
        >>> said = ("It now shows 2.", "Now it shows 2. It moves 1 on.", "It now shows 3.", "It now holds 2.")
        >>> [states_truth(asked, one) for one in said]
        [True, True, False, False]
        >>> states_truth(asked, "It now shows 2")
        False
    """
    head, stop, _ = " ".join(predicted.split()).partition(".")
    said = SECOND.facts(f"{head}{stop}")
    if not said:
        return False
    return (said[0].kind, said[0].name, said[0].content) == (question.kind, "value", question.truth)


def _mark(
    questions: Mapping[Place, Question],
    salt: str,
    doc_id: str,
    char_offset: int,
    thought: str | None,
    verdict: str,
    predicted: str,
) -> tuple[object, ...]:
    question = questions.get((doc_id, char_offset))
    if question is None:
        return "", 0, "", False, False, 0, "other", *(False for _ in ERRING)
    # without a verdict the answer could not be read, and nothing is predicted, or the reply of the judge
    is_read, said = verdict in READ or bool(predicted.strip()), thought or ""
    right = is_read and states_truth(question, predicted)
    found = measure(question, said, ("correct" if right else "wrong") if is_read else verdict)
    wrong = is_read and not right
    return (
        row_of(question.sentence, salt), question.num_steps, question.kind, right,
        is_true_chain(question, said), round(found.process * question.num_steps), found.fault,
        *(wrong and errs(predicted, share) for share in ERRING),
    )  # fmt: skip
