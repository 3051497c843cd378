"""One finder for the model that a person names, and what each kind of word is refused with."""

from pathlib import Path

import pytest

from infra.storage.store import Store
from rpt_core.errors import RecipeError, SourceError
from rpt_core.recipes.given import GivenModel
from tasks.inputs.models import find_model, find_named, is_hub_id, local_folder
from tasks.inputs.resolve import model_digest
from tests.unit.infra.storage.test_store import publish, write


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    """A store with a text `math@1` and a model `made@1`."""
    monkeypatch.chdir(tmp_path)
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    store.add_ref("math", publish(store, write(tmp_path / "a", x="hello")).artifact)
    folder(tmp_path / "b" / "model")
    store.add_ref("made", publish(store, tmp_path / "b", fingerprint="b" * 64).artifact)
    return store


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    return path


def test_a_folder_is_found_before_an_artifact_of_its_name(store, tmp_path):
    assert find_model("made", store).manifest is not None
    folder(tmp_path / "made")
    found = find_model("made", store)
    assert (found.name, found.source, found.manifest) == ("made", GivenModel(name="made"), None)
    assert local_folder(found, store) == Path("made")


def test_the_model_inside_an_artifacts_folder_is_found(store, tmp_path):
    found = find_model("b", store)
    assert found.source == GivenModel(name=str(Path("b") / "model"))
    assert local_folder(found, store) == Path("b") / "model"


@pytest.mark.parametrize("word", ["made", "made@1", "made@latest", "corpus/bbbbbb", "bbbbbb"])
def test_an_artifact_is_found_by_each_of_its_names(store, word):
    found = find_model(word, store)
    assert found.manifest is not None
    assert found.source == found.manifest.artifact == store.find("made").artifact
    assert found.name == f"corpus/{'b' * 12}"
    assert (local_folder(found, store) / "config.json").read_text() == "{}"


def test_a_hub_id_is_taken_unseen(store):
    found = find_model("org/model", store)
    assert (found.name, found.source, found.manifest) == ("org/model", GivenModel(name="org/model"), None)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("mad", r"no artifact or ref is called 'mad' .*Near: made"),
        ("made@2", r"no artifact or ref is called 'made@2' .*Near: made"),
        ("corpus/bbbb", r"no artifact or ref is called 'corpus/bbbb' .*Near: corpus/bbbbbbbbbbbb"),
        ("policy/1a2b", r"no artifact or ref is called 'policy/1a2b'"),
        ("org/model@3", r"no artifact or ref is called 'org/model@3'"),
        ("", "no artifact or ref is called ''"),
        ("./nothing", r"'\./nothing' is no Hugging Face folder \(it has no config\.json\), and no artifact"),
        ("/no/where", r"'/no/where' is no Hugging Face folder"),
        ("a", r"'a' is no Hugging Face folder"),
        ("store/refs", r"'store/refs' is no Hugging Face folder"),
        ("math", r"math is corpus/\w{12}, which holds no model\. Name a base"),
    ],
)
def test_what_is_no_model_is_refused_in_a_sentence(store, word, says):
    with pytest.raises(RecipeError, match=says):
        find_model(word, store)


def test_an_artifact_of_any_kind_is_found_where_a_model_is_not_needed(store):
    assert find_named("math", store).source == store.find("math").artifact


def test_a_word_for_several_artifacts_is_refused_as_such(store, tmp_path):
    publish(store, tmp_path / "b", fingerprint="b" * 63 + "c")
    with pytest.raises(RecipeError, match="names 2 artifacts"):
        find_model("corpus/bbbbbb", store)


@pytest.mark.parametrize("word", ["policy/1a2b", "checkpoint/1a2b", "made@1", "~/model", "model", "/", "a/"])
def test_a_recipe_takes_no_reference_or_path_for_a_hub_id(word):
    """`-p model=`: nothing is asked of the hub."""
    assert not is_hub_id(word)
    if word != "/":
        with pytest.raises(SourceError, match="neither a folder here nor a hub id"):
            model_digest(GivenModel(name=word))
