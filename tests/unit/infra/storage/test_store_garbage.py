"""Garbage collection beside publishers: whatever the order, a finished artifact keeps its contents."""

import json
import os
import time
from pathlib import Path

import pytest

from infra.runs.attempt import Job
from infra.runs.attempt import publish as publish_folder
from infra.storage import garbage, uploads
from infra.storage.store import Store
from rpt_core.artifacts.digest import artifact_digest
from rpt_core.artifacts.manifest import Manifest, Outcome
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import StoreError
from tests.unit.infra.storage import test_store
from tests.unit.infra.storage.test_store import publish, write

store, s3_endpoint, real_s3 = test_store.store, test_store.s3_endpoint, test_store.real_s3  # fixtures
HOUR = 3600.0


def make_old(store: Store, monkeypatch) -> None:
    """Let all contents be two days old: by their own times in a folder, by the clock of ours on S3."""
    if store.objects.is_local:
        for path in Path(store.objects.root).rglob("*"):
            os.utime(path, (time.time() - 48 * HOUR,) * 2)
    else:
        later = time.time() + 48 * HOUR
        monkeypatch.setattr(time, "time", lambda: later)


def manifest_of(files, fingerprint="f" * 64) -> Manifest:
    return Manifest(
        kind="corpus", fingerprint=fingerprint, digest=artifact_digest(files), recipe={}, parents={},
        placement=Placement(), files=files, outcome=Outcome(), code="c", environment={}, attempts=(),
        created="2026-11-28T00:00:00",
    )  # fmt: skip


def job_of(store: Store, folder: Path) -> Job:
    return Job(
        function="m:f", recipe_class="m:C", recipe={}, kind="corpus", fingerprint="f" * 64, parents={},
        inputs={}, folder=folder, placement=Placement(), numerics=None, store=store.objects.url, code="c",
        cache=store.cache, environment={}, started="2026-11-28T00:00:00",
    )  # fmt: skip


def collect(store: Store, age: float = 24 * HOUR) -> int:
    return len(garbage.remove(store, garbage.survey(store, age)))


def test_an_old_content_that_is_put_again_is_young(tmp_path):
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    folder = write(tmp_path / "a", x="hello")
    store.objects.put_folder(folder)
    make_old(store, None)
    files = store.objects.put_folder(folder)  # found there, and nothing copied
    assert collect(store) == 0
    manifest = store.publish(manifest_of(files))
    store.verify(manifest)


def test_on_s3_a_content_that_is_put_again_gets_a_new_time(store, tmp_path, monkeypatch):
    from infra.storage import objects

    monkeypatch.setattr(objects, "RENEW_AFTER_SECONDS", -1.0)
    folder = write(tmp_path / "a", x="hello")
    (entry,) = store.objects.put_folder(folder)
    before = store.objects.look(store.objects.blob_key(entry.blob))
    time.sleep(1.1)  # S3 counts in seconds
    store.objects.put_folder(folder)
    after = store.objects.look(store.objects.blob_key(entry.blob))
    assert after.modified > before.modified
    store.objects.check(entry)


def test_what_was_listed_before_it_was_put_again_is_spared(tmp_path):
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    folder = write(tmp_path / "a", x="hello", y="world")
    store.objects.put_folder(folder)
    make_old(store, None)
    listed = garbage.survey(store, 24 * HOUR)
    assert len(listed.contents) == 2
    files = store.objects.put_folder(write(tmp_path / "b", x="hello"))
    assert [each.num_bytes for each in garbage.remove(store, listed)] == [5], "only what nobody put again"
    store.verify(store.publish(manifest_of(files)))


def test_what_is_taken_between_look_up_and_manifest_is_put_again(store, tmp_path):
    """A collector without any patience (age 0) runs where it hurts most."""
    folder = write(tmp_path / "out", x="hello", y="world")
    create = store.objects.create
    taken = []

    def create_late(key: str, data: bytes) -> bool:
        if key.endswith("manifest.json"):
            taken.append(collect(store, -HOUR))
        return create(key, data)

    store.objects.create = create_late
    manifest = publish_folder(store, job_of(store, tmp_path), folder, Outcome(), ())
    assert taken == [2]
    store.verify(manifest)
    assert collect(store, -HOUR) == 0


