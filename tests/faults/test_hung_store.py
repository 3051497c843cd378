"""A store that takes a connection and never answers is named within a minute, and may be tried again."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.storage import keys as keys_module
from infra.storage.keys import Keys
from rpt_core.errors import StoreError

NAMED_WITHIN_SECONDS = 60


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def accept() -> None:
            try:
                while True:
                    held.append(server.accept()[0])
            except OSError:  # closed at the end of the test
                return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield "s3://bucket/prefix"
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for connection in held:
            connection.close()


def named_after(url: str) -> float:
    began = time.monotonic()
    with pytest.raises(StoreError, match="cannot look up a key, since it did not answer") as caught:
        Keys(url).look("bucket/prefix/key")
    assert caught.value.retryable
    return time.monotonic() - began


def test_a_hung_store_is_named_and_tried_as_often_as_it_should(hung, monkeypatch):
    monkeypatch.setattr(keys_module, "_S3_CLIENT", keys_module._S3_CLIENT | {"read_timeout": 0.5})
    assert (
        named_after(hung) < 30
    )  # four tries of half a second, and the time to start a client on a busy machine


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.long
def test_a_hung_store_is_named_within_a_minute(hung):
    assert named_after(hung) < NAMED_WITHIN_SECONDS


def test_the_tries_of_a_hung_store_fit_a_minute():
    client = keys_module._S3_CLIENT
    tries = client["retries"]["total_max_attempts"] * keys_module._S3_TRIES
    assert tries * max(client["read_timeout"], client["connect_timeout"]) < NAMED_WITHIN_SECONDS - 10


def test_a_pipe_and_a_link_to_a_device_are_no_blobs(tmp_path: Path):
    import os

    from infra.storage.objects import Objects
    from rpt_core.artifacts.manifest import FileEntry
    from rpt_core.errors import IntegrityError

    store = Objects(str(tmp_path / "store"))
    sha256 = "0" * 64
    entry = FileEntry(path="a.txt", blob=sha256, num_bytes=5, digest=sha256)
    blob = Path(store.blob_key(sha256))
    blob.parent.mkdir(parents=True)
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.mkdir()):
        make(blob)
        for ask in (store.check, lambda found: store.fetch(found, tmp_path / "copy")):
            with pytest.raises(IntegrityError, match="lacks the content"):
                ask(entry)
        blob.rmdir() if blob.is_dir() else blob.unlink()
