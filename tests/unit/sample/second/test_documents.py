"""Documents and problems show what their side may show; dials do what they say."""

from collections import Counter
from typing import get_args

import pytest
from pydantic import ValidationError

from rpt_core.recipes.world import KindName, SecondEdition
from rpt_core.sample.second.documents import documents, problems
from rpt_core.sample.second.holdout import is_reserved, row_of
from rpt_core.sample.second.kinds import KINDS, kinds_of
from rpt_core.sample.second.reading import claims, read_thought

USUAL = SecondEdition()


def test_the_same_seed_gives_the_same_world_and_a_longer_one_begins_alike():
    assert list(documents(USUAL, 3, 20)) == list(documents(USUAL, 3, 40))[:20]
    assert list(problems(USUAL, 3, 20)) == list(problems(USUAL, 3, 40))[:20]
    assert [one.text for one in documents(USUAL, 3, 20)] != [one.text for one in documents(USUAL, 4, 20)]


def test_another_teacher_changes_nothing_but_traces():
    better = SecondEdition(right_share=1.0, long_share=0.05)
    pairs = list(zip(documents(USUAL, 3, 60), documents(better, 3, 60), strict=True))
    assert all(a.text == b.text and a.title == b.title for a, b in pairs)
    right = [trace.lesson.fault == "right" for _, b in pairs for trace in b.traces]
    assert right
    assert all(right)


def test_either_side_shows_what_it_may():
    drawn = list(documents(USUAL, 1, 400))
    for document in drawn:
        sentences = [question.sentence for question in document.questions]
        if document.is_held:
            assert all(is_reserved(one) for one in sentences if one.num_steps > 1)
            assert any(one.num_steps > 1 for one in sentences)
            assert not document.traces
        else:
            assert not any(is_reserved(one) for one in sentences)
    held = [question.sentence for one in drawn if one.is_held for question in one.questions]
    rows = Counter(row_of(one) for one in held if one.num_steps > 1)
    assert set(rows) == {"new sentence", "new pair"}
    assert rows["new pair"] / rows.total() == pytest.approx(0.5, abs=0.15)
    assert {one.num_steps for one in held} == {1, 2, 3, 4, 5, 6}
    assert sum(one.is_held for one in drawn) / 400 == pytest.approx(0.08, abs=0.04)


def test_kinds_take_turns_on_either_side():
    drawn = list(documents(USUAL, 1, 400))
    for is_held in (True, False):
        counts = Counter(one.kind for one in drawn if one.is_held == is_held)
        assert len(counts) == 8
        assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("language", ["en", "zh"])
def test_documents_and_traces_read_back_as_what_was_drawn(language):
    edition = SecondEdition(languages=(language,), noise_share=0.3)
    for document in documents(edition, 1, 60):
        found = claims(document.text)
        assert tuple(claim.question for claim in found) == document.questions
        assert [claim.value for claim in found] == [question.truth for question in document.questions]
        for trace in document.traces:
            assert document.text.count(trace.before) == 1
            assert any(part.startswith(trace.before + trace.answer) for part in document.paragraphs)
            assert read_thought(document.kind, trace.lesson.thought).left == trace.lesson.boxed


def test_tuning_documents_ask_tuning_questions_and_share_their_training_text():
    tuning = SecondEdition(held="tuning")
    pairs = list(zip(documents(USUAL, 2, 200), documents(tuning, 2, 200), strict=True))
    assert [a for a, _ in pairs if not a.is_held] == [b for _, b in pairs if not b.is_held]
    asked = [question.sentence for _, b in pairs if b.is_held for question in b.questions]
    assert {row_of(one) for one in asked} == {"one step", "tuning"}
    problems_asked = {row_of(p.question.sentence) for p in problems(tuning, 2, 300) if p.is_held}
    assert problems_asked == {"tuning"}


def test_problems_are_unique_and_stay_on_their_side():
    drawn = list(problems(USUAL, 0, 1500))
    assert len({one.problem for one in drawn}) == 1500
    for one in drawn:
        [claim] = claims(one.problem)
        assert claim.question == one.question
        assert is_reserved(one.question.sentence) == one.is_held


def test_chinese_has_no_blanks_and_both_languages_take_turns():
    both = SecondEdition(languages=("en", "zh"))
    drawn = list(documents(both, 0, 120))
    names = [kind.name for language in ("en", "zh") for kind in kinds_of(language)]
    assert {one.kind for one in drawn} == set(names)
    chinese = [one for one in drawn if one.kind.startswith("zh-")]
    assert len(chinese) == pytest.approx(60, abs=8)
    assert all(" " not in one.text for one in chinese)
    assert all(" " not in trace.lesson.thought for one in chinese for trace in one.traces)


@pytest.mark.parametrize("noise_share", [0.0, 0.2, 0.5])
def test_noise_has_its_share_of_the_paragraphs(noise_share):
    drawn = list(documents(SecondEdition(noise_share=noise_share), 0, 400))
    paragraphs = [paragraph for one in drawn for paragraph in one.paragraphs]
    noisy = [paragraph for paragraph in paragraphs if not claims(paragraph)]
    assert len(noisy) / len(paragraphs) == pytest.approx(noise_share, abs=0.03)
    assert all(claims(one.paragraphs[0]) for one in drawn)


def test_the_kinds_of_a_world_are_those_it_names_and_must_be_of_its_languages():
    few = SecondEdition(kinds=("compass", "week"))
    assert [one.kind for one in documents(few, 1, 60) if not one.is_held][:4] == ["week", "compass"] * 2
    assert {one.question.kind for one in problems(few, 1, 60)} == {"week", "compass"}
    both = SecondEdition(languages=("en", "zh"), kinds=("week", "zh-week"))
    assert {one.kind for one in documents(both, 1, 60)} == {"week", "zh-week"}
    assert set(get_args(KindName)) == set(KINDS)
    with pytest.raises(ValidationError, match=r"zh-week.*none of the languages en"):
        SecondEdition(kinds=("week", "zh-week"))