def test_what_is_taken_before_the_manifest_is_not_named_by_it(store, tmp_path):
    files = store.objects.put_folder(write(tmp_path / "a", x="hello"))
    assert collect(store, -HOUR) == 1
    with pytest.raises(StoreError, match="garbage collection ran meanwhile") as found:
        store.publish(manifest_of(files))
    assert found.value.exit_code == 75
    assert store.manifest("corpus", "f" * 64) is None


def test_a_checkpoint_keeps_its_contents_too(store, tmp_path):
    folder = write(tmp_path / "state", w="weights")
    create = store.objects.create

    def create_late(key: str, data: bytes) -> bool:
        collect(store, -HOUR)
        return create(key, data)

    store.objects.create = create_late
    store.save_progress("d" * 64, "exact", 3, folder, {"attempts": []})
    store.objects.create = create
    assert collect(store, -HOUR) == 0
    store.load_progress("d" * 64, "exact", 3, tmp_path / "there")
    assert (tmp_path / "there" / "w.txt").read_text() == "weights"


def test_a_build_that_ends_while_garbage_is_listed_loses_nothing(tmp_path, monkeypatch):
    """Its checkpoint is gone when manifests are read, its manifest was not there when checkpoints were.

    The checkpoint is one of an earlier version, whose contents become the artifact's.
    """
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    folder = write(tmp_path / "state", w="weights")
    record = {"files": [each.model_dump() for each in store.objects.put_folder(folder)]}
    key = store.objects.key("progress", "f" * 64, "exact", "000000003.json")
    store.objects.create(key, json.dumps(record).encode())
    make_old(store, None)
    below = store.documents.below

    def below_then_publish(prefix: str):
        found = list(below(prefix))
        if prefix == "progress":
            files = tuple(store.objects.put_file(path, path.name) for path in sorted(folder.iterdir()))
            make_old(store, None)
            monkeypatch.setattr(store.objects, "missing", lambda files: [])
            store.publish(manifest_of(files))
            store.drop_progress("f" * 64)
        return iter(found)

    monkeypatch.setattr(store.documents, "below", below_then_publish)
    found = garbage.survey(store, 24 * HOUR)
    assert [each.key.rpartition("/")[2] for each in found.contents] == ["000000003.json"], "only its record"
    garbage.remove(store, found)
    store.verify(store.manifest("corpus", "f" * 64))


def test_a_truncated_blob_is_put_again(tmp_path):
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    folder = write(tmp_path / "a", x="hello")
    (entry,) = store.objects.put_folder(folder)
    blob = Path(store.objects.blob_key(entry.blob))
    blob.chmod(0o644)
    blob.write_text("he")
    manifest = publish(store, folder)
    store.verify(manifest)


def test_an_upload_that_was_never_completed_is_taken_back(store):
    assert uploads.unfinished(store.objects) == ()
    if store.objects.is_local:
        assert uploads.take_back(store.objects, time.time() + HOUR) == 0
        return
    fs, (bucket, name, _) = store.objects.fs, store.objects.fs.split_path(store.objects.blob_key("a" * 64))
    for key in (name, name, f"elsewhere/{name}"):
        begun = fs.call_s3("create_multipart_upload", Bucket=bucket, Key=key)
        fs.call_s3(
            "upload_part", Bucket=bucket, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=b"half"
        )
    found = uploads.unfinished(store.objects)
    assert [(each.bucket, each.name) for each in found] == [(bucket, name)] * 2, "another's are not ours"
    if all(each.begun > time.time() - HOUR for each in found):  # moto shows 2010 for all
        assert uploads.take_back(store.objects, time.time() - HOUR) == 0, "somebody may be at it"
    assert garbage.sweep(store, store.cache, -HOUR) == 2
    assert uploads.unfinished(store.objects) == ()
    assert [each["Key"] for each in fs.call_s3("list_multipart_uploads", Bucket=bucket)["Uploads"]] == [
        f"elsewhere/{name}"
    ]


def test_a_login_that_may_not_list_uploads_is_said_and_nothing_else_stops(tmp_path, monkeypatch, caplog):
    def refused(keys):
        raise StoreError("the store s3://b/x cannot list uploads, since it refuses us: Access Denied.")

    monkeypatch.setattr(uploads, "unfinished", refused)
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    assert garbage.sweep(store, tmp_path, 0.0) == 0
    assert "never completed are left as they are" in caplog.text
