"""What a person's word for an artifact finds, at the edges of what counts as a word."""

from pathlib import Path

import pytest

from infra.storage.store import Store
from rpt_core.errors import IntegrityError, RecipeError
from tests.unit.infra.storage.test_store import publish, write


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), tmp_path / "cache")


def test_a_fingerprint_goes_by_six_digits_and_not_by_five(store: Store, tmp_path: Path):
    one = publish(store, write(tmp_path / "one", a="one"), fingerprint="a" * 64)
    assert store.find("a" * 6) == store.find("corpus/aaaaaa") == store.find("a" * 64) == one
    for word in ("a" * 5, "corpus/aaaaa", "policy/aaaaaa", "b" * 6, "a" * 65, ""):
        with pytest.raises(RecipeError, match="no artifact or ref is called"):
            store.find(word)


def test_a_word_for_several_names_four_of_them(store: Store, tmp_path: Path):
    folder = write(tmp_path / "one", a="one")
    fingerprints = [f"abcdef{number}".ljust(64, "0") for number in range(1, 6)]
    for fingerprint in fingerprints:
        publish(store, folder, fingerprint=fingerprint)
    with pytest.raises(RecipeError) as caught:
        store.find("abcdef")
    named = [fingerprint for fingerprint in fingerprints if fingerprint[:12] in str(caught.value)]
    assert "names 5 artifacts" in str(caught.value)
    assert len(named) == 4
    assert store.find("abcdef3").fingerprint == fingerprints[2]


def test_near_names_are_told_and_where_there_is_none_the_list(store: Store, tmp_path: Path):
    one = publish(store, write(tmp_path / "one", a="one"))
    store.add_ref("mathematics", one.artifact)
    with pytest.raises(RecipeError, match=r"Near: mathematics\."):
        store.find("mathematic@latest")
    with pytest.raises(RecipeError, match="`rpt ls` lists"):
        store.find("zzzzzzzz")
    with pytest.raises(RecipeError, match=rf"Near: {one.artifact.short}"):
        store.find(f"{one.kind}/{one.fingerprint[:5]}")


def test_versions_count_from_one_and_a_latest_is_not_written_twice(store: Store, tmp_path: Path):
    one, two = (
        publish(store, write(tmp_path / name, a=name), fingerprint=name[0] * 64) for name in ("aa", "bb")
    )
    assert [store.add_ref("math", each.artifact) for each in (one, one, two, two, one)] == [
        "math@1", "math@1", "math@2", "math@2", "math@3",
    ]  # fmt: skip
    assert {number: each.fingerprint[0] for number, each in store.refs()["math"].items()} == {
        1: "a", 2: "b", 3: "a",
    }  # fmt: skip
    assert store.find("math@2") == store.find("math@002") == two
    assert store.find("math@000000000000000002") == two  # eighteen digits
    for word in ("math@0", "math@4", "math@-1", "math@x", "math@\u0661", "math@0000000000000000002"):
        with pytest.raises(RecipeError, match="no artifact or ref is called"):
            store.find(word)


def test_a_name_may_be_long_but_not_without_end(store: Store, tmp_path: Path):
    one = publish(store, write(tmp_path / "one", a="one"))
    store.add_ref("n" * 199, one.artifact)
    store.add_ref("n" * 200, one.artifact)
    assert store.find("n" * 199) == one
    with pytest.raises(RecipeError):
        store.find("n" * 200)


def test_an_address_of_other_content_is_not_handed_out(store: Store, tmp_path: Path):
    one = publish(store, write(tmp_path / "one", a="one"))
    assert store.load(one.artifact) == one
    for change, says in (({"digest": "0" * 64}, "has digest"), ({"fingerprint": "0" * 64}, "is not there")):
        with pytest.raises(IntegrityError, match=says):
            store.load(one.artifact.model_copy(update=change))


def test_progress_ascends_and_keeps_the_last(store: Store, tmp_path: Path):
    for step in (12, 3, 100):
        store.save_progress("f" * 64, "key", step, write(tmp_path / str(step), a=str(step)), {"of": step})
    assert store.progress_steps("f" * 64, "key") == [3, 12, 100]
    assert store.load_progress("f" * 64, "key", 12, tmp_path / "back") == {"of": 12}
    assert (tmp_path / "back" / "a.txt").read_text() == "12"
    store.forget_progress("f" * 64, "key", keep=2)
    assert store.progress_steps("f" * 64, "key") == [12, 100]
    with pytest.raises(IntegrityError, match="is gone"):
        store.load_progress("f" * 64, "key", 3, tmp_path / "gone")
    store.drop_progress("f" * 64)
    store.drop_progress("f" * 64)
    assert store.progress_steps("f" * 64, "key") == []
