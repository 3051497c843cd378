"""A journey is known by the seed of its trainings, also where fits and pages resample by another."""

import pytest

from flows.recipes import Overrides, any_journey
from flows.recipes.trees import walk
from infra.storage.store import Store
from tasks.shown.journeys import shown_journey
from tasks.shown.spoken import Spoken, role


@pytest.mark.parametrize("name", ["tiny_rpt", "tiny_rmt"])
def test_every_part_of_a_journey_has_the_journeys_seed(tmp_path, name):
    journey = any_journey(name, Overrides(seed=5))
    shown = shown_journey(journey, name, Store(str(tmp_path / "store"), tmp_path / "cache"))
    assert shown.journey.name == f"{name} seed 5"
    own = {one.stage: getattr(one, "seed", None) for one in walk(journey)}
    assert 0 in own.values()  # of what resamples
    said = {
        one.stage: shown.spoken(one, Spoken(name, role(one), getattr(one, "seed", None))).seed
        for one in walk(journey)
    }
    assert set(said.values()) == {5}


def test_a_part_made_alone_has_its_own_seed(tmp_path):
    documents = next(one for one in walk(any_journey("tiny_rpt", Overrides(seed=5))) if one.kind == "corpus")
    shown = shown_journey(documents, "tiny_rpt", Store(str(tmp_path / "store"), tmp_path / "cache"))
    assert shown.journey.name == "tiny_rpt-corpus seed 5"
