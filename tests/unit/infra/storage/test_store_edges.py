"""The store at its edges: numbers of versions, digits of a fingerprint, and what a copy takes along."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.storage import objects as objects_module
from infra.storage.copy import Copied, copy, to_copy
from infra.storage.objects import Objects
from infra.storage.store import Store
from rpt_core.artifacts.manifest import FileEntry
from rpt_core.artifacts.recipe import Artifact
from rpt_core.errors import IntegrityError, RecipeError, StoreError
from tests.unit.infra.storage.test_store import publish, write

ONE = Artifact(kind="toy", fingerprint="a" * 64, digest="1" * 64)
TWO = Artifact(kind="toy", fingerprint="b" * 64, digest="2" * 64)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), tmp_path / "cache")


def test_versions_count_up_from_one_and_only_where_something_changed(store: Store):
    given = [store.add_ref("math", each) for each in (ONE, ONE, TWO, ONE)]
    assert given == ["math@1", "math@1", "math@2", "math@3"]
    assert store.refs() == {"math": {1: ONE, 2: TWO, 3: ONE}}
    first = json.loads(Path(store.objects.key("refs", "math", "000001.json")).read_text())
    assert sorted(first) == ["created", "digest", "fingerprint", "kind", "writer"]


def test_a_version_that_somebody_took_meanwhile_is_passed_over(store: Store, monkeypatch):
    store.add_ref("math", ONE)
    store.add_ref("math", TWO)
    monkeypatch.setattr(store, "_latest_number", lambda name: 0)
    assert store.add_ref("math", TWO) == "math@3"


def test_checkpoints_are_listed_by_number_and_the_last_ones_kept(store: Store, tmp_path: Path):
    for step in (12, 7, 100):
        store.save_progress("f" * 64, "key", step, write(tmp_path / str(step), w=f"at {step}"), {"n": step})
    assert store.progress_steps("f" * 64, "key") == [7, 12, 100]
    assert store.load_progress("f" * 64, "key", 12, tmp_path / "loaded") == {"n": 12}
    assert (tmp_path / "loaded" / "w.txt").read_text() == "at 12"
    store.forget_progress("f" * 64, "key", 3)
    assert store.progress_steps("f" * 64, "key") == [7, 12, 100]
    store.forget_progress("f" * 64, "key", 2)
    assert store.progress_steps("f" * 64, "key") == [12, 100]
    with pytest.raises(IntegrityError, match=rf"checkpoint 7 of {'f' * 12} is gone from"):
        store.load_progress("f" * 64, "key", 7, tmp_path / "gone")
    store.drop_progress("f" * 64)
    assert store.progress_steps("f" * 64, "key") == []


def test_a_checkpoint_saved_again_stays_as_it_was(store: Store, tmp_path: Path):
    store.save_progress("f" * 64, "key", 3, write(tmp_path / "a", w="first"), {"n": 1})
    store.save_progress("f" * 64, "key", 3, write(tmp_path / "b", w="second"), {"n": 2})
    assert store.load_progress("f" * 64, "key", 3, tmp_path / "c") == {"n": 1}
    assert (tmp_path / "c" / "w.txt").read_text() == "first"


def test_six_digits_of_a_fingerprint_name_it_and_five_do_not(store: Store, tmp_path: Path):
    manifest = publish(store, write(tmp_path / "a", x="hello"))
    start = manifest.fingerprint[:6]
    assert store.find(start) == store.find(f"{manifest.kind}/{start}") == manifest
    for wanted in (start[:5], f"other/{start}", start[:5] + "z"):
        with pytest.raises(RecipeError, match=r"no artifact or ref is called"):
            store.find(wanted)


def test_what_goes_by_a_name_is_found_by_version_or_as_the_latest(store: Store, tmp_path: Path):
    one = publish(store, write(tmp_path / "a", x="hello"))
    assert store.add_ref("math", one.artifact) == "math@1"
    assert store.find("math") == store.find("math@latest") == store.find("math@1") == one
    for wanted in ("math@2", "math@0", "math@x", "math@-1"):
        with pytest.raises(RecipeError, match=r"Near: math\."):
            store.find(wanted)


def test_content_gone_without_a_folder_to_put_it_from_can_be_tried_again(store: Store):
    entry = FileEntry(path="a.txt", blob="0123456789abcdef" * 4, num_bytes=3, digest="0" * 64)
    with pytest.raises(
        StoreError, match=r"the content 0123456789ab of a\.txt is not in .* any more"
    ) as raised:
        store.objects.complete((entry,), None)
    assert raised.value.retryable


@pytest.mark.parametrize("url", ["file:///tmp/a", "s3://bucket/a"])
@pytest.mark.parametrize(
    ("end", "is_indexed"), [("00", True), ("40", True), ("80", True), ("c0", True), ("c1", False)]
)
def test_one_publish_in_64_on_s3_reads_all_manifests(monkeypatch, url: str, end: str, is_indexed: bool):
    scans = []
    fake = SimpleNamespace(
        objects=SimpleNamespace(is_local=url.startswith("file"), url=url), scan=lambda: scans.append(1)
    )
    Store._index_now_and_then(fake, "f" * 62 + end)  # type: ignore[arg-type]
    assert len(scans) == (is_indexed and url.startswith("s3"))


def test_a_large_blob_is_read_in_pieces_without_a_byte_lost_or_twice(
    store: Store, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(objects_module, "_CHUNK", 7)
    for size in (0, 6, 7, 8, 21, 23):
        path = tmp_path / f"{size}.txt"
        path.write_bytes(bytes(range(size)))
        entry = store.objects.put_file(path, path.name)
        assert entry.num_bytes == size
        store.objects.check(entry)
    blob = Path(store.objects.blob_key(entry.blob))
    blob.chmod(0o644)
    blob.write_bytes(bytes([*range(22), 99]))
    for read in (store.objects.check, lambda entry: store.objects.fetch(entry, tmp_path / "out")):
        with pytest.raises(IntegrityError, match=rf"holds bytes with SHA-256 .*{entry.blob[:12]}"):
            read(entry)
    assert not (tmp_path / "out").exists()
    blob.write_bytes(bytes(22))
    for read in (store.objects.check, lambda entry: store.objects.fetch(entry, tmp_path / "out")):
        with pytest.raises(IntegrityError, match="holds 22 bytes, its manifest says 23"):
            read(entry)


def test_a_copy_of_a_blob_is_read_only_and_a_volatile_file_counts_by_its_bytes(store: Store, tmp_path: Path):
    folder = tmp_path / "a"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "timings.jsonl").write_text('{"a":  1}\n')
    (folder / "b.jsonl").write_text('{"a":  1}\n')
    files = store.objects.put_folder(folder, frozenset({"timings.jsonl"}))
    assert [(entry.path, entry.volatile) for entry in files] == [
        ("b.jsonl", False),
        ("deep/timings.jsonl", True),
    ]
    assert files[1].digest == files[1].blob == files[0].blob != files[0].digest
    store.objects.fetch_all(files, tmp_path / "out")
    assert (tmp_path / "out" / "deep" / "timings.jsonl").stat().st_mode & 0o777 == 0o444
    assert Path(store.objects.blob_key(files[0].blob)).stat().st_mode & 0o777 == 0o444
    assert store.objects.missing(files) == []
    absent = files[0].model_copy(update={"blob": "e" * 64})
    assert store.objects.missing([files[1], absent, files[0]]) == [absent]


@pytest.mark.parametrize("target", ["pre/blob", "pre/other"])
def test_s3_copies_a_blob_onto_itself_or_to_another_key(target: str):
    calls = []
    fs = SimpleNamespace(
        split_path=lambda key: (*key.split("/", 1), None), call_s3=lambda *a, **k: calls.append((a, k))
    )
    fake = SimpleNamespace(fs=fs, call=lambda what, function: function())
    Objects.copy_there(fake, "bucket/pre/blob", f"bucket/{target}")  # type: ignore[arg-type]
    asked = {
        "Bucket": "bucket",
        "Key": target,
        "CopySource": {"Bucket": "bucket", "Key": "pre/blob"},
        "MetadataDirective": "REPLACE",
    }
    assert calls == [(("copy_object",), asked)]


def test_a_copy_says_what_is_new_and_how_large_it_is(store: Store, tmp_path: Path):
    manifest = publish(store, write(tmp_path / "a", x="hello", y="you"))
    target = Store(str(tmp_path / "target"), tmp_path / "cache")
    assert to_copy(manifest, store) == [manifest]
    assert list(copy([manifest], store, target)) == [Copied(manifest, is_new=True)]
    (again,) = copy([manifest], store, target)
    assert (again.is_new, again.num_bytes) == (False, 8)
    assert not list((tmp_path / "cache" / "copy").iterdir())
    target.verify(manifest)
    with pytest.raises(RecipeError, match="is the store the artifact lies in already"):
        next(copy([manifest], store, store))
