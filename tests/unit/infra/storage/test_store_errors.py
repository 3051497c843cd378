"""What goes wrong around a store ends in one sentence with the remedy, and in the right exit code."""

import errno
import json
import os
from pathlib import Path

import pytest

from flows.cli.app import app
from flows.cli.guard import guarded
from infra.local.doctor import _store
from infra.storage.keys import Keys
from infra.storage.objects import Objects
from infra.storage.store import Store
from rpt_core.errors import StoreError
from tests.unit.infra.storage.test_store import publish, s3_endpoint, write  # noqa: F401  (a fixture)

SECRET = "hunter2"


def run(*words: str) -> int:
    return guarded(lambda: app(list(words), standalone_mode=False))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), tmp_path / "cache")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://host/x", "ftp: is no kind of store"),
        ("memory://x", "memory: is no kind of store"),
        ("memory:", "memory: is no kind of store"),
        ("gs://bucket/x", "gs: is no kind of store"),
        ("gs:", "gs: is no kind of store"),
        ("http://127.0.0.1:9/x", "http: is no kind of store"),
        ("abfs://x@y/z", "carries a login"),
        ("simplecache::s3://b/x", "simplecache: is no kind of store"),
        ("sftp://host/x", "sftp: is no kind of store"),
        ("nonsense://x", "nonsense: is no kind of store"),
        ("S3://bucket/x", "names no bucket"),
        ("s3:/nope", "names no bucket"),
        ("s3:", "names no bucket"),
        ("s3://", "names no bucket"),
        ("s3:///x", "names no bucket"),
        ("file:", "names no folder"),
        ("file://host/x", "names no folder"),
        (f"s3://user:{SECRET}@bucket/x", "carries a login"),
        (f"s3://user:{SECRET}/@bucket", "carries a login"),
    ],
)
def test_an_address_that_is_no_store_is_refused_at_once(tmp_path, monkeypatch, capsys, url, said):
    monkeypatch.setenv("RPT_HOME", str(tmp_path))
    monkeypatch.setenv("RPT_STORE", url)
    assert run("ls") == 2
    out, err = capsys.readouterr()
    assert said in err
    assert "cannot be opened" in err
    assert "s3://bucket/prefix (RPT_STORE)" in err
    assert len(err.splitlines()) == 1
    assert SECRET not in out + err


def test_a_folder_by_any_of_its_names_is_a_store(tmp_path):
    for url in (str(tmp_path / "a b@c:d"), f"file://{tmp_path}/x", str(tmp_path / "%41?#")):
        store = Store(url, tmp_path / "cache")
        store.verify(publish(store, write(tmp_path / "files", x="1")))


def failing(number: int):
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "/the/path")

    return fail


FAILURES = {
    errno.EROFS: ("read-only", 2),
    errno.EACCES: ("owner or mode", 2),
    errno.EPERM: ("owner or mode", 2),
    errno.ENOSPC: ("Free some space", 2),
    errno.EDQUOT: ("Free some space", 2),
    errno.ENOTDIR: ("no folder", 2),
    errno.ENAMETOOLONG: ("no folder", 2),
    errno.EIO: ("Look at that disk", 2),
    errno.ESTALE: ("Run it again", 75),
    errno.ETIMEDOUT: ("Run it again", 75),
}
OPERATIONS = {
    "probe": (Path, "write_bytes"),
    "put": (os, "copy_file_range"),
    "fetch": (os, "copy_file_range"),
    "list": (os, "listdir"),
    "read": (Path, "read_bytes"),
    "look": (Path, "stat"),
    "remove": (os, "remove"),
}
ANSWERS = {("put", errno.EPERM), ("fetch", errno.EPERM), ("look", errno.ENOTDIR)}
"""No failures: a file system that cannot share blocks says so and is copied by hand; there is no such key."""


@pytest.mark.parametrize(
    ("operation", "number"), [(o, n) for o in OPERATIONS for n in FAILURES if (o, n) not in ANSWERS]
)
def test_every_failure_of_a_folder_has_its_path_and_remedy(store, tmp_path, monkeypatch, operation, number):
    manifest = publish(store, write(tmp_path / "a", x="hello"))
    key = store.objects.key("artifacts", "corpus", "f" * 64, "manifest.json")
    other, fresh = Objects(store.objects.url), write(tmp_path / "b", x="new")
    act = {
        "probe": other.probe,
        "put": lambda: other.put_file(fresh / "x.txt", "x.txt"),
        "fetch": lambda: store.materialise(manifest.artifact),
        "list": lambda: other.list(other.key("artifacts")),
        "read": lambda: other.read(key),
        "look": lambda: other.look(key),
        "remove": lambda: other.remove(key),
    }[operation]
    remedy, code = FAILURES[number]
    with monkeypatch.context() as broken:
        broken.setattr(*OPERATIONS[operation], failing(number))
        with pytest.raises(StoreError, match=remedy) as found:
            act()
    assert "/the/path" in str(found.value)
    assert found.value.exit_code == code
    assert list(tmp_path.rglob("*.tmp")) == [], "nothing half-written stays"


