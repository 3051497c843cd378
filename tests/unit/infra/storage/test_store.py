"""The store: created once, read verified, spoken versions, progress; on a folder and on S3."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.storage import garbage
from infra.storage.store import Store
from rpt_core.artifacts.digest import artifact_digest
from rpt_core.artifacts.manifest import Manifest, Outcome
from rpt_core.artifacts.placement import Numerics, Placement
from rpt_core.errors import IntegrityError, RecipeError, StoreError
from tests.s3_servers import S3Server, environment, moto, seaweedfs

NUMERICS = Numerics(
    backend="torch",
    engine="torch",
    layout="two-pass",
    dtype="float32",
    world_size=1,
    tokens_per_micro_batch=1024,
    torch="2",
    device="cpu",
    threads=1,
)


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


def publish(
    store: Store,
    folder: Path,
    outcome: Outcome = Outcome(),  # noqa: B008  (frozen)
    *,
    fingerprint: str = "f" * 64,
    numerics: Numerics | None = None,
) -> Manifest:
    files = store.objects.put_folder(folder)
    return store.publish(
        Manifest(
            kind="corpus",
            fingerprint=fingerprint,
            digest=artifact_digest(files),
            recipe={"stage": "prepare-corpus"},
            placement=Placement(),
            numerics=numerics,
            parents={},
            files=files,
            outcome=outcome,
            code="c",
            environment={},
            created=datetime.now(UTC).isoformat(),
            attempts=(),
        )
    )


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    """A moto server on a free port."""
    with moto() as server, environment(server.environment()):
        yield server.url


@pytest.fixture(scope="module")
def real_s3(tmp_path_factory) -> Iterator[S3Server]:
    """SeaweedFS, for the length of a module."""
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(params=["file", "s3", pytest.param("real", marks=pytest.mark.s3)])
def store(request, tmp_path: Path) -> Iterator[Store]:
    """On a folder, on moto and on a real server."""
    if request.param == "file":
        yield Store(str(tmp_path / "store"), tmp_path / "cache")
        return
    if request.param == "s3":
        server = S3Server(request.getfixturevalue("s3_endpoint"))
    else:
        server = request.getfixturevalue("real_s3")
    with environment(server.environment()):
        yield Store(f"s3://{server.new_place()}/team", tmp_path / "cache")


def test_what_is_published_is_read_back_verified(store: Store, tmp_path: Path):
    manifest = publish(store, write(tmp_path / "a", x="hello", y="world"))
    folder = store.materialise(manifest.artifact)
    assert (folder / "x.txt").read_text() == "hello"
    assert (folder / "x.txt").resolve().name == "x.txt"  # a browser goes by the name
    assert Manifest.model_validate_json((folder / "manifest.json").read_text()) == manifest
    assert store.materialise(manifest.artifact) == folder
    assert [m.fingerprint for m in store.manifests()] == ["f" * 64]
    store.verify(manifest)


def test_an_exact_artifact_never_changes(store: Store, tmp_path: Path):
    first = publish(store, write(tmp_path / "a", x="one"))
    assert publish(store, write(tmp_path / "b", x="one")) == first
    with pytest.raises(IntegrityError, match="not deterministic"):
        publish(store, write(tmp_path / "c", x="two"))
    assert store.manifest("corpus", "f" * 64) == first


def test_other_numerics_may_differ_and_the_first_stays(store: Store, tmp_path: Path):
    first = publish(store, write(tmp_path / "a", x="one"), numerics=NUMERICS)
    other = NUMERICS.model_copy(update={"threads": 2})
    assert publish(store, write(tmp_path / "b", x="two"), numerics=other) == first
    kept = store.objects.list(store.objects.key("artifacts", "corpus", "f" * 64, "attempts"))
    assert kept == [f"{other.key()}.json"]


def test_the_same_numerics_may_not_differ(store: Store, tmp_path: Path):
    first = publish(store, write(tmp_path / "a", x="one"), numerics=NUMERICS)
    assert publish(store, write(tmp_path / "b", x="one"), numerics=NUMERICS) == first
    with pytest.raises(IntegrityError, match="under the same numerics"):
        publish(store, write(tmp_path / "c", x="two"), numerics=NUMERICS)
    assert store.manifest("corpus", "f" * 64) == first
    assert not store.objects.list(store.objects.key("artifacts", "corpus", "f" * 64, "attempts"))


def test_racing_creators_have_one_winner(store: Store):
    key = store.objects.key("race")
    wins: list[bool] = []
    threads = [
        threading.Thread(target=lambda i=i: wins.append(store.objects.create(key, str(i).encode())))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(wins) == 1


def test_a_store_that_refuses_what_it_does_not_hold_is_asked_again(store: Store, tmp_path: Path, monkeypatch):
    manifest = publish(store, write(tmp_path / "a", x="1"))
    monkeypatch.setattr(type(store.objects), "create", lambda *_: False)
    with pytest.raises(StoreError, match=r"refuses .* yet does not hold it") as caught:
        store.publish(manifest.model_copy(update={"fingerprint": "9" * 64}))
    assert caught.value.retryable


def test_versions_are_spoken_and_append_only(store: Store, tmp_path: Path):
    one = publish(store, write(tmp_path / "a", x="1"), fingerprint="a" * 64)
    two = publish(store, write(tmp_path / "b", x="2"), fingerprint="b" * 64)
    assert store.add_ref("math", one.artifact) == "math@1"
    assert store.add_ref("math", one.artifact) == "math@1"
    assert store.add_ref("math", two.artifact) == "math@2"
    assert store.find("math@1") == one
    assert store.find("math@latest") == store.find("math") == two
    assert store.find("aaaaaaaa") == store.find("corpus/aaaaaa") == one
    with pytest.raises(RecipeError, match="Near: math"):
        store.find("mths@latest")


def test_progress_resumes_from_copies(store: Store, tmp_path: Path):
    store.save_progress("f" * 64, "n", 3, write(tmp_path / "s", w="weights"), {"seconds": 1.0})
    store.save_progress("f" * 64, "n", 12, write(tmp_path / "t", w="later"), {})
    assert store.progress_steps("f" * 64, "n") == [3, 12]
    note = store.load_progress("f" * 64, "n", 3, tmp_path / "back")
    assert (tmp_path / "back" / "w.txt").read_text() == "weights"
    assert note == {"seconds": 1.0}
    store.drop_progress("f" * 64)
    assert store.progress_steps("f" * 64, "n") == []


def test_only_the_last_checkpoints_are_kept(store: Store, tmp_path: Path):
    for step in (1, 5, 9):
        store.save_progress("f" * 64, "n", step, write(tmp_path / str(step), w=str(step)), {})
    store.save_progress("f" * 64, "other", 2, write(tmp_path / "o", w="o"), {})
    store.forget_progress("f" * 64, "n", keep=2)
    assert store.progress_steps("f" * 64, "n") == [5, 9]
    assert store.progress_steps("f" * 64, "other") == [2]
    store.forget_progress("f" * 64, "n", keep=2)
    assert store.progress_steps("f" * 64, "n") == [5, 9]


def unnamed(store: Store, *, older_than_seconds: float) -> list[tuple[str, int]]:
    """Key and bytes of every content that nothing names."""
    found = garbage.survey(store, older_than_seconds)
    assert not found.holds
    return [(each.key, each.num_bytes) for each in found.contents]


def test_garbage_is_what_nothing_names(store: Store, tmp_path: Path):
    publish(store, write(tmp_path / "a", x="kept"))
    store.objects.put_folder(write(tmp_path / "b", x="crashed before its manifest"))
    assert unnamed(store, older_than_seconds=3600) == []
    (key, size), *rest = unnamed(store, older_than_seconds=-3600)
    assert not rest
    assert size == len("crashed before its manifest")
    store.objects.remove(key)
    assert unnamed(store, older_than_seconds=-3600) == []


def test_checkpoints_of_unfinished_builds_are_no_garbage(store: Store, tmp_path: Path):
    for step in (3, 12):
        store.save_progress("f" * 64, "n", step, write(tmp_path / str(step), w=f"weights {step}"), {})
    store.save_progress("e" * 64, "n", 1, write(tmp_path / "e", w="of another build"), {})
    assert unnamed(store, older_than_seconds=-3600) == []
    store.load_progress("f" * 64, "n", 12, tmp_path / "back")
    store.forget_progress("f" * 64, "n", keep=1)
    store.drop_progress("f" * 64)
    assert unnamed(store, older_than_seconds=-3600) == [], "what was replaced or is done went by itself"
    (kept,) = store.objects.walk(store.objects.key("checkpoints"))
    assert kept.num_bytes == len("of another build")


@pytest.mark.parametrize("suffix", [".parquet", ".json"])
def test_one_content_written_in_two_ways_has_one_digest_and_two_blobs(store: Store, tmp_path: Path, suffix):
    one, two = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    if suffix == ".json":
        one.write_text('{"a": 1, "b": 2}')
        two.write_text('{"b": 2,\n "a": 1}')
    else:
        table = pa.table({"n": list(range(9))})
        pq.write_table(table, one)
        pq.write_table(table, two, row_group_size=2)
    first, second = (store.objects.put_file(path, "x") for path in (one, two))
    assert first.digest == second.digest
    assert first.blob != second.blob
    assert (first.num_bytes, second.num_bytes) == (one.stat().st_size, two.stat().st_size)


def test_changed_bytes_are_noticed(tmp_path: Path):
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    manifest = publish(store, write(tmp_path / "a", x="good"))
    blob = Path(store.objects.blob_key(manifest.files[0].blob))
    blob.chmod(0o644)
    blob.write_text("evil")
    with pytest.raises(IntegrityError, match="stored content was changed"):
        store.materialise(manifest.artifact)
    blob.unlink()
    with pytest.raises(IntegrityError, match="lacks the content"):
        store.verify(manifest)


def test_a_store_that_overwrites_is_refused(tmp_path: Path, monkeypatch):
    store = Store(str(tmp_path / "store"), tmp_path / "cache")

    def overwrite(key: str, data: bytes) -> bool:
        Path(key).parent.mkdir(parents=True, exist_ok=True)
        Path(key).write_bytes(data)
        return True

    monkeypatch.setattr(store.objects, "create", overwrite)
    with pytest.raises(StoreError, match="created only once"):
        publish(store, write(tmp_path / "a", x="1"))


def test_a_wrong_bucket_and_a_dead_endpoint_are_told_apart(s3_endpoint, tmp_path: Path, monkeypatch):
    store = Store("s3://no-such-bucket-here/x", tmp_path / "cache")
    with pytest.raises(StoreError, match="no such bucket") as wrong:
        publish(store, write(tmp_path / "a", x="1"))
    assert wrong.value.exit_code == 2
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    away = Store("s3://anything/x", tmp_path / "cache")
    with pytest.raises(StoreError, match="Try again") as dead:
        away.objects.exists(away.objects.key("x"))
    assert dead.value.exit_code == 75
