"""GSM8K's easy problems in two files: no problem in both, and lessons that the checker grades as right."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rpt_core.objectives.problems.answer import grade_answers
from rpt_core.objectives.problems.stated import stated_answer
from tests.tools.short_solutions import MOST_CHARACTERS, easy_problems, is_lesson

FILE = Path(os.environ.get("RPT_TEST_DATA", "../shared/data")) / "gsm8k" / "train.jsonl.gz"
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not FILE.is_file(), reason=f"{FILE} is absent (RPT_TEST_DATA)"),
]


def rows(place: Path):
    return [json.loads(line) for line in place.read_text().splitlines()]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("short")
    words = [sys.executable, "-m", "tests.tools.short_solutions", str(FILE), str(folder)]
    subprocess.run(words, check=True, capture_output=True)
    return rows(folder / "lessons" / "lessons.jsonl"), rows(folder / "problems" / "problems.jsonl")


def test_every_easy_problem_is_in_one_file(written):
    lessons, problems = written
    taught = {one["messages"][0]["content"].partition("\n\n")[2] for one in lessons}
    asked = {one["question"] for one in problems}
    assert not taught & asked
    assert taught | asked == {question for question, _ in easy_problems(FILE)}
    assert min(len(taught), len(asked)) > 400
    assert max(map(len, taught | asked)) <= MOST_CHARACTERS


def test_lessons_are_graded_as_right_and_their_arithmetic_is_true(written):
    lessons, _ = written
    told = [one["messages"][1]["content"] for one in lessons]
    known = [a.rpartition("####")[2].strip() for q, a in easy_problems(FILE) if is_lesson(q)]
    said = [stated_answer(text, or_number=False) for text in told]
    grades = grade_answers(list(zip(said, known, strict=True)))
    assert {grade.match for grade in grades} == {"correct"}
    sums = [line.rpartition("=") for text in told for line in text.split("\n")[:-1]]
    plain = [(left, right) for left, _, right in sums if re.fullmatch(r"[\d.+\-*/()]+", left)]
    assert len(plain) > 0.9 * len(sums)
    wrong = [(left, right) for left, right in plain if abs(eval(left) - float(right)) > 0.51]
    assert not wrong
