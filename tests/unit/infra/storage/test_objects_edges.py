"""Contents of a store: when one is made young again, and how one that is missing is named."""

from types import SimpleNamespace

import pytest

from infra.storage import objects
from infra.storage.objects import RENEW_AFTER_SECONDS, Objects
from rpt_core.artifacts.manifest import FileEntry

SHA = "0123456789abcdef" * 4
S3_COPIES = 5_000_000_000
"""Bytes S3 copies in one request: 5 GB (Amazon S3 API reference, CopyObject)."""


def _renewed(
    monkeypatch, num_bytes: int, age_seconds: float, *, found_bytes: int | None = None
) -> tuple[bool, list[str]]:
    copied: list[str] = []
    monkeypatch.setattr(objects.time, "time", lambda: 10_000.0)
    found = SimpleNamespace(
        num_bytes=num_bytes if found_bytes is None else found_bytes, modified=10_000.0 - age_seconds
    )
    store = SimpleNamespace(
        is_local=False,
        look=lambda key: found,
        blob_key=lambda sha: sha,
        copy_there=lambda source, target: copied.append(f"{source} to {target}"),
    )
    return Objects.renew(store, SHA, num_bytes), copied  # type: ignore[arg-type]


def test_a_young_blob_is_left_and_an_old_one_copied_onto_itself(monkeypatch):
    assert _renewed(monkeypatch, 9, RENEW_AFTER_SECONDS - 1) == (True, [])
    assert _renewed(monkeypatch, 9, RENEW_AFTER_SECONDS) == (True, [f"{SHA} to {SHA}"])


def test_a_blob_beyond_what_s3_copies_is_put_again(monkeypatch):
    assert _renewed(monkeypatch, S3_COPIES, RENEW_AFTER_SECONDS) == (True, [f"{SHA} to {SHA}"])
    assert _renewed(monkeypatch, S3_COPIES + 1, RENEW_AFTER_SECONDS) == (False, [])
    assert _renewed(monkeypatch, S3_COPIES + 1, 0.0) == (True, [])


@pytest.mark.parametrize("found_bytes", [8, 10, 0])
def test_a_blob_of_another_length_is_put_again(monkeypatch, found_bytes):
    assert _renewed(monkeypatch, 9, 0.0, found_bytes=found_bytes) == (False, [])


def test_what_is_missing_or_changed_is_named_by_twelve_digits():
    store = SimpleNamespace(url="s3://store", blob_key=lambda sha: f"blobs/{sha}")
    entry = FileEntry(path="a.txt", blob=SHA, num_bytes=9, digest=SHA)
    told = str(Objects._absent(store, entry))  # type: ignore[arg-type]
    assert told.startswith("the store s3://store lacks the content 0123456789ab of a.txt (")
    assert f"at blobs/{SHA})" in told
    store._changed = lambda entry, found, wanted: ValueError(found, wanted)
    with pytest.raises(ValueError, match="bytes") as raised:
        Objects._compare(store, entry, "f" * 64)  # type: ignore[arg-type]
    assert raised.value.args == ("bytes with SHA-256 ffffffffffff", "0123456789ab")
