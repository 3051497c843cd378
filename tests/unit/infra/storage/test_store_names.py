"""File names that come out of a store: nothing leaves the folder it belongs to, on writing or on reading."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.storage.store import Store
from rpt_core.artifacts.manifest import FileEntry, Manifest
from rpt_core.artifacts.names import check_distinct, checked_path
from rpt_core.errors import IntegrityError
from tests.unit.infra.storage.test_store import publish, write

HOSTILE = (
    "../x", "a/../../x", "/etc/x", "//x", "..", ".", "", "a//b", "a/", "./a", "C:\\x", "c:x", "a\\..\\b",
    "a\0b", "a\nb", "\ud800", "a/./b", "manifest.json", "MANIFEST.json", "x" * 256, "a/" * 600 + "a",
)  # fmt: skip
TWINS = (
    ("a.txt", "a.txt"), ("Read.me", "read.ME"), ("a", "a/b"), ("A/x", "a"), ("d/é", "d/e\u0301"),
    ("stra\u00dfe", "STRASSE"),
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), tmp_path / "cache")


def manifest_path(store: Store, manifest: Manifest) -> Path:
    return Path(store.objects.key("artifacts", manifest.kind, manifest.fingerprint, "manifest.json"))


def rewrite(store: Store, manifest: Manifest, *names: str) -> None:
    """Put other file names into a published manifest, as somebody with access to the store could."""
    path = manifest_path(store, manifest)
    body = json.loads(path.read_text())
    body["files"] = [{**body["files"][0], "path": name} for name in names]
    path.write_text(json.dumps(body))


def everything(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_leads_out_is_refused_when_written_and_when_read(store, tmp_path, name):
    manifest = publish(store, write(tmp_path / "a", x="hello"))
    with pytest.raises(ValueError, match="file name"):
        FileEntry(path=name, blob="0" * 64, num_bytes=0, digest="0" * 64)
    with pytest.raises(IntegrityError, match="must name it otherwise"):
        store.objects.put_file(tmp_path / "a" / "x.txt", name)
    rewrite(store, manifest, name)
    before = everything(tmp_path)
    for read in (store.load, store.materialise):
        with pytest.raises(IntegrityError, match=r"manifest\.json is no manifest"):
            read(manifest.artifact)
    assert everything(tmp_path) == before, "nothing is written for a manifest that is refused"


@pytest.mark.parametrize("names", TWINS)
def test_two_names_of_one_file_are_refused(store, tmp_path, names):
    with pytest.raises(ValueError, match="file"):
        check_distinct(names)
    manifest = publish(store, write(tmp_path / "a", x="hello"))
    rewrite(store, manifest, *names)
    with pytest.raises(IntegrityError, match="is no manifest"):
        store.load(manifest.artifact)


def test_an_entry_made_past_the_checks_is_refused_where_it_would_be_written(store, tmp_path):
    manifest = publish(store, write(tmp_path / "a", x="hello"))
    entry = manifest.files[0].model_copy(update={"path": "../../out.txt"})
    with pytest.raises(ValueError, match=r"'\.\.'"):
        store.objects.fetch_all((entry,), tmp_path / "cache" / "deep" / "folder")
    assert not list(tmp_path.rglob("out.txt"))


@pytest.mark.parametrize("field", ["kind", "fingerprint"])
@pytest.mark.parametrize("value", ["..", "../../etc", "/etc", "a/b", ".hidden", "a\0", ""])
def test_an_address_from_a_manifest_stays_in_the_store(store, tmp_path, field, value):
    artifact = publish(store, write(tmp_path / "a", x="hello")).artifact
    with pytest.raises(IntegrityError, match="cannot be part of a key"):
        store.materialise(artifact.model_copy(update={field: value}))


@pytest.mark.parametrize("blob", ["../../../etc/passwd", "", "0" * 63, "G" * 64, "A" * 64, "0" * 64 + "\n"])
def test_a_blob_has_the_name_of_a_digest(store, tmp_path, blob):
    with pytest.raises(ValueError, match="blob"):
        FileEntry(path="x", blob=blob, num_bytes=0, digest="0" * 64)
    with pytest.raises(IntegrityError, match="no SHA-256"):
        store.objects.blob_key(blob)


@given(st.text(max_size=40))
def test_whatever_a_name_is_it_stays_below_or_is_refused(text):
    root = Path("/somewhere/deep")
    try:
        checked_path(text)
    except ValueError:
        return
    joined = (root / text).resolve()
    assert joined.is_relative_to(root)
    assert joined != root


@given(st.lists(st.sampled_from("abAB"), min_size=1, max_size=3).map("/".join))
def test_ordinary_names_pass(name):
    assert checked_path(name) == name
