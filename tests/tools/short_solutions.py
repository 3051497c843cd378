r"""GSM8K's easy training problems, in two files: lessons in few words, and problems for reinforcement.

    python -m tests.tools.short_solutions GSM8K_TRAIN_FILE FOLDER

A small model cannot solve these problems in its own many words before an answer ends. A lesson is the
calculations that the published solution annotates, one a line, and the boxed number: about 30 tokens. Which
file a problem goes to follows from its text alone, so no problem stands in both:

    lessons.jsonl    conversations for the stage sft; the question is worded as that of an RLVR problem
    problems.jsonl   question and answer, as published

Easy means at most two calculations and 160 characters.
"""

import argparse
import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from rpt_core.objectives.prompts import PROBLEM_PLAIN

MOST_CALCULATIONS, MOST_CHARACTERS = 2, 160
LESSON_SHARE = 0.5
"""Of the easy problems."""
_CALCULATION = re.compile(r"<<([^<>]+)>>")


def is_easy(question: str, solution: str) -> bool:
    """Whether a problem is short and takes few calculations."""
    return len(question) <= MOST_CHARACTERS and 1 <= len(_CALCULATION.findall(solution)) <= MOST_CALCULATIONS


def is_lesson(question: str) -> bool:
    """Whether a problem is for lessons; by a digest of its text."""
    return hashlib.sha256(question.encode()).digest()[0] < 256 * LESSON_SHARE


def in_few_words(solution: str) -> str:
    r"""Calculations and the boxed result.

    Example:
        >>> in_few_words("He sold 48/2 = <<48/2=24>>24 in May.\n#### 1,024")
        '48/2=24\n\\boxed{1024}'
    """
    result = solution.rpartition("####")[2].strip().replace(",", "")
    return "\n".join([*_CALCULATION.findall(solution), f"\\boxed{{{result}}}"])


def conversation(question: str, solution: str) -> dict[str, list[dict[str, str]]]:
    """A question worded as RLVR words it, and its solution in few words."""
    return {
        "messages": [
            {"role": "user", "content": PROBLEM_PLAIN + question},
            {"role": "assistant", "content": in_few_words(solution)},
        ]
    }


def easy_problems(file: Path) -> Iterator[tuple[str, str]]:
    """Questions and solutions of GSM8K's file, in its order."""
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if is_easy(row["question"], row["answer"]):
                yield row["question"], row["answer"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    found = list(easy_problems(given.file))
    lessons = [conversation(*one) for one in found if is_lesson(one[0])]
    problems = [{"question": q, "answer": a} for q, a in found if not is_lesson(q)]
    for name, rows in (("lessons", lessons), ("problems", problems)):
        place = given.folder / name / f"{name}.jsonl"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("".join(json.dumps(row) + "\n" for row in rows))
        print(f"{len(rows)} {name} in {place}")


if __name__ == "__main__":
    main()
