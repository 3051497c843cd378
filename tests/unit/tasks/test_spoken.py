"""How a finished artifact is spoken of, long after the run that made it."""

import pytest

from flows.cli import show
from infra.metrics import tracking
from infra.storage.store import Store
from tasks.spoken import Spoken, spoken_of
from tests.unit.flows.cli.test_copy_and_compare import put
from tests.unit.infra.storage.test_store import write


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    monkeypatch.setattr(show, "open_store", lambda: store)
    return store


def made(store, folder, kind, letter, parents=None, **recipe):
    files = write(folder / letter, w=letter)
    return put(store, files, kind, letter, recipe={"stage": kind, **recipe}, parents=parents)


def test_recipe_and_role_come_from_a_name_of_the_store_and_the_seed_from_the_recipe(store, tmp_path):
    policy = made(store, tmp_path, "policy", "a", seed=3)
    judged = made(store, tmp_path, "evaluation", "b", {"model": policy.artifact}, seed=4)
    store.add_ref("tiny_rpt-policy", policy.artifact)
    store.add_ref("tiny_rpt-evaluation-of-policy", judged.artifact)
    assert spoken_of(policy, store) == Spoken("tiny_rpt", "policy", 3)
    assert spoken_of(judged, store) == Spoken("tiny_rpt", "evaluation-of-policy", 4)


def test_what_has_no_name_or_no_seed_is_spoken_of_by_what_it_has(store, tmp_path):
    lone = made(store, tmp_path, "policy", "c", seed="many")
    other = made(store, tmp_path, "policy", "d", seed=1)
    store.add_ref("tiny_rpt-policy", other.artifact)
    assert spoken_of(lone, store) == Spoken("", "policy", None)
    assert spoken_of(lone, store).tags() == {"rpt.role": "policy"}


def test_an_artifact_that_is_shown_again_is_called_as_it_was(store, tmp_path, monkeypatch):
    policy = made(store, tmp_path, "policy", "e", seed=0)
    store.add_ref("tiny_rpt-policy", policy.artifact)
    seen = []
    monkeypatch.setattr(tracking, "track", lambda *given, strict: seen.append((given[3], strict)))
    show.track_again("tiny_rpt-policy")
    assert seen == [({"rpt.recipe": "tiny_rpt", "rpt.role": "policy", "rpt.seed": "0"}, True)]
