"""The children that compute: replaced when they are lost, and never the parent's end."""

import os

from rpt_core.objectives.answers.pool import POOL
from rpt_core.objectives.rewards.answer import _computed, grade_answer


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
