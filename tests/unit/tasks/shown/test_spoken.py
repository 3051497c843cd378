"""How a finished artifact is spoken of, long after the run that made it."""

import pytest

from infra.storage.store import Store
from tasks.shown.spoken import Spoken, spoken_of
from tests.unit.flows.cli.test_copy_and_compare import put
from tests.unit.infra.storage.test_store import write


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(str(tmp_path / "store"), tmp_path / "cache")


def made(store, folder, kind, letter, parents=None, **recipe):
    files = write(folder / letter, w=letter)
    return put(store, files, kind, letter, recipe={"stage": kind, **recipe}, parents=parents)


def test_recipe_and_role_come_from_a_name_of_the_store_and_the_seed_from_the_recipe(store, tmp_path):
    policy = made(store, tmp_path, "policy", "a", seed=3)
    judged = made(store, tmp_path, "evaluation", "b", {"model": policy.artifact}, seed=4)
    store.add_ref("tiny_rpt-policy", policy.artifact)
    store.add_ref("tiny_rpt-evaluation-of-policy", judged.artifact)
    assert spoken_of(policy, store.refs()) == Spoken("tiny_rpt", "policy", 3)
    assert spoken_of(judged, store.refs()) == Spoken("tiny_rpt", "evaluation-of-policy", 4)


def test_what_has_no_name_or_no_seed_is_spoken_of_by_what_it_has(store, tmp_path):
    lone = made(store, tmp_path, "policy", "c", seed="many")
    other = made(store, tmp_path, "policy", "d", seed=1)
    store.add_ref("tiny_rpt-policy", other.artifact)
    assert spoken_of(lone, store.refs()) == Spoken("", "policy", None)
    assert spoken_of(lone, store.refs()).tags() == {"rpt.role": "policy"}
