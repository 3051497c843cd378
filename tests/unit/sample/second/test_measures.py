"""Measures of answers, on answers written out by hand."""

import math

import pytest
from hypothesis import given, settings

from rpt_core.sample.second.measures import (
    FAULTS,
    commonest,
    fault_of,
    fault_shares,
    form_of,
    items_of,
    mean,
    measure,
    of_rows,
    process_accuracy,
    questions_of,
)
from rpt_core.sample.second.questions import Question
from rpt_core.sample.second.reading import read_thought
from tests.unit.sample.second.test_questions import questions, written

ASKED = Question("clock", "11", ("2 on", "1 on", "3 back"))  # 11 -> 1 -> 2 -> 11
NAMES = Question("cooks", "Ann", ("1 forward", "2 forward"))

THOUGHTS = [
    # thought, fault, process accuracy, form
    (" 11 2 on 1 1 on 2 3 back 11", "right", 1.0, "all steps; sums right"),
    (" 11 2 on 2 1 on 3 3 back 12", "sloppy", 0.0, "all steps; 1 sum off by 1"),
    (" 11 2 on 1 1 on 3 3 back 12", "sloppy", 1 / 3, "all steps; 1 sum off by 1"),
    (" 11 2 on 5 1 on 6 3 back 3", "other", 0.0, "all steps; 1 sum off by 4"),
    (" 11 2 on 2 1 on 2 3 back 11", "other", 2 / 3, "all steps; 2 sums wrong"),
    (" 11 2 on 1 3 back 10", "forgetful", 1 / 3, "1 step left out; sums right"),
    (" 11 2 on 1 1 on 2", "forgetful", 2 / 3, "1 step left out; sums right"),
    (" 11 3 back 8", "hasty", 0.0, "the last step alone; sums right"),
    (" 11 2 on 1", "other", 1 / 3, "2 steps left out; sums right"),
    (" 11 2 on 1 2 on 3 1 on 4 3 back 1", "other", 1 / 3, "a step said twice; sums right"),
    (" 11 2 on 1 1 on 2 3 back 11 2 on 1", "other", 1.0, "1 step more; sums right"),
    (" 11 1 on 12 2 on 2 3 back 11", "other", 1 / 3, "steps in another order; sums right"),
    (" 11 2 on 1 2 back 11 3 back 8", "other", 1 / 3, "1 step left out, 1 other in their place; sums right"),
    (" 12 2 on 2 1 on 3 3 back 12", "other", 0.0, "other start; all steps; sums right"),
    (" 11", "other", 0.0, "no step; sums right"),
    ("", "other", 0.0, "no thought"),
    (" 11 2 on 1 1 on", "other", 0.0, "not by turns"),
    (" so 11", "other", 0.0, "other words"),
]


@pytest.mark.parametrize(("thought", "fault", "process", "form"), THOUGHTS)
def test_what_a_thought_did(thought, fault, process, form):
    measured = measure(ASKED, thought, "wrong")
    assert (measured.fault, measured.form) == (fault, form)
    assert measured.process == pytest.approx(process)
    assert (measured.is_right, measured.is_verified) == (False, False)
    assert measured.thinks == bool(thought)


def test_a_name_looked_up_wrong_is_no_right_thought():
    right = " Ann Monday 1 forward Tuesday 2 forward Thursday Dan"
    assert fault_of(NAMES, right) == "right"
    assert fault_of(NAMES, right.replace("Dan", "Eve")) == "other"
    assert form_of(NAMES, right.replace("Dan", "Eve")) == "all steps; sums right; a name looked up wrong"
    assert fault_of(NAMES, " Ann Monday 2 forward Wednesday Cleo") == "hasty"


def test_right_by_luck_is_not_verified():
    lucky = Question("clock", "11", ("2 on", "2 back", "3 back"))
    measured = measure(lucky, " 11 3 back 8", "correct")
    assert (measured.is_right, measured.is_verified, measured.fault) == (True, False, "hasty")
    assert measure(lucky, f" {lucky.thought}", "correct").is_verified
    assert not measure(lucky, f" {lucky.thought}", "wrong").is_verified


@pytest.mark.parametrize("verdict", ["unparsed", "truncated", "timed out"])
def test_what_could_not_be_read_is_no_fault_of_the_thought(verdict):
    measured = measure(ASKED, f" {ASKED.thought}", verdict)
    assert (measured.fault, measured.process, measured.is_verified) == ("unread", 0.0, False)
    assert measured.form == f"unread: {verdict}"


@given(question=questions())
@settings(deadline=None)
def test_the_true_chain_is_worth_everything(question):
    measured = measure(question, f" {question.thought}", "correct")
    assert (measured.is_verified, measured.process, measured.fault) == (True, 1.0, "right")
    assert process_accuracy(question, read_thought(question.kind, question.start)) == 0.0


def answer(item: str, doc_id: str, offset: int, sample: int, thought: str, verdict: str) -> dict[str, object]:
    return {
        "item_id": item, "doc_id": doc_id, "char_offset": offset, "sample": sample, "thought": thought,
        "verdict": verdict,
    }  # fmt: skip


def test_items_gather_the_answers_of_known_places():
    documents = [{"doc_id": "a", "text": written(ASKED)}, {"doc_id": "b", "text": written(NAMES)}]
    asked = questions_of(documents)
    assert sorted(one.kind for one in asked.values()) == ["clock", "cooks"]
    [(_, first)] = [place for place, one in asked.items() if one == ASKED]
    [(_, second)] = [place for place, one in asked.items() if one == NAMES]
    rows = [
        answer("a:9", "a", first, 1, " 11 3 back 8", "wrong"),
        answer("a:9", "a", first, 0, f" {ASKED.thought}", "correct"),
        answer("b:9", "b", second, 0, "", "unparsed"),
        answer("b:3", "b", 5, 0, "", "wrong"),  # a place that asks nothing of the world
    ]
    items = items_of(rows, asked)
    assert [(item.item_id, item.doc_id, item.num_steps) for item in items] == [
        ("a:9", "a", 3),
        ("b:9", "b", 2),
    ]
    assert [one.fault for one in items[0].answers] == ["right", "hasty"]
    assert mean(items, lambda one: one.is_right) == 0.25
    assert fault_shares(items) == {
        **dict.fromkeys(FAULTS, 0.0), "right": 0.25, "hasty": 0.25, "unread": 0.5,
    }  # fmt: skip
    assert commonest(items, ("hasty", "unread")) == [
        ("the last step alone; sums right", 1), ("unread: unparsed", 1),
    ]  # fmt: skip
    assert [item.item_id for item in of_rows(items, [items[0].row], [3])] == ["a:9"]
    assert of_rows(items, [items[0].row], [5]) == []
    assert math.isnan(mean([], lambda one: one.is_right))
