"""The children that compute: replaced when they are lost, and never the parent's end."""

import os

from rpt_core.objectives.problems import answer
from rpt_core.objectives.problems.answer import _computed, grade_answer, grade_answers
from rpt_core.objectives.problems.answers.pool import CHILDREN, POOL, Pool


def test_a_child_that_dies_is_replaced():
    _computed.clear()
    assert grade_answer(r"\sqrt{12}", r"2\sqrt{3}") == "correct"
    for child in POOL.children:
        os.kill(child.process.pid, 9)
        child.process.wait()
    grade_answer(r"\sqrt{18}", r"3\sqrt{2}")  # may be lost with the dead child
    _computed.clear()
    grade_answer(r"\sqrt{27}", r"3\sqrt{3}")
    _computed.clear()
    assert grade_answer(r"\sqrt{27}", r"3\sqrt{3}") == "correct"


def test_a_forked_process_computes_with_children_of_its_own():
    assert grade_answer(r"\sqrt{12}", r"2\sqrt{3}") == "correct"
    _computed.clear()
    pid = os.fork()
    if pid == 0:
        right = grade_answer(r"\sqrt{50}", r"5\sqrt{2}") == "correct"
        POOL.close()
        os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert grade_answer(r"\sqrt{32}", r"4\sqrt{2}") == "correct"


def test_time_that_ran_out_is_told_and_not_remembered(monkeypatch):
    asked = []

    class Slow:
        def compute(self, jobs):
            asked.append(len(jobs))
            return [["timed-out"] * len(job) for job in jobs]

    _computed.clear()
    pairs = [(r"\sqrt{75}", r"5\sqrt{3}"), ("1", "1"), (r"\sqrt{75}", r"5\sqrt{3}")]
    with monkeypatch.context() as patched:
        patched.setattr(answer, "POOL", Slow())
        slow = grade_answers(pairs)
    assert asked == [1]  # the same pair once, what reading decides never
    assert [(grade.match, grade.timed_out) for grade in slow] == [
        ("unparsed", True),
        ("correct", False),
        ("unparsed", True),
    ]
    again = grade_answers(pairs)
    assert [(grade.match, grade.computed, grade.timed_out) for grade in again] == [
        ("correct", True, False),
        ("correct", False, False),
        ("correct", True, False),
    ]


def test_forgetting_what_was_computed_loses_no_verdict(monkeypatch):
    _computed.clear()
    assert grade_answer(r"\sqrt{8}, x^2", r"2\sqrt{2}, x^2") == "correct"
    monkeypatch.setattr(answer, "REMEMBERED", 0)
    assert grade_answer(r"\sqrt{8}, \sqrt{18}", r"3\sqrt{2}, 2\sqrt{2}") == "correct"


def test_one_job_at_a_time_keeps_one_child():
    pool = Pool()
    leaf = (r"\sum_{k=1}^{2} k", "3")
    try:
        for _ in range(3):
            assert pool.compute([[leaf]])[0][0] in ("correct", "unparsed")
            assert len(pool.children) == 1
        pool.compute([[leaf]] * 5)
        assert len(pool.children) == CHILDREN
    finally:
        pool.close()
