"""Answers to the second edition's problems beside what each problem asks, which its own words say."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rpt_core.evaluation.items import PROBLEMS
from rpt_core.evaluation.kept.arm import FAULTS, HELD_ROWS
from rpt_core.evaluation.kept.measures import measure_of, mode_of
from rpt_core.evaluation.kept.second_world_problems import asks
from rpt_core.recipes.world import SecondEdition
from rpt_core.sample.second.documents import problems
from rpt_core.sample.second.holdout import row_of

NAME = "second-world-problems"
BOTH = ("en", "zh")
OTHERS = (
    "What is the fourth root of 16?",
    "A clock shows 11. What time is it?",
    "Its hand moves 2 on, 3 back.",
    "",
    "A train of 12 cars leaves at 9.",
)
"""Problems that are none of the world's, or tell only half of one."""


def measured(folder, texts, answers):
    """Texts by id, and rows of problem, thought and verdict."""
    rows = [{"problem_id": name, "problem": text} for name, text in texts.items()]
    pq.write_table(pa.Table.from_pylist(rows), folder / "problems.parquet")
    names = ("doc_id", "thought", "verdict")
    columns = {name: [one[at] for one in answers] for at, name in enumerate(names)}
    items = pa.table(columns, schema=pa.schema([(name, pa.string()) for name in names]))
    return measure_of(NAME)(folder, items)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_problem_is_read_as_the_question_that_it_was_made_from(seed):
    """Both languages, all kinds and step counts, and all wordings."""
    made = list(problems(SecondEdition(languages=BOTH), seed, 800))
    assert [asks(one.problem) for one in made] == [one.question for one in made]
    assert len({one.question.kind for one in made}) == 16
    assert {one.question.num_steps for one in made} == {1, 2, 3, 4}


@pytest.mark.parametrize("text", OTHERS)
def test_what_is_no_problem_of_the_world_asks_nothing(text):
    assert asks(text) is None


def test_two_questions_in_one_problem_are_none():
    one, other = list(problems(SecondEdition(), 0, 2))
    assert asks(f"{one.problem} {other.problem}") is None


def test_thoughts_are_judged_by_the_problem_and_unknown_ones_stand_in_no_row(tmp_path):
    made = [one for one in problems(SecondEdition(), 4, 300) if one.question.num_steps == 3][:40]
    texts = {f"p{number}": one.problem for number, one in enumerate(made)} | {"other": OTHERS[0]}
    answers = [("other", "16 2 4", "correct"), ("p0", None, "unparsed")]
    for number, one in enumerate(made):
        words = one.question.thought.split()
        last = " ".join(one.question.thought.rsplit(one.question.truth, 1)[0].split())
        answers += [
            (f"p{number}", f" {one.question.thought}", "correct"),
            (f"p{number}", f" {last}", "wrong"),
            (f"p{number}", " ".join(words[:1]), "correct"),
        ]
    found = measured(tmp_path, texts, answers)
    assert (found.rows[0], found.steps[0], found.kinds[0]) == ("", 0, "")
    assert not found.verified[:2].any()
    assert FAULTS[found.faults[1]] == "unread"
    assert found.right is None  # the evaluation's own verdict says it
    whole, cut, lucky = (np.arange(len(made)) * 3 + 2 + part for part in range(3))
    assert found.verified[whole].all()
    assert not found.verified[np.concatenate([cut, lucky])].any()
    assert (found.hits[whole] == 3).all()
    assert (found.hits[lucky] == 0).all()
    assert {FAULTS[code] for code in found.faults[whole]} == {"right"}
    assert found.rows[whole].tolist() == [row_of(one.question.sentence) for one in made]
    held = np.isin(found.rows[whole], HELD_ROWS)
    assert held.tolist() == [one.is_held for one in made]
    assert 0 < held.sum() < len(made)


def test_its_answers_are_those_to_problems():
    assert mode_of(NAME) == PROBLEMS