def test_a_file_system_that_shares_no_blocks_is_copied_by_hand(store, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "copy_file_range", failing(errno.EXDEV))
    manifest = publish(store, write(tmp_path / "a", x="hello" * 1_000_000))
    assert (store.materialise(manifest.artifact) / "x.txt").stat().st_size == 5_000_000


@pytest.mark.parametrize("name", ["store", "store/probe", "store/blobs"])
def test_a_file_where_a_folder_should_be_is_named(tmp_path, monkeypatch, capsys, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("in the way")
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    with pytest.raises(StoreError, match="no folder") as found:
        publish(store, write(tmp_path / "a", x="hello"))
    assert found.value.exit_code == 2
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RPT_STORE", str(tmp_path / "store"))
    assert run("ls") in (0, 2)
    assert "Traceback" not in capsys.readouterr().err


def test_the_doctor_shows_a_store_that_cannot_be_written_as_a_row(store, monkeypatch):
    monkeypatch.setattr(Path, "write_bytes", failing(errno.EROFS))
    row = _store(store.objects.probe)
    assert (row.name, row.state) == ("store", "fail")
    assert "read-only" in row.what
    row = _store(lambda: Keys("ftp://host/x").probe())
    assert row.state == "fail"


# -- S3 ---------------------------------------------------------------------------------------------------


@pytest.fixture
def no_login(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "home"))


def test_without_a_login_the_variables_are_named(no_login, monkeypatch, capsys):
    monkeypatch.setenv("RPT_STORE", "s3://bucket/x")
    assert run("ls") == 2
    err = capsys.readouterr().err
    assert "AWS_ACCESS_KEY_ID" in err
    assert "AWS_SECRET_ACCESS_KEY" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("bucket", "variables", "code", "said"),
    [
        ("Bad_Bucket!", {}, 2, "RPT_STORE"),
        ("b", {"AWS_ENDPOINT_URL": "nonsense"}, 2, "AWS_ENDPOINT_URL"),
        ("b", {"AWS_PROFILE": "nobody"}, 2, "AWS_PROFILE"),
        ("b", {"AWS_ENDPOINT_URL": f"http://user:{SECRET}@127.0.0.1:9"}, 75, "Try again"),
        ("b", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, 75, "Try again"),
    ],
)
def test_what_waiting_mends_and_what_it_does_not(
    no_login, monkeypatch, capsys, bucket, variables, code, said
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("RPT_STORE", f"s3://{bucket}/x")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert run("ls") == code
    err = capsys.readouterr().err
    assert said in err
    assert SECRET not in err
    assert "Traceback" not in err


def test_a_bucket_that_is_not_there_is_no_empty_store(s3_endpoint, monkeypatch, tmp_path, capsys):  # noqa: F811
    monkeypatch.setenv("RPT_HOME", str(tmp_path))
    monkeypatch.setenv("RPT_STORE", "s3://no-such-bucket-at-all/x")
    assert run("ls") == 2
    assert "no such bucket" in capsys.readouterr().err


# -- a lost acknowledgement ---------------------------------------------------------------------------------


def losing_acknowledgements(objects: Objects) -> None:
    """As a client does whose first PUT arrived: its second finds the key taken."""
    create = objects.create

    def twice(key: str, data: bytes) -> bool:
        create(key, data)
        return create(key, data)

    objects.create = twice


def test_a_lost_acknowledgement_is_no_overwriting_store(store):
    losing_acknowledgements(store.objects)
    store.objects.probe()
    assert not list(Path(store.objects.key("probe")).iterdir())


def test_a_lost_acknowledgement_makes_no_second_version(store, tmp_path):
    artifact = publish(store, write(tmp_path / "a", x="1")).artifact
    losing_acknowledgements(store.objects)
    assert store.add_ref("math", artifact) == "math@1"
    assert store.add_ref("math", artifact) == "math@1"
    assert list(store.refs()["math"]) == [1]


def test_a_lost_acknowledgement_publishes_once(store, tmp_path):
    losing_acknowledgements(store.objects)
    manifest = publish(store, write(tmp_path / "a", x="1"))
    assert store.manifest("corpus", "f" * 64) == manifest


def test_two_writers_of_a_name_get_two_versions(store, tmp_path):
    one = publish(store, write(tmp_path / "a", x="1"), fingerprint="a" * 64).artifact
    two = publish(store, write(tmp_path / "b", x="2"), fingerprint="b" * 64).artifact
    number = store._latest_number
    store._latest_number = lambda name: 0  # both look before either writes
    assert {store.add_ref("math", one), store.add_ref("math", two)} == {"math@1", "math@2"}
    store._latest_number = number
    assert json.loads(Path(store.objects.key("refs", "math", "000001.json")).read_text())["kind"] == "corpus"
