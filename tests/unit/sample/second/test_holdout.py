"""The split belongs to the sentence: a hash of its words and a salt decide, and nothing else."""

import hashlib
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings

from rpt_core.recipes.world import SALT
from rpt_core.sample.second.audit import universe
from rpt_core.sample.second.holdout import held_pairs, is_held, is_reserved, row_of, row_of_question
from rpt_core.sample.second.kinds import KINDS, kinds_of
from rpt_core.sample.second.questions import Question, Sentence, sentences
from tests.unit.sample.second.test_questions import questions

WITHOUT_A_PAIR = {2: 0.889, 3: 0.790, 4: 0.702}
"""Shares of sentences without a held pair, as computed before any was drawn."""


def first_byte(kind: str, phrases: tuple[str, ...], salt: str = SALT) -> int:
    return hashlib.sha256(f"{salt}|{kind}|{', '.join(phrases)}".encode()).digest()[0]


@given(question=questions())
@settings(deadline=None)
def test_a_row_is_the_rule_of_the_study_word_for_word(question):
    kind, phrases = question.kind, question.phrases
    row = row_of(question.sentence)
    if len(phrases) == 1:
        assert row == "one step"
    elif any(pair in held_pairs(kind) for pair in pairwise(phrases)):
        assert row == "new pair"
    else:
        byte = first_byte(kind, phrases)
        assert row == ("new sentence" if byte < 0x20 else "tuning" if byte < 0x30 else "seen")
    assert row_of_question(question) == row


def test_the_start_and_its_value_decide_nothing():
    for start in KINDS["clock"].states:
        assert row_of_question(Question("clock", start, ("1 on", "1 on"))) == "new pair"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_enough_sentences_are_held_of_every_kind(language):
    for kind in kinds_of(language):
        found = universe(kind.name, SALT)
        assert [total for _, total in found.values()] == [36, 216, 1296]
        assert len(held_pairs(kind.name)) == 4
        assert found[3][0] >= 40
        assert found[4][0] >= 200


def test_shares_are_those_computed_before():
    for num_steps, expected in WITHOUT_A_PAIR.items():
        rows = Counter(row_of(sentence) for kind in kinds_of("en") for sentence in sentences(kind, num_steps))
        assert 1 - rows["new pair"] / rows.total() == pytest.approx(expected, abs=0.01)
        if num_steps == 4:  # of the others one in eight is new, one in sixteen for tuning
            others = rows.total() - rows["new pair"]
            assert rows["new sentence"] / others == pytest.approx(1 / 8, abs=0.015)
            assert rows["tuning"] / others == pytest.approx(1 / 16, abs=0.015)


def test_another_salt_is_another_split_and_the_same_one_the_same():
    everything = [sentence for kind in kinds_of("en") for sentence in sentences(kind, 3)]
    here, there = ([is_held(one, salt) for one in everything] for salt in (SALT, "study-2"))
    assert here == [is_held(one) for one in everything]
    both = sum(a and b for a, b in zip(here, there, strict=True))
    assert both < 0.5 * min(sum(here), sum(there))  # of what one holds, the other holds under a half
    assert held_pairs("clock", "study-2") != held_pairs("clock")


def test_what_no_training_may_show():
    assert not is_reserved(Sentence("clock", ("1 on",)))
    assert is_reserved(Sentence("clock", ("1 on", "1 on")))
    for kind in kinds_of("en"):
        rows = {row_of(one): one for one in sentences(kind, 3)}
        assert {row: is_reserved(one) for row, one in rows.items()} == {
            "seen": False, "new sentence": True, "new pair": True, "tuning": True,
        }  # fmt: skip
        assert {row: is_held(one) for row, one in rows.items()} == {
            "seen": False, "new sentence": True, "new pair": True, "tuning": False,
        }  # fmt: skip
        long = next(one for one in sentences(kind, 5) if row_of(one) == "seen")
        assert is_reserved(long)
