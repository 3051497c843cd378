"""Many manifests on S3: listed in few requests, by an index that is never believed over the listing."""

import gzip
import json
import time
from collections import Counter

import pytest

from infra.storage import documents
from infra.storage.store import Store
from rpt_core.artifacts.manifest import Manifest
from rpt_core.artifacts.recipe import Artifact
from tests.unit.infra.storage.test_store import publish, s3_endpoint, write  # noqa: F401  (a fixture)

FEW, NUM_MANY = 12, 5000


@pytest.fixture
def store(s3_endpoint, tmp_path, request, monkeypatch) -> Store:  # noqa: F811
    monkeypatch.setattr(documents, "INDEX_AFTER", FEW // 2)
    return Store(
        f"s3://{bucket('index' + str(abs(hash(request.node.name)) % 10**9))}/team", tmp_path / "cache"
    )


def bucket(name: str) -> str:
    import boto3

    client = boto3.client("s3")
    client.create_bucket(Bucket=name)
    client.close()
    return name


def fill(store: Store, manifest: Manifest, num: int, first: int = 0) -> None:
    """Put many manifests, and a name for each, as a store of many journeys holds them."""
    for start in range(first, first + num, 500):
        bodies = {}
        for number in range(start, min(start + 500, first + num)):
            one = manifest.model_copy(update={"fingerprint": f"{number:064x}"})
            bodies[store.objects.key("artifacts", "corpus", one.fingerprint, "manifest.json")] = (
                one.model_dump_json(indent=1).encode()
            )
            ref = json.dumps({**one.artifact.model_dump(), "created": "2026-11-28"}).encode()
            bodies[store.objects.key("refs", f"run-{number}", "000001.json")] = ref
        store.objects.fs.pipe(bodies)


def plant(store: Store, manifest: Manifest, num: int) -> None:
    """The same straight into the server, which runs in this process: ten thousand requests take minutes."""
    from moto.backends import get_backend

    backend = get_backend("s3")["123456789012"]["aws"]
    name, _, root = store.objects.root.partition("/")
    for number in range(num):
        one = manifest.model_copy(update={"fingerprint": f"{number:064x}"})
        key = f"{root}/artifacts/corpus/{one.fingerprint}/manifest.json"
        backend.put_object(name, key, one.model_dump_json(indent=1).encode())
        backend.put_object(
            name, f"{root}/refs/run-{number}/000001.json", one.artifact.model_dump_json().encode()
        )


def requests_of(store: Store) -> Counter:
    """Counts what this store asks its server for, from now on."""
    asked: Counter = Counter()
    call = store.objects.fs._call_s3

    async def counted(method, *args, **kwargs):
        asked[method] += 1
        return await call(method, *args, **kwargs)

    store.objects.fs._call_s3 = counted
    return asked


def test_what_was_read_once_is_read_in_one_request_the_next_time(store, tmp_path):
    manifest = publish(store, write(tmp_path / "a", x="1"))
    fill(store, manifest, FEW)
    first = store.scan()
    assert len(first.manifests) == FEW + 1
    assert first.faults == ()
    asked = requests_of(store)
    again = store.scan()
    assert again == first
    assert asked["get_object"] == 1, "the index alone"
    named = Artifact(kind="corpus", fingerprint=f"{3:064x}", digest=manifest.digest)
    assert store.scan_refs()[0]["run-3"] == {1: named}
    asked.clear()
    assert len(store.refs()) == FEW
    assert store.scan() == first
    assert asked["get_object"] == 2, "both keep what the other wrote"
    assert len(store.objects.list(store.objects.key("index"))) == 1


def test_news_and_removals_are_seen_beside_the_index(store, tmp_path):
    manifest = publish(store, write(tmp_path / "a", x="1"))
    fill(store, manifest, FEW)
    store.scan()
    fill(store, manifest, 2, first=100)
    store.objects.remove(store.objects.key("artifacts", "corpus", f"{3:064x}", "manifest.json"))
    found = {each.fingerprint for each in store.scan().manifests}
    assert f"{100:064x}" in found
    assert f"{101:064x}" in found
    assert f"{3:064x}" not in found


def test_a_manifest_that_was_changed_is_read_itself(store, tmp_path):
    manifest = publish(store, write(tmp_path / "a", x="1"))
    fill(store, manifest, FEW)
    store.scan()
    key = store.objects.key("artifacts", "corpus", f"{3:064x}", "manifest.json")
    store.objects.fs.pipe_file(key, b"<html>login</html>")
    scan = store.scan()
    assert [fault.key for fault in scan.faults] == [f"artifacts/corpus/{3:064x}/manifest.json"]
    assert scan.faults[0].may_name_content
    assert len(scan.manifests) == FEW


@pytest.mark.parametrize(
    "content", [b"", b"<html>", gzip.compress(b"[1]", mtime=0), gzip.compress(b'{"a": 1}', mtime=0)]
)
def test_an_index_that_is_broken_costs_time_alone(store, tmp_path, content):
    manifest = publish(store, write(tmp_path / "a", x="1"))
    fill(store, manifest, FEW)
    first = store.scan()
    (name,) = store.objects.list(store.objects.key("index"))
    store.objects.fs.pipe_file(store.objects.key("index", name), content)
    assert store.scan() == first


def test_an_index_that_lies_is_not_believed(store, tmp_path):
    """Garbage collection goes by manifests: whoever changes the index must not make contents fall."""
    manifest = publish(store, write(tmp_path / "a", x="1"))
    fill(store, manifest, FEW)
    first = store.scan()
    (name,) = store.objects.list(store.objects.key("index"))
    rows = json.loads(gzip.decompress(store.objects.read(store.objects.key("index", name))))
    lies = {key: [etag, text.replace(manifest.files[0].blob, "0" * 64)] for key, (etag, text) in rows.items()}
    store.objects.fs.pipe_file(store.objects.key("index", name), gzip.compress(json.dumps(lies).encode()))
    assert store.scan() == first


def test_a_store_that_may_only_be_read_is_listed_without_an_index(store, tmp_path, monkeypatch):
    from rpt_core.errors import StoreError

    manifest = publish(store, write(tmp_path / "a", x="1"))
    fill(store, manifest, FEW)

    def refuse(key: str, data: bytes) -> bool:
        raise StoreError("refused")

    monkeypatch.setattr(store.objects, "create", refuse)
    assert len(store.scan().manifests) == FEW + 1
    assert store.objects.list(store.objects.key("index")) == []


def test_publishers_keep_the_index_up_to_date(store, tmp_path):
    manifest = publish(store, write(tmp_path / "a", x="1"))
    fill(store, manifest, FEW, first=0x1001)
    publish(store, write(tmp_path / "b", x="2"), fingerprint="a" * 62 + "40")
    assert len(store.objects.list(store.objects.key("index"))) == 1
    asked = requests_of(store)
    assert len(store.scan().manifests) == FEW + 2
    assert asked["get_object"] == 1


@pytest.mark.long
def test_five_thousand_artifacts_are_listed_within_ten_seconds(s3_endpoint, tmp_path, capsys):  # noqa: F811
    store = Store(f"s3://{bucket('five-thousand')}/team", tmp_path / "cache")
    plant(store, publish(store, write(tmp_path / "a", x="1")), NUM_MANY)
    seconds: list[float] = []
    for _ in range(2):
        other = Store(store.objects.url, tmp_path / "cache")
        begin = time.monotonic()
        assert len(other.scan().manifests) == NUM_MANY + 1
        seconds.append(time.monotonic() - begin)
        assert len(other.refs()) == NUM_MANY
        seconds.append(time.monotonic() - begin)
    with capsys.disabled():
        print(
            f"\n{NUM_MANY} artifacts on S3: {seconds[0]:.1f} s when nobody ever listed them, then "
            f"{seconds[2]:.1f} s; with as many names {seconds[1]:.1f} s, then {seconds[3]:.1f} s"
        )
    assert seconds[3] < 10
