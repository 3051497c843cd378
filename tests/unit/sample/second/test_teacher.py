"""The teacher errs by three named faults, in their shares, and says what its thought comes to."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpt_core.recipes.world import SALT
from rpt_core.sample.second.documents import TRAINED_STEPS
from rpt_core.sample.second.holdout import is_reserved
from rpt_core.sample.second.kinds import KINDS, kinds_of
from rpt_core.sample.second.measures import fault_of
from rpt_core.sample.second.questions import Question, Sentence
from rpt_core.sample.second.reading import read_thought
from rpt_core.sample.second.teacher import LONG_SHARE_OF_CLAIMS, is_shown, lesson, trace_rng
from tests.unit.sample.second.test_questions import questions

ASKED = Question("clock", "11", ("2 on", "1 on", "3 back"))


def drawn(question: Question, num: int, right_share: float):
    return [lesson(question, random.Random(seed), right_share, SALT) for seed in range(num)]


@given(question=questions(), seed=st.integers(0, 10_000))
@settings(deadline=None)
def test_the_box_holds_what_the_thought_concludes(question, seed):
    shown = lesson(question, random.Random(seed), 0.3, SALT)
    read = read_thought(question.kind, shown.thought)
    assert (read.start, read.left) == (question.start, shown.boxed)
    assert (shown.thought == question.thought) == (shown.fault == "right")


@given(question=questions(st.integers(1, 4)), seed=st.integers(0, 10_000))
@settings(deadline=None)
def test_the_measures_name_the_fault_the_teacher_made(question, seed):
    shown = lesson(question, random.Random(seed), 0.3, SALT)
    named = fault_of(question, shown.thought)
    if (
        shown.fault == "forgetful"
        and read_thought(question.kind, shown.thought).phrases == question.phrases[-1:]
    ):
        assert named == "hasty"  # of two steps the first left out
    else:
        assert named == shown.fault


@given(question=questions(st.integers(2, 4)), seed=st.integers(0, 10_000))
@settings(deadline=None)
def test_no_thought_shows_what_is_held_out(question, seed):
    if not is_reserved(question.sentence):
        read = read_thought(question.kind, lesson(question, random.Random(seed), 0.0, SALT).thought)
        assert not is_reserved(Sentence(question.kind, read.phrases))


def test_faults_come_in_their_shares():
    found = Counter(one.fault for one in drawn(ASKED, 20_000, 0.3))
    shares = {fault: num / 20_000 for fault, num in found.items()}
    assert shares["right"] == pytest.approx(0.3, abs=0.01)
    assert shares["sloppy"] == pytest.approx(0.25, abs=0.01)
    assert shares["forgetful"] == pytest.approx(0.25, abs=0.01)
    assert shares["hasty"] == pytest.approx(0.20, abs=0.01)


def test_one_step_can_only_be_sloppy_and_quality_is_what_it_says():
    one = Question("clock", "11", ("2 on",))
    assert {shown.fault for shown in drawn(one, 200, 0.0)} == {"sloppy"}
    assert {shown.boxed for shown in drawn(one, 200, 0.0)} == {"12", "2"}
    assert {shown.fault for shown in drawn(ASKED, 200, 1.0)} == {"right"}


def test_a_slip_is_one_place_and_the_rest_goes_on_from_there():
    slips = {shown.thought for shown in drawn(ASKED, 400, 0.0) if shown.fault == "sloppy"}
    assert slips == {
        "11 2 on 2 1 on 3 3 back 12", "11 2 on 12 1 on 1 3 back 10", "11 2 on 1 1 on 3 3 back 12",
        "11 2 on 1 1 on 1 3 back 10", "11 2 on 1 1 on 2 3 back 12", "11 2 on 1 1 on 2 3 back 10",
    }  # fmt: skip


def test_at_the_end_of_a_stretch_a_slip_stays_within_it():
    at_the_end = Question("coins", "16", ("1 in",))
    assert {shown.boxed for shown in drawn(at_the_end, 50, 0.0)} == {"15"}


def test_forgetful_and_hasty_on_a_circle():
    forgetful = {shown.thought for shown in drawn(ASKED, 400, 0.0) if shown.fault == "forgetful"}
    assert forgetful <= {"11 1 on 12 3 back 9", "11 2 on 1 3 back 10", "11 2 on 1 1 on 2"}
    assert forgetful
    assert {shown.thought for shown in drawn(ASKED, 400, 0.0) if shown.fault == "hasty"} == {"11 3 back 8"}


@pytest.mark.parametrize("kind", [kind.name for kind in kinds_of("en") if kind.wraps])
def test_lucky_faults_are_hasty_alone_on_a_circle(kind):
    rng, lucky, num = random.Random(0), Counter(), Counter()
    of = KINDS[kind]
    for seed in range(3000):
        phrases = tuple(rng.choices(of.phrases, k=rng.choice((2, 3))))
        question = Question(kind, rng.choice(of.states), phrases)
        shown = lesson(question, random.Random(seed), 0.0, SALT)
        num[shown.fault, len(phrases)] += 1
        lucky[shown.fault, len(phrases)] += shown.boxed == question.truth
    assert lucky["sloppy", 2] == lucky["sloppy", 3] == lucky["forgetful", 2] == lucky["forgetful", 3] == 0
    assert lucky["hasty", 2] == 0
    assert lucky["hasty", 3] / num["hasty", 3] == pytest.approx(1 / 6, abs=0.06)


def test_the_state_of_a_trace_is_that_of_seed_title_and_claim():
    draw = trace_rng(3, "Clock of X", 2).random()
    assert draw == trace_rng(3, "Clock of X", 2).random()
    others = {
        trace_rng(*of).random() for of in ((4, "Clock of X", 2), (3, "Clock of Y", 2), (3, "Clock of X", 1))
    }
    assert draw not in others
    assert len(others) == 3


@pytest.mark.parametrize("long_share", [0.0, 0.01, 0.05, 0.2])
def test_four_steps_have_their_share_of_the_traces(long_share):
    assert TRAINED_STEPS.count(4) / len(TRAINED_STEPS) == LONG_SHARE_OF_CLAIMS
    rng = random.Random(1)
    steps = [num for num in rng.choices(TRAINED_STEPS, k=30_000) if is_shown(num, rng, long_share)]
    assert steps.count(4) / len(steps) == pytest.approx(long_share, abs=0.01)
    if not long_share:
        assert 4 not in steps
