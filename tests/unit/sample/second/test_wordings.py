"""The second edition in other words: every sentence of its documents is known, and no two are confused."""

from random import Random

import numpy as np
import pytest

from rpt_core.recipes.world import SALT, SecondEdition
from rpt_core.sample.pairs import FORMS, drill, pair
from rpt_core.sample.second.documents import documents
from rpt_core.sample.second.kinds import kinds_of
from rpt_core.sample.second.reading import shows_reserved
from rpt_core.sample.second.wordings import SECOND, WORDS
from rpt_core.sample.wordings import FIRST


@pytest.fixture(scope="module")
def written():
    return list(documents(SecondEdition(), 3, 60))


def test_every_claim_of_a_document_is_read_and_told_in_two_other_ways(written):
    rng, seen = Random(0), set()
    for document in written:
        opening, _, rest = document.paragraphs[0].partition(". ")
        assert SECOND.facts(f"{opening}.") is None  # a start is told, not reached: no segment to predict
        for text in (rest, *document.paragraphs[1:]):
            found = SECOND.facts(text)
            assert found is not None, text
            assert {fact.kind for fact in found} == {document.kind}
            assert [fact.name for fact in found] == ["steps", "value"] * (len(found) // 2)
            for sentence in (f"{part}." for part in text.rstrip(".").split(". ")):
                others = {SECOND.reworded(sentence, rng) for _ in range(30)}
                assert len(others) == 3
                assert sentence in others
                assert {SECOND.facts(other) for other in others} == {SECOND.facts(sentence)}
        told = [fact.content for text in (rest, *document.paragraphs[1:]) for fact in SECOND.facts(text)]
        assert told[1::2] == [question.truth for question in document.questions]
        seen.add(document.kind)
    assert seen == {kind.name for kind in kinds_of("en")}


def test_what_one_kind_says_no_other_says():
    for kind in SECOND.kinds:
        for name, content in (("value", kind.states[0]), ("steps", kind.step("1", kind.directions[0]))):
            for template in kind.templates(name):
                (fact,) = SECOND.facts(template.format(**{name: content}))
                assert (fact.kind, fact.name, fact.content) == (kind.name, name, content)


def test_the_first_edition_does_not_read_the_second_and_each_has_its_name():
    assert FIRST.facts("It points at E.") is None
    assert WORDS == {"sample-world": FIRST, "second-world": SECOND}


def test_pairs_of_the_second_edition_know_their_truth_and_show_nothing_held_out():
    pairs = [pair(0, number, 2, "second") for number in range(400)]
    assert {one.form for one in pairs} == set(FORMS)
    assert 0.2 < np.mean([one.is_right for one in pairs]) < 0.5
    assert {fact.kind for one in pairs for fact in SECOND.facts(one.reference)} == {
        kind.name for kind in kinds_of("en")
    }
    for one in pairs:
        assert one.is_right == SECOND.says_prefix(one.reference, one.predicted)
        assert not shows_reserved(one.reference, SALT)
        last = one.findings.rpartition("; ")[2].split(" = ")
        assert one.is_right == (last[0] == last[1] != "?")
    drills = [drill(0, 1, number, "second") for number in range(200)]
    assert all(one.is_right == (len(set(one.findings.split(" = "))) == 1) for one in drills)
    assert pair(0, 1, 2) != pair(0, 1, 2, "second")
