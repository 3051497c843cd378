"""S3 file systems outlive what opened them, so that none is closed on somebody else's event loop."""

import asyncio
import gc

import pytest

from infra.storage.keys import Keys
from infra.storage.s3 import s3_files
from tests.s3_servers import environment, moto


@pytest.fixture(scope="module")
def place():
    with moto() as server, environment(server.environment()):
        yield server.new_place()


@pytest.fixture
def closed(monkeypatch):
    """Whether a loop was running, each time that s3fs closed a file system which was collected."""
    import s3fs

    found = []

    def close_session(_loop, _client):
        found.append(asyncio._get_running_loop() is not None)

    monkeypatch.setattr(s3fs.S3FileSystem, "close_session", staticmethod(close_session))
    return found


async def used_and_collected(open_files, path):
    """Files that were used in a thread, as stages do, and collected in this one, as Prefect's may be."""
    files = open_files()
    await asyncio.to_thread(files.pipe_file, path, b"x")
    del files
    gc.collect()


def test_a_store_is_not_closed_where_it_is_collected(place, closed):
    asyncio.run(used_and_collected(lambda: Keys(f"s3://{place}").fs, f"{place}/kept"))
    assert closed == []
    assert Keys(f"s3://{place}").fs.cat_file(f"{place}/kept") == b"x"


def test_stores_share_a_file_system_until_credentials_or_options_differ(place, monkeypatch):
    first = Keys(f"s3://{place}/one").fs
    assert Keys(f"s3://{place}/two").fs is first
    assert s3_files(requester_pays=True) is not first
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "rotated")
    assert Keys(f"s3://{place}/one").fs is not first


def test_another_process_has_a_file_system_of_its_own(place, monkeypatch):
    first = s3_files()
    monkeypatch.setattr("infra.storage.s3.os.getpid", lambda: -1)
    assert s3_files() is not first
