"""Known answers of published problem sets: each grades itself as correct, and few are left unread."""

import contextlib
import gzip
import json
import os
from pathlib import Path

import pytest

from rpt_core.corpus.files.problems import parse_problem
from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.objectives.problems.answer import LONGEST, grade_answers
from rpt_core.objectives.problems.answers.reading import Opaque, read_answer
from rpt_core.objectives.problems.answers.tokens import UnreadableError
from rpt_core.objectives.problems.boxes import boxed_answer

DATA = Path(os.environ.get("RPT_TEST_DATA", "../shared/data"))
SETS = {
    "aime24/test.jsonl": 0.0, "amc23/test.jsonl": 0.0, "math500/test.jsonl": 0.05,
    "olympiadbench/test.jsonl": 0.1, "minerva-math/test.part.jsonl": 0.2, "gsm8k/train.jsonl.gz": 0.0,
    "omni-math/omni_math_rule.sample.jsonl.gz": 0.1, "omni-math/omni_math_nonrule.sample.jsonl": 0.6,
}  # fmt: skip
"""File -> share of answers that reading alone may leave to identical spelling."""

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"problem sets: {DATA} is absent (RPT_TEST_DATA)"),
]


def answers(name: str) -> list[str]:
    path = DATA / name
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    found = []
    for line in text.splitlines():
        record = json.loads(line)
        if not record.get("answer") and (boxed := boxed_answer(f"</think>{record['solution']}")):
            record["answer"] = boxed  # Minerva keeps the answer in its solution
        with contextlib.suppress(BrokenInput):  # rows without an answer
            found.append(parse_problem(record, name, name, "").answer)
    return found


@pytest.mark.parametrize("name", SETS)
def test_known_answers_grade_themselves(name):
    known = answers(name)
    assert len(known) >= 30
    grades = [grade.match for grade in grade_answers([(answer, answer) for answer in known])]
    unread = sum(_is_unread(answer) for answer in known)
    print(f"{name}: {len(known)} answers, {grades.count('unparsed')} unparsed, {unread} by spelling only")
    assert "wrong" not in grades
    assert all(len(a) > LONGEST for a, g in zip(known, grades, strict=True) if g == "unparsed")
    assert unread <= SETS[name] * len(known)


def _is_unread(answer: str) -> bool:
    try:
        return isinstance(read_answer(answer), Opaque)
    except UnreadableError:
        return True
