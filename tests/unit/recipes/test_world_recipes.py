"""The second edition's fields: the first one's fingerprints stay, a journey agrees on what is held out."""

import pytest
from pydantic import ValidationError

from flows.agreement import check_journey
from flows.recipes import Overrides, any_journey
from flows.recipes.trees import stage
from rpt_core.artifacts.recipe import Artifact
from rpt_core.errors import RecipeError
from rpt_core.recipes.corpus import PrepareRecipe, SampleWorld
from rpt_core.recipes.splits import overlap
from rpt_core.recipes.supervised import ColdStartRecipe
from rpt_core.recipes.world import SALT, SecondEdition

MADE = Artifact(kind="any", fingerprint="1" * 64, digest="2" * 64)
SECOND = {"documents.sample.second": {"right_share": 0.5}}


def test_the_first_edition_is_what_it_was():
    assert "second" not in SampleWorld().model_dump()
    assert {"kinds", "planted"}.isdisjoint(SecondEdition().model_dump())
    assert "held_questions" not in PrepareRecipe(documents=MADE).canonical()
    assert "direct_answers" not in ColdStartRecipe(corpus=MADE, base=MADE).canonical()


def test_every_dial_is_another_world():
    dials = {
        "salt": "study-2", "held": "tuning", "held_share": 0.1, "right_share": 0.6, "long_share": 0.0,
        "languages": ("en", "zh"), "noise_share": 0.2, "kinds": ("week",), "planted": True,
    }  # fmt: skip
    assert set(dials) == set(SecondEdition.model_fields)
    worlds = [SecondEdition(), *(SecondEdition(**{name: value}) for name, value in dials.items())]
    dumped = [SampleWorld(second=one).model_dump_json() for one in (None, *worlds)]
    assert len(set(dumped)) == len(dials) + 2
    assert SampleWorld.model_validate_json(dumped[-1]).second == worlds[-1]


def test_world_and_corpus_hold_out_under_one_salt():
    with pytest.raises(
        RecipeError, match=r"corpus\.held_questions is '', .* -p corpus\.held_questions=study-1"
    ):
        check_journey(any_journey("tiny_rpt", Overrides(fields=SECOND)))
    journey = any_journey("tiny_rpt", Overrides(fields={**SECOND, "corpus.held_questions": SALT}))
    check_journey(journey)
    corpus = stage(journey, "prepare-corpus")
    assert corpus.documents.sample.second == SecondEdition(right_share=0.5)
    other = any_journey("tiny_rpt", Overrides(fields={**SECOND, "corpus.held_questions": "study-2"}))
    with pytest.raises(RecipeError, match=r"is 'study-2', .* under 'study-1'"):
        check_journey(other)


def test_corpora_that_hold_out_other_questions_overlap():
    one = PrepareRecipe(documents=MADE, held_questions=SALT)
    assert overlap(one, PrepareRecipe(documents=MADE)) == "held_questions study-1 and "
    assert overlap(one, PrepareRecipe(documents=MADE, held_questions=SALT)) == ""


def test_a_start_model_cannot_guess_in_a_form_it_was_not_shown():
    with pytest.raises(ValidationError, match=r"think_share 0\.3 without direct_answers"):
        ColdStartRecipe(corpus=MADE, base=MADE, direct_answers=False)
    assert not ColdStartRecipe(corpus=MADE, base=MADE, direct_answers=False, think_share=1).direct_answers
