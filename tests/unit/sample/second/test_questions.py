"""Kinds, walks, and the way back from text: what is written is what is read."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpt_core.sample.second.kinds import KINDS, kinds_of
from rpt_core.sample.second.noise import noise_paragraph
from rpt_core.sample.second.questions import Question, Sentence, sentences, walk
from rpt_core.sample.second.reading import claims, question_at, read_thought, thought_words

ANY_KIND, ONE_TO_SIX = st.sampled_from(sorted(KINDS)), st.integers(1, 6)


@st.composite
def questions(draw, steps=ONE_TO_SIX) -> Question:
    kind = KINDS[draw(ANY_KIND)]
    phrases = [draw(st.sampled_from(kind.phrases)) for _ in range(draw(steps))]
    return Question(kind.name, draw(st.sampled_from(kind.states)), tuple(phrases))


def written(question: Question, adjective: int = 0) -> str:
    """A document of one claim, put together without the generator."""
    kind = KINDS[question.kind]
    gap = kind.language.gap
    opening = kind.opening.format(adjective=kind.adjectives[adjective], value=question.start)
    told = kind.told.format(steps=kind.language.comma.join(question.phrases))
    return f"{opening}{gap}{told}{gap}{kind.reached}{gap}{question.truth}{kind.language.stop}"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_eight_kinds_of_the_agreed_sizes_with_six_phrases_each(language):
    kinds = kinds_of(language)
    assert sorted(len(kind.values) for kind in kinds) == [7, 7, 8, 9, 12, 12, 16, 24]
    assert [len(kind.values) for kind in kinds if not kind.wraps] == [16]
    for kind in kinds:
        assert sorted(kind.shifts.values()) == [-3, -2, -1, 1, 2, 3]
        assert len(set(kind.values)) == len(kind.values)
        assert len(set(kind.states)) == len(kind.states)
        assert [len(list(sentences(kind, num))) for num in (1, 2, 3)] == [6, 36, 216]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_free_choice_is_as_wide_as_a_consequence(language):
    kinds = kinds_of(language)
    adjectives = {word for kind in kinds for word in kind.adjectives}
    assert len(adjectives) == 4
    for word in adjectives:
        assert len({kind.opening.split("{adjective}")[1] for kind in kinds if word in kind.adjectives}) <= 4
    for kind in kinds:
        assert (len(kind.starts), len(kind.language.amounts), len(kind.directions)) == (2, 3, 2)
        assert len(kind.values) >= 7


def test_amount_and_direction_are_words_of_their_own():
    for kind in kinds_of("en"):
        assert all(re.fullmatch(r"[123] [a-z]+", phrase) for phrase in kind.phrases)


@given(question=questions())
@settings(deadline=None)
def test_a_chain_follows_the_steps_and_stays_within_its_values(question):
    kind = KINDS[question.kind]
    position = kind.states.index(question.start)
    for step in question.steps:
        position += kind.shifts[step.phrase]
        size = len(kind.values)
        position = position % size if kind.wraps else max(0, min(size - 1, position))
        assert step.value == kind.values[position]
    assert question.truth == kind.states[position]


def test_a_stretch_stops_at_its_ends():
    assert [step.value for step in walk(KINDS["coins"], "15", ("3 in", "1 out"))] == ["16", "15"]
    assert Question("coins", "2", ("3 out", "3 out", "1 in")).truth == "2"
    assert Question("zh-coins", "十五枚", ("收三",)).truth == "十六枚"


@given(question=questions(), adjective=st.integers(0, 1))
@settings(deadline=None)
def test_a_document_reads_back_as_its_question(question, adjective):
    text = written(question, adjective)
    [claim] = claims(text)
    assert claim.question == question
    assert claim.value == question.truth
    kind = KINDS[question.kind]
    end = f"{kind.language.gap}{question.truth}{kind.language.stop}"
    assert text[claim.char_offset :] == end
    assert question_at(text, claim.char_offset) == question
    assert question_at(text, claim.char_offset + 1) is None
    [cut] = claims(text[: claim.char_offset])
    assert (cut.question, cut.value, cut.char_offset) == (question, None, None)


@given(question=questions())
@settings(deadline=None)
def test_a_problem_reads_back_as_its_question(question):
    kind = KINDS[question.kind]
    for template in kind.questions:
        told = kind.language.comma.join(question.phrases)
        [claim] = claims(template.format(value=question.start, steps=told))
        assert (claim.question, claim.value) == (question, None)


@given(question=questions())
@settings(deadline=None)
def test_a_thought_reads_back_as_its_chain(question):
    read = read_thought(question.kind, f" {question.thought}")
    assert (read.start, read.steps, read.left) == (question.start, question.steps, question.truth)
    assert read.phrases == question.phrases


@given(first=questions(), second=questions(), noise=st.randoms(use_true_random=False))
@settings(deadline=None)
def test_paragraphs_and_noise_do_not_confuse_a_reader(first, second, noise):
    between = noise_paragraph(noise, KINDS[first.kind].language)
    text = "\n\n".join([written(first), between, written(second)])
    assert [claim.question for claim in claims(text)] == [first, second]
    assert not claims(between)


def test_a_claim_of_another_kind_takes_no_start_and_no_value():
    text = "The old clock shows 3. It then turns 1 left. It now shows 2."
    [claim] = claims(text)
    assert (claim.kind, claim.start, claim.value, claim.question) == ("compass", None, None, None)
    assert claim.sentence == Sentence("compass", ("1 left",))


def test_later_claims_start_where_the_one_before_ended():
    text = (
        "The big clock shows 9. The hand moves 3 on. It now shows 12.\n\n"
        "The hand moves 1 on, 1 on. It now shows 5. The hand moves 1 back. It now"
    )
    assert [claim.start for claim in claims(text)] == ["9", "12", "5"]  # what the text says, true or not
    assert [claim.value for claim in claims(text)] == ["12", "5", None]


@pytest.mark.parametrize(
    "thought",
    ["", " ", "well", " 11 2 on", " 11 2 on 1 3", "2 on 1", " 11  2 on 1", " 11 2 on 13", " 11,2 on 1"],
)
def test_what_is_no_thought_of_a_kind_is_not_read_as_one(thought):
    assert read_thought("clock", thought) is None


def test_names_are_looked_up_at_both_ends():
    assert read_thought("cooks", " Ann Monday 1 forward Tuesday Ben").left == "Ben"
    assert read_thought("cooks", " Ann Monday 1 forward Tuesday") is None
    assert read_thought("cooks", " Monday 1 forward Tuesday") is None
    assert thought_words("zh-clock", "十一点进一十二点") == ["十一点", "进一", "十二点"]


def test_the_truth_of_a_long_walk_by_hand():
    question = Question("letters", "W", ("3 after", "2 after", "1 before", "2 before", "3 after", "1 after"))
    assert [step.value for step in question.steps] == ["B", "D", "C", "A", "D", "E"]
