"""What arithmetic knows of answers about a text's numbers: a verifier that needs no teacher.

A thought is an equation such as ``48/2=24``. Two things are checked of an answer, whatever was asked: whether
the expression comes to the number that is boxed, and whether the numbers it is made of stand in the text
before the place, or nothing of it is about this text. An answer is *verified* when it is right and both hold.
"""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rpt_core.corpus.text.arithmetic import claim_of, operands, value_of
from rpt_core.evaluation.kept.measures import Marked

EVALUATES, OPERANDS = "evaluates", "operands"
NEW = "new problem"
"""Row of every question: its problem stands in no training text."""


def calculator(corpus: Path, items: pa.Table) -> Marked:
    """Rows of an evaluation's table, checked in exact arithmetic.

    A question's kind is the length of its number: ``1 digit``, ``2 digits`` and so on.
    """
    asked = set(items["doc_id"].to_pylist())
    texts = {
        row["doc_id"]: row["text"]
        for row in pq.read_table(corpus / "documents.parquet", columns=["doc_id", "text"]).to_pylist()
        if row["doc_id"] in asked
    }
    names = ("doc_id", "char_offset", "thought", "prediction", "truth")
    rows = list(zip(*(items[name].to_pylist() for name in names), strict=True))
    evaluates = np.array([comes_to(thought, said) for _, _, thought, said, _ in rows], bool)
    stands = np.array(
        [is_of_text(thought, _before(texts, place, at)) for place, at, thought, _, _ in rows], bool
    )
    kinds = [digits_of(truth) for *_, truth in rows]
    return Marked(
        rows=np.full(len(rows), NEW),
        steps=np.zeros(len(rows), np.int64),
        kinds=np.array(kinds, dtype=str),
        verified=evaluates & stands,
        hits=None,
        faults=None,
        checks={EVALUATES: evaluates, OPERANDS: stands},
    )


def comes_to(thought: str | None, prediction: str) -> bool:
    """Whether a thought is an equation whose left side has the value of the prediction.

    Example:
        >>> comes_to("48/2=24", "24"), comes_to("48/2=25", "25"), comes_to("24", "24"), comes_to(None, "")
        (True, False, False, False)
    """
    claim = claim_of(thought or "")
    found = value_of(claim[0]) if claim else None
    return found is not None and found == value_of(prediction)


def is_of_text(thought: str | None, before: str) -> bool:
    """Whether a thought is an equation, and every number of its left side stands in the text.

    Example:
        >>> is_of_text("48/2=24", "She sold 48 clips, then 1/2 of them:"), is_of_text("40/2=20", "48, 2")
        (True, False)
    """
    claim = claim_of(thought or "")
    numbers = set(operands(claim[0])) if claim else set[Fraction]()
    return bool(numbers) and numbers <= set(operands(before))


def digits_of(truth: str) -> str:
    """How long a number is, as the kind of a question.

    Example:
        >>> digits_of("7"), digits_of(" 1,200"), digits_of("0.25"), digits_of("123456")
        ('1 digit', '4 digits', '3 digits', '5 digits and more')
    """
    num = sum(letter.isdigit() for letter in truth)
    return "1 digit" if num == 1 else f"{num} digits" if num < 5 else "5 digits and more"


def _before(texts: Mapping[str, str], document: str, char_offset: int | None) -> str:
    """The text before a place: the problem and its solution so far."""
    return texts.get(document, "")[: char_offset or 0]
